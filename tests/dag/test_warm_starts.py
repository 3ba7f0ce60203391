"""Warm starts in the workflow: the same files as from plain starts, and nothing that outlives Snakemake."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import netCDF4
import pytest
from dag.project import STUDIES, TINY, Jobs, Project
from patience import wait_for, wait_for_end

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="warm starts are for Linux"),
]

SWITCH = "BYZCODE_WARM_STARTS"

#: Attributes that differ between two trainings of a run.
TIMES = {"created", "wall_seconds", "cpu_seconds", "peak_memory_mib"}

#: Notes each start of Python with a command of byzcode.
NOTE = """
import os, sys

words = [os.path.basename(word) for word in sys.orig_argv]
if words[1:2] == ["byzcode"]:
    with open(os.path.join(os.path.dirname(__file__), "..", "begun"), "a") as file:
        file.write(words[2] + "\\n")
"""


def noting(root: Path) -> Project:
    """The small project, which notes the commands that start plainly."""
    project = Project.create(root, TINY)
    (root / "src" / "sitecustomize.py").write_text(NOTE)
    return project


def plain_starts(project: Project) -> list[str]:
    path = project.root / "begun"
    return sorted(path.read_text().split()) if path.exists() else []


def content(path: Path) -> Any:
    """What a file says apart from times: its bytes, or arrays and attributes; of a list of checksums its names."""
    if path.suffix == ".sha256":
        return [line.split()[-1] for line in path.read_text().splitlines() if not line.startswith("#")]
    if path.suffix != ".nc":
        return path.read_bytes()
    with netCDF4.Dataset(path) as file:
        attributes = {name: str(file.getncattr(name)) for name in file.ncattrs() if name not in TIMES}
        return attributes, {name: (array.dtype.str, array[:].tobytes()) for name, array in file.variables.items()}


def files_of(project: Project) -> dict[str, Path]:
    results = project.root / "results"
    files = (path for path in results.rglob("*") if path.is_file())
    return {str(path.relative_to(results)): path for path in files if "logs" not in path.parts}


def survivors(project: Project) -> list[int]:
    """Processes that work in the folder of a project."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (path / "cwd").readlink() == project.root and "State:\tZ" not in (path / "status").read_text():
                found.append(int(path.name))
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """The small project made by warm starts, and by plain ones."""
    warm, plain = (noting(tmp_path_factory.mktemp(name) / "project") for name in ("warm", "plain"))
    warm.make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "off")
        plain.make()
    return warm, plain


def test_all_files_are_those_of_plain_starts(both: tuple[Project, Project]) -> None:
    warm, plain = map(files_of, both)
    assert {Path(name).suffix for name in warm} >= {".nc", ".csv", ".pdf", ".svg", ".png", ".html", ".sha256"}
    assert warm.keys() == plain.keys()
    assert [name for name in warm if content(warm[name]) != content(plain[name])] == []


def test_all_jobs_start_warm(both: tuple[Project, Project]) -> None:
    warm, plain = map(plain_starts, both)
    assert warm == []
    assert {"allocate", "train", "summarise", "figure", "gallery"} <= set(plain)


def test_the_stated_memory_is_that_of_a_plain_start(both: tuple[Project, Project]) -> None:
    peaks = []
    for project in both:
        with netCDF4.Dataset(project.files("trajectories/*.nc")[0]) as file:
            peaks.append(file.peak_memory_mib)
    assert 0.9 < peaks[0] / peaks[1] < 1.2


def test_logs_are_those_of_plain_starts(both: tuple[Project, Project]) -> None:
    logs = [
        {str(path.relative_to(project.root)): path.read_text() for path in project.files("logs/**/*.log")}
        for project in both
    ]
    assert logs[0].keys() == logs[1].keys()
    times = str.maketrans("", "", "0123456789.")
    assert {name: text.translate(times) for name, text in logs[0].items()} == {
        name: text.translate(times) for name, text in logs[1].items()
    }
    assert any("seed-iterations" in text for text in logs[0].values())


