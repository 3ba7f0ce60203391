"""The whole workflow, small: all that it makes, and what survives when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dag.project import NOTHING, TINY, Jobs, Project, made
from patience import wait_for, wait_for_end

from byzcode.execution.run_locks import RESULTS_LOCK, RUN_LOCKS
from byzcode.execution.workplace import JOBS
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations as allocation_file
from byzcode.storage import trajectories

pytestmark = pytest.mark.slow

FIGURES = ("lines-loss", "lines-excess", "sweep-plateau", "holding-balance")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project with all its results. Not to be changed."""
    return made(tmp_path_factory.getbasetemp() / "made")[0]


def test_every_trajectory_can_be_read(finished: Project) -> None:
    paths = finished.files("trajectories/*.nc")
    found = [trajectories.open(path) for path in paths]

    assert [dataset.attrs["run_id"] for dataset in found] == [path.stem for path in paths]
    assert sorted(dataset.attrs["title"].split()[2] for dataset in found) == ["cra_dl", "cra_dl", "rba_dl"]
    for dataset in found:
        assert dict(dataset.sizes) == {"seed": 2, "iteration": 2}
        assert dataset["loss"].notnull().all()


def test_every_allocation_can_be_read(finished: Project) -> None:
    paths = finished.files("allocations/*.nc")

    assert [allocation_file.open(path).attrs["allocation_id"] for path in paths] == [path.stem for path in paths]
    assert len(paths) == 3


