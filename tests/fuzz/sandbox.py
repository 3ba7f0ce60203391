"""A project's configuration in the working directory, of which one file is hostile, and what becomes of it."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import yaml
from dag.project import ROOT

from byzcode.errors import UserError
from byzcode.gallery import report
from byzcode.multiverse.plan import Multiverse
from byzcode.specs.run import RunSpec
from byzcode.studies.describe import describe
from byzcode.studies.plan import Plan, load_plan_file

CONFIG, STYLE, MULTIVERSE = "config/config.yaml", "config/style.yaml", "config/multiverse.yaml"
READING, ALTERNATIVES, STUDY = (
    "config/readings/primary.yaml",
    "config/readings/alternatives.yaml",
    "config/studies/a.yaml",
)
FILES = (CONFIG, STUDY, READING, STYLE, MULTIVERSE, ALTERNATIVES)

#: Seconds of CPU and bytes that one input may take.
CPU, ROOM = 60.0, 400 * 2**20

#: One small study with all that a study can have.
TINY: dict[str, Any] = {
    "study": "tiny",
    "title": "Does it fall?",
    "paper": {"source": "2506.01989", "figure": "A", "reported": "It falls.", "mark": "inferred"},
    "base": {
        "problem": {"name": "linear_regression", "subsets": 12, "dimension": 3},
        "devices": 6,
        "iterations": 6,
        "record": {"spacing": "every", "step": 2},
        "seeds": 6,
        "byzantine.alpha": 0.2,
        "attack": {"name": "sign_flip", "coefficient": -2},
        "aggregation": "median",
    },
    "grid": {"attack": ["sign_flip", "gaussian"]},
    "curves": [
        {"label": "RBA-DL", "method": "rba_dl", "redundancy": 2, "style": "ma"},
        {"label": "CRA-DL", "method": "cra_dl", "grid": {"redundancy": [4, 6]}},
    ],
    "plots": {
        "loss": {"kind": "trajectories", "columns": "attack", "hue": "redundancy", "last": 4, "caption": "All."},
        "plateau": {"kind": "sweep", "x": "redundancy", "columns": "attack", "curves": ["CRA-DL"], "caption": "Falls."},
        "holds": {"kind": "allocation", "curves": ["RBA-DL"], "caption": "Who holds what."},
        "bounds": {"kind": "bounds", "x": "redundancy", "columns": "attack", "caption": "Bounds."},
    },
    "claims": [
        {
            "claim": "falls",
            "says": "It falls.",
            "source": "Nowhere",
            "mark": "inferred",
            "test": "falls",
            "curve": "CRA-DL",
            "along": "redundancy",
            "values": [4, 6],
            "each": ["attack"],
            "at": "end",
            "figure": "plateau",
            "confirms": "It does.",
            "refutes": "It does not.",
        }
    ],
}
SETTINGS: dict[str, Any] = {"studies": [STUDY], "results": "results", "device": "cpu", "code_tracking": "strict"}
ASKED: dict[str, Any] = {
    "alternatives": ALTERNATIVES,
    "random": 2,
    "full": 1,
    "claims": [
        {"study": "tiny", "where": {"attack": "gaussian"}, "reduced": {"seeds": 3}, "instead": {"rba_dl": "ma"}}
    ],
}


def corpus() -> dict[str, list[tuple[str, str]]]:
    """For each kind of test the files to begin with, each with its text."""
    config = ROOT / "config"
    studies = [path.read_text("utf-8") for path in sorted(config.glob("**/studies/*.yaml"))]
    return {
        "studies": [(STUDY, text) for text in [yaml.safe_dump(TINY), *studies]],
        "others": [
            (CONFIG, (config / "config.yaml").read_text("utf-8").replace("config/studies/*.yaml", STUDY)),
            (CONFIG, yaml.safe_dump(SETTINGS)),
            (READING, (ROOT / READING).read_text("utf-8")),
            (STYLE, (ROOT / STYLE).read_text("utf-8")),
            (ALTERNATIVES, (ROOT / ALTERNATIVES).read_text("utf-8")),
            (MULTIVERSE, yaml.safe_dump(ASKED)),
        ],
    }


def set_up(folder: Path) -> None:
    """A good configuration in a folder."""
    (folder / "config/studies").mkdir(parents=True)
    shutil.copytree(ROOT / "config/readings", folder / "config/readings")
    shutil.copy(ROOT / STYLE, folder / STYLE)
    for path, values in ((CONFIG, SETTINGS), (STUDY, TINY), (MULTIVERSE, ASKED)):
        (folder / path).write_text(yaml.safe_dump(values), encoding="utf-8")


@contextmanager
def holding(path: str, content: bytes) -> Iterator[None]:
    """A file of the working directory with other content for a while; all else must stay as it was."""
    file, before = Path(path), listing()
    good = file.read_bytes()
    file.write_bytes(content)
    try:
        yield
        assert listing() == before, "something was written"
    finally:
        file.write_bytes(good)


def light(spec: RunSpec) -> bool:
    """Whether a run trains in less than a second."""
    numbers = len(spec.seeds) * spec.devices * (spec.redundancy + spec.dimension) + spec.samples * spec.dimension
    return numbers < 10**5 and numbers * spec.iterations < 10**7 and spec.record.points(spec.iterations) < 1000


def listing() -> list[str]:
    """All that lies in the working directory."""
    return sorted(map(str, Path().rglob("*")))


def _too_long(*_: object) -> NoReturn:
    raise AssertionError(f"an input takes more than {CPU:g} s of a processor")


@contextmanager
def limited() -> Iterator[None]:
    """Fails where an input takes more time of a processor than it may, or more memory.

    What would take it for ever is interrupted, and what would take all memory ends in a MemoryError.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(status["VmSize"].split()[0]) * 1024 + 8 * ROOM, hard))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, CPU, 1)  # counts the time of this process, however busy the machine is
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < ROOM


def check(error: UserError, *files: str) -> None:
    """A complaint is one line that names one of the files, and the key or the place in it."""
    said = str(error)
    assert said.isprintable()
    assert len(said) < 3000
    assert said.startswith(tuple(f"{file}: " for file in files)) or ": cannot be read: " in said, said
    assert re.search(r"\S = .+: \S|not valid (YAML|JSON): \S|cannot be read: \S", said), said


def planned() -> Plan:
    """The plan of the working directory, with everything that the workflow asks of it. Raises UserError."""
    plan = load_plan_file(CONFIG)
    for name, spec in plan.runs.items():
        assert RunSpec.from_json(spec.canonical(), "again").run_id == name
        assert describe(spec)
    for spec in plan.allocations.values():
        assert json.loads(spec.canonical())
    for planned in plan.studies.values():
        texts = [planned.claims_json(), planned.summary_json(), *map(planned.figure_json, planned.study.plots)]
        assert not any(re.search(r"[\x00-\x1f\x7f<]", text) for text in texts)
        assert all(isinstance(json.loads(text), Mapping) for text in texts)
        assert all("\0" not in report.caption(planned.study, plot) for plot in planned.study.plots)
    return plan


def multiverse(plan: Plan) -> None:
    """The requests of the first readings. Raises UserError."""
    found = Multiverse.load(plan)
    for name in list(found.universes)[:4]:
        assert found.request(name)