def test_few_jobs_start_plainly(both: tuple[Project, Project], tmp_path: Path) -> None:
    project = both[0].copy(tmp_path / "project")
    table = project.files("summaries/*.csv")[0].relative_to(project.root)
    (project.root / table).unlink()
    project.make(str(table))
    assert plain_starts(project) == ["summarise"]


def test_a_wrong_value_of_the_switch_gives_one_line(
    both: tuple[Project, Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "false")
    ended = both[0].snakemake("--cores", "1", "--forceall")
    assert ended.returncode != 0
    assert f"the environment: {SWITCH} = 'false': allowed: on, off" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert plain_starts(both[0]) == []


#: A Snakemake that starts two jobs, with an edit in between.
EDIT = """
import subprocess, sys
from pathlib import Path
from byzcode.execution.warm.launch import _THREADS, FEWEST, WarmStarts
import os

files = []
Path(".snakemake").mkdir(exist_ok=True)
WarmStarts.begin(FEWEST, lambda given: files.extend(given))
for number in range(3):
    job = ["byzcode", "allocate", "--spec", sys.argv[1], "--out", f"{number}.nc"]
    subprocess.run(job, pass_fds=files, env={**os.environ, **_THREADS}, check=True)
    source = Path("src/byzcode/storage/allocations.py")
    if number == 0:
        source.write_text(source.read_text() + "\\nNEW = 1\\n")
WarmStarts.end()
"""

SPEC = (
    '{"allocation": {"name": "random", "side": "device"}, "devices": 6, "redundancy": 4, "seeds": [0], "subsets": 12}'
)


def test_after_an_edit_jobs_run_the_new_code(tmp_path: Path) -> None:
    project = noting(tmp_path / "project")
    ended = project.run(sys.executable, "-P", "-c", EDIT, SPEC)
    assert ended.returncode == 0, ended.stderr
    assert plain_starts(project) == ["allocate"]  # the job after the edit; the next one has a new server
    assert project.run("byzcode", "allocate", "--spec", SPEC, "--out", "plain.nc").returncode == 0
    digests = []
    for name in ("0", "1", "2", "plain"):
        with netCDF4.Dataset(project.root / f"{name}.nc") as file:
            digests.append(file.engine_digest)
    assert digests[0] != digests[3]
    assert digests[1:] == [digests[3]] * 3


# --- ends ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(tmp_path: Path) -> Project:
    """A project whose trainings take a while."""
    project = Project.create(tmp_path / "project", {"lines": TINY["lines"]})
    project.edit(f"{STUDIES}/lines.yaml", "base", "iterations", to=3_000_000)
    return project


def at_work(project: Project) -> subprocess.Popen[str]:
    """Snakemake, as soon as a training is at work."""
    process = project.start("--cores", "2")
    wait_for(
        lambda: any("seed-iterations" in path.read_text() for path in project.files("logs/train/*.log")),
        "no training begins",
        process.pid,
    )
    return process


def test_snakemake_killed_alone_ends_its_jobs_and_the_next_goes_on(busy: Project) -> None:
    process = at_work(busy)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not survivors(busy), "some processes do not end")
    busy.edit(f"{STUDIES}/lines.yaml", "base", "iterations", to=5)
    assert busy.make().train == 3
    assert busy.byzcode("verify").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_for_all_ends_all(number: int, busy: Project) -> None:
    """As by Ctrl-C."""
    process = at_work(busy)
    os.killpg(process.pid, number)
    assert wait_for_end(process) != 0
    wait_for(lambda: not survivors(busy), "some processes do not end")
    assert busy.files("trajectories/*.nc") == []
    assert not [path for path in files_of(busy) if ".part." in path and number == signal.SIGINT]


def test_all_killed_at_random_moments_nothing_stays_and_nothing_is_lost(tmp_path: Path) -> None:
    project, chance = Project.create(tmp_path / "project", TINY), random.Random(0)
    for how in (os.kill, os.killpg, os.kill):
        process = project.start("--cores", "2")
        wait_for(lambda: "Select jobs" in project.output(), "nothing begins", process.pid)
        time.sleep(chance.uniform(0, 5))
        with suppress(ProcessLookupError):
            how(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not survivors(project), "some processes do not end")
    project.make()
    assert project.would_make() == Jobs()
    assert project.byzcode("verify").returncode == 0