def test_every_summary_has_a_row_for_each_run(finished: Project) -> None:
    summaries = {path.stem: pd.read_csv(path) for path in finished.files("summaries/*.csv")}

    assert {name: len(table) for name, table in summaries.items()} == {"lines": 3, "sweep": 2}
    assert list(summaries["lines"]["method"]) == ["rba_dl", "cra_dl", "cra_dl"]
    assert list(summaries["sweep"]["redundancy"]) == [4, 6]


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_there_in_all_formats(finished: Project, figure: str) -> None:
    folder = finished.root / "results" / "figures"

    assert (folder / f"{figure}.pdf").read_bytes().startswith(b"%PDF-")
    assert (folder / f"{figure}.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert ET.parse(folder / f"{figure}.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert all((folder / f"{figure}.{kind}").stat().st_size > 2000 for kind in ("pdf", "png", "svg"))
    assert len(pd.read_csv(folder / f"{figure}.csv"))


def test_there_is_nothing_else(finished: Project) -> None:
    names = ["allocations", "figures", "index.html", "index.sha256", "logs", "summaries", "trajectories"]

    assert [path.name for path in finished.files("*")] == names
    assert len(finished.files("figures/*")) == 5 * len(FIGURES)  # three pictures, their data, their checksums
    assert {path.name for path in finished.files("**/.*")} <= {JOBS, RESULTS_LOCK, RUN_LOCKS}  # empty, or a note


def test_a_second_call_does_nothing(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    before = {path: path.stat().st_mtime_ns for path in project.files("**/*")}

    assert project.make() == NOTHING
    assert {path: path.stat().st_mtime_ns for path in project.files("**/*")} == before


def test_the_command_line_knows_the_results(finished: Project) -> None:
    run = next(path.stem for path in finished.files("trajectories/*.nc") if "rba_dl" in trajectories.open(path).title)
    allocation = finished.files("allocations/*.nc")[0].stem

    planned = finished.byzcode("plan")
    assert "3 runs: 3 current" in planned.stdout
    assert planned.stderr == ""
    explained = finished.byzcode("explain", run[:8]).stdout
    assert explained.startswith(f"results/trajectories/{run}.nc: current\nRBA-DL: ")
    assert "Each of 6 devices holds 2 of 12 subsets, by disjoint allocation" in explained
    assert "Studies: lines." in explained
    assert f"{allocation}.nc: present" in finished.byzcode("explain", allocation).stdout


def test_a_damaged_trajectory_is_not_used(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    damaged = project.files("trajectories/*.nc")[0]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    ended = project.snakemake("--cores", "2", "--forcerun", "summarise")

    assert ended.returncode != 0
    assert f"{damaged.relative_to(project.root)}: damaged" in ended.stdout + ended.stderr
    assert "1 unreadable" in project.byzcode("plan").stdout


def test_a_truncated_trajectory_is_made_again(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    damaged = project.files("trajectories/*.nc")[0]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert "1 unreadable" in project.byzcode("plan").stdout

    ended = project.snakemake("--cores", "2")

    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert "train: 1 result is not readable" in output
    assert project.byzcode("verify").returncode == 0


# Killed.

#: The first takes seconds, the second no time.
ITERATIONS = {"long": 8000, "short": 5}
INTERRUPTED: dict[str, dict[str, Any]] = {
    name: {
        **TINY["lines"],
        "study": name,
        "base": {**TINY["lines"]["base"], "iterations": iterations, "record.step": 100},
        "curves": TINY["lines"]["curves"][:1],
        "plots": {"loss": {"kind": "trajectories", "caption": "One curve."}},
    }
    for name, iterations in ITERATIONS.items()
}


@dataclass(frozen=True)
class Run:
    """A run, by itself."""

    spec: str
    run_id: str

    @classmethod
    def of(cls, name: str) -> Run:
        """The one run of an interrupted study."""
        problem = {"name": "linear_regression", "subsets": 12, "dimension": 3}
        base = {key: value for key, value in INTERRUPTED[name]["base"].items() if "." not in key}
        spec = RunSpec.parse(
            {**base, "method": "rba_dl", "redundancy": 2, "problem": problem, "record": {"step": 100}}, name
        )
        return cls(spec.canonical(), spec.run_id)

    @property
    def path(self) -> str:
        return f"results/trajectories/{self.run_id}.nc"


LONG, SHORT = Run.of("long"), Run.of("short")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in which nothing is made yet."""
    return Project.create(tmp_path / "project", INTERRUPTED)


Data = dict[str, bytes]


def data_of(project: Project, run: Run) -> Data:
    """All variables of a trajectory, to the bit."""
    dataset = trajectories.open(project.root / run.path)
    return {str(name): array.to_numpy().tobytes() for name, array in dataset.variables.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[Run, Data]:
    """The data of both runs, trained in peace."""
    project = Project.create(tmp_path_factory.mktemp("undisturbed") / "project", {})
    for run in (LONG, SHORT):
        ended = project.byzcode("train", "--spec", run.spec, "--out", run.path)
        assert ended.returncode == 0, ended.stderr
    return {run: data_of(project, run) for run in (LONG, SHORT)}


@contextmanager
def snakemake(project: Project, run: Run, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Snakemake at work on a run, which has begun. It does not outlive the block."""
    process = project.start("--cores", "1", run.path, **options)
    try:
        wait_until(lambda: "seed-iterations" in log_of(project, run), process)
        yield process
    finally:
        kill_group(process)


def log_of(project: Project, run: Run) -> str:
    """What the training of a run has said so far."""
    log = project.root / f"results/logs/train/{run.run_id}.log"
    return log.read_text() if log.exists() else ""


def kill_group(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """Signal Snakemake and all that it has started, and wait for its end."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    wait_for_end(process)


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for something that must happen while Snakemake is at work."""
    wait_for(condition, "it did not happen", process.pid)


def parts(project: Project) -> list[Path]:
    """Files half written."""
    return project.files("trajectories/.*.part*")


GATE = """
import os, time

import byzcode.execution.progress

byzcode.execution.progress.PAUSE = 0  # a line for each recorded iteration
fsync = os.fsync

def patient(descriptor):
    while os.path.exists({gate!r}) and os.readlink(f"/proc/self/fd/{{descriptor}}").endswith({place!r}):
        time.sleep(0.05)
    fsync(descriptor)

os.fsync = patient
"""

#: Where a training can be held: before its file gets its name, and after.
BEFORE, AFTER = {run: f"{run.run_id}.nc" for run in (LONG, SHORT)}, "/trajectories"


@pytest.fixture
def close_gate(tmp_path: Path) -> Callable[[str], Path]:
    """Close a gate at a place: as long as the file returned exists, nothing is synced there.

    What is to wait needs the folder of that file first on its path.
    """

    def close(place: str) -> Path:
        gate = tmp_path / "gate" / "closed"
        gate.parent.mkdir()
        gate.touch()
        (gate.parent / "sitecustomize.py").write_text(GATE.format(gate=str(gate), place=place))
        return gate

    return close


def assert_completed(project: Project, run: Run, undisturbed: dict[Run, Data]) -> None:
    """The next call trains, allocates nothing anew, and ends with the same bits."""
    assert project.make(run.path) == Jobs(train=1)
    assert "1 current" in project.byzcode("plan").stdout
    assert data_of(project, run) == undisturbed[run]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_killed_in_a_training(
    project: Project, undisturbed: dict[Run, Data], close_gate: Callable[[str], Path], number: int
) -> None:
    # It may be too quick for the kill: then it is held before its file gets its name.
    with snakemake(project, LONG, first_on_path=close_gate(BEFORE[LONG]).parent) as process:
        wait_until(lambda: " % after " in log_of(project, LONG), process)  # before, torch may be at its imports
        kill_group(process, number)

    assert process.returncode != 0
    assert project.files("trajectories/*") == []
    assert_completed(project, LONG, undisturbed)


def test_killed_while_a_trajectory_is_written(
    project: Project, undisturbed: dict[Run, Data], close_gate: Callable[[str], Path]
) -> None:
    with snakemake(project, SHORT, first_on_path=close_gate(BEFORE[SHORT]).parent) as process:
        wait_until(lambda: parts(project), process)
        kill_group(process)

    assert len(parts(project)) == 1
    assert project.files("trajectories/*") == []
    assert_completed(project, SHORT, undisturbed)


def test_killed_before_a_trajectory_is_noted(
    project: Project, undisturbed: dict[Run, Data], close_gate: Callable[[str], Path]
) -> None:
    with snakemake(project, SHORT, first_on_path=close_gate(AFTER).parent) as process:
        wait_until(lambda: project.files("trajectories/*"), process)
        kill_group(process)

    assert data_of(project, SHORT) == undisturbed[SHORT]
    [before] = [path.stat().st_mtime_ns for path in project.files("trajectories/*")]
    again = project.snakemake("--cores", "2", SHORT.path)
    assert again.returncode == 0
    assert "1 jobs of an earlier Snakemake have finished: their files are kept" in again.stdout + again.stderr
    assert [path.stat().st_mtime_ns for path in project.files("trajectories/*")] == [before]
    assert project.make(SHORT.path) == NOTHING


def test_a_training_killed_alone(
    project: Project, undisturbed: dict[Run, Data], close_gate: Callable[[str], Path]
) -> None:
    with snakemake(project, LONG, first_on_path=close_gate(BEFORE[LONG]).parent) as process:
        for training in trainings(process):
            os.kill(training, signal.SIGKILL)
        wait_for_end(process)

    assert process.returncode == 1
    assert "Error in rule train" in project.output()
    assert project.files("trajectories/*") == []
    assert_completed(project, LONG, undisturbed)


def trainings(process: subprocess.Popen[str]) -> list[int]:
    """The process ids of the trainings that a Snakemake has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words, group = path.read_bytes().split(b"\0"), os.getpgid(int(path.parent.name))
        except OSError:
            continue
        if group == process.pid and b"train" in words:
            found.append(int(path.parent.name))
    assert found
    return found


def test_a_second_snakemake_is_refused_while_one_is_at_work(
    project: Project, undisturbed: dict[Run, Data], close_gate: Callable[[str], Path]
) -> None:
    gate = close_gate(BEFORE[SHORT])
    with snakemake(project, SHORT, first_on_path=gate.parent) as process:
        wait_until(lambda: parts(project), process)

        refused = project.snakemake("--cores", "1", SHORT.path)
        output = refused.stdout + refused.stderr
        assert refused.returncode != 0
        assert "another Snakemake is at work in this folder: wait for it, or stop it" in output
        assert "Traceback" not in output

        gate.unlink()
        assert wait_for_end(process) == 0

    assert data_of(project, SHORT) == undisturbed[SHORT]
    assert parts(project) == []
