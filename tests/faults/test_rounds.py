"""`make quick`, killed at random moments and started again: nothing lost, no bit changed.

A workflow that is killed five times on its way by default; `make test-faults` has fifty that are killed once each.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from dag.groups import members
from dag.project import ROOT, Project

from byzcode.storage import trajectories

pytestmark = pytest.mark.slow

WORKFLOWS = int(os.environ.get("BYZCODE_FAULT_WORKFLOWS", "1"))
KILLS = int(os.environ.get("BYZCODE_FAULT_KILLS", "5"))

MAKE_QUICK = ("--cores", "2", "--configfile", "config/quick/config.yaml")
TRAJECTORIES = "quick/trajectories/*.nc"


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody killed leaves behind, and how many jobs it had."""

    jobs: int
    files: frozenset[str]
    trajectories: dict[str, dict[str, bytes]]


def quick(root: Path) -> Project:
    """The project as it is, without results."""
    without = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("src", "workflow", "profiles", "config"):
        shutil.copytree(ROOT / folder, root / folder, ignore=without)
    shutil.copy(ROOT / "Snakefile", root)
    return Project(root)


def complete(project: Project) -> int:
    """Let the workflow run to its end, and say how many jobs it had."""
    process = project.start(*MAKE_QUICK)
    try:
        status = process.wait()
    finally:
        kill(process)
    assert status == 0, project.output()
    assert "Traceback" not in project.output()
    return ended_jobs(project)


def ended_jobs(project: Project) -> int:
    """How many jobs the Snakemake that was started last has seen to their end."""
    return project.output().count("Finished jobid: ")


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to Snakemake and to all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def survivors(project: Project) -> list[str]:
    """Processes that still work in the folder of a project."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cwd").readlink() == project.root and "State:\tZ" not in (folder / "status").read_text():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def nobody_left(project: Project, group: int) -> bool:
    """Whether nobody works there any more, once the kill of a process group has come to all its members."""
    while members(group):
        time.sleep(0.1)
    return not survivors(project)


def data_of(path: Path) -> dict[str, bytes]:
    """All variables of a trajectory, to the bit."""
    return {str(name): array.to_numpy().tobytes() for name, array in trajectories.open(path).variables.items()}


def left(project: Project) -> frozenset[str]:
    """All files of the results, hidden ones too, but the logs."""
    results = project.root / "results/quick"
    files = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return frozenset(str(path) for path in files if path.parts[0] != "logs")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    project = quick(tmp_path_factory.mktemp("undisturbed"))
    jobs = complete(project)
    trajectories = {path.name: data_of(path) for path in project.files(TRAJECTORIES)}
    assert len(trajectories) > 30
    return Undisturbed(jobs, left(project), trajectories)


@pytest.mark.parametrize("number", range(WORKFLOWS))
def test_killed_at_random_moments_it_goes_on_to_the_same_bits(
    number: int, undisturbed: Undisturbed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, chance, killed = quick(tmp_path / "project"), random.Random(number), 0
    for _ in range(KILLS):
        jobs = chance.randint(0, 2 * undisturbed.jobs // (KILLS + 1))  # so that the last one is before the end
        process = project.start(*MAKE_QUICK)
        while ended_jobs(project) < jobs and process.poll() is None:
            time.sleep(0.1)
        time.sleep(chance.uniform(0, 3))  # in the middle of a job, or before the first
        ended = process.poll() is not None
        kill(process)
        killed += not ended
        assert nobody_left(project, process.pid), survivors(project)
        there = len(project.files(TRAJECTORIES))
        with capsys.disabled():
            how = "had ended" if ended else "killed"
            print(f"\nworkflow {number}: {how} after {jobs} jobs, {there} trajectories there", end="")

    assert killed >= KILLS // 2
    jobs = complete(project)

    litter = {name for name in left(project) if ".part." in name}  # swept away after an hour, when none can be at work
    assert left(project) - litter == undisturbed.files
    assert {path.name: data_of(path) for path in project.files(TRAJECTORIES)} == undisturbed.trajectories
    with capsys.disabled():
        print(f"; {jobs} jobs to the end, {len(litter)} half-written files left", end="")
    shutil.rmtree(project.root)
