"""Snakemake killed alone: its trainings live on if they started plainly. No run is trained twice, no result is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from dag.project import STUDIES, Jobs, Project
from patience import wait_for
from slurm.submitting import Submitting

pytestmark = pytest.mark.slow

ROUNDS = max(1, int(os.environ.get("BYZCODE_FAULT_WORKFLOWS", "1")) // 5)

WAITS = "waiting for jobs of an earlier Snakemake that still run"

#: Before a process begins: a file system without locks, as far as Python sees it.
NO_LOCKS = """
import errno, fcntl

def none(*_):
    raise OSError(errno.ENOLCK, "No locks available")

fcntl.flock = fcntl.lockf = none
"""


@dataclass(frozen=True)
class Small(Submitting):
    """A project whose trainings tell that they begin, and can be held up; here, without a cluster."""

    @property
    def environment(self) -> dict[str, str]:
        found = Project.environment.__get__(self)
        plain = {"BYZCODE_WARM_STARTS": "off"}  # warm jobs end with their Snakemake: tests/dag/test_warm_starts.py
        return {**found, **plain, "PYTHONPATH": os.pathsep.join([str(self.hooks), found["PYTHONPATH"]])}

    @contextmanager
    def at_work(self) -> Iterator[subprocess.Popen[str]]:
        """Snakemake at work, which is killed alone when the block ends."""
        process = self.start("--cores", "2")
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def trained(self) -> Counter[str]:
        """How often the training of each run has begun."""
        words = [begun["words"] for begun in self.begun()]
        return Counter(Path(words_of_job[words_of_job.index("--out") + 1]).stem for words_of_job in words)

    def killed_with_two_at_work(self) -> Path:
        """Kill Snakemake alone, while two trainings are held up until the file returned is removed."""
        held = self.hold()
        with self.at_work():
            self.wait_for_trainings(2)
        return held

    def end(self) -> str:
        """Let Snakemake come to its end; what it says."""
        ended = self.snakemake("--cores", "2")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def ages(self) -> dict[str, tuple[int, int]]:
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in self.trajectories}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    project = Small.create(tmp_path / "project", {})
    project.ask_for(4)
    yield project
    for begun in project.begun():  # what a failed test has left
        with suppress(OSError):  # it has ended; another process may have its number now
            if Path(f"/proc/{begun['pid']}/cwd").readlink() == project.root:
                os.kill(begun["pid"], signal.SIGKILL)


def once(runs: int) -> list[int]:
    return [1] * runs


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
def test_killed_twice_in_a_row_each_run_is_trained_once(locks: bool, project: Small) -> None:
    if not locks:
        project.rewrite("hooks/sitecustomize.py", lambda text: NO_LOCKS + text)
    held = project.killed_with_two_at_work()
    with project.at_work():
        project.wait_for_words(WAITS)
    with project.at_work() as process:
        project.wait_for_words(WAITS)
        assert project.would_make().train == 4  # who only looks does not wait
        held.unlink()
        output = project.ended(process)

    pids = [str(begun["pid"]) for begun in project.begun()[:2]]
    assert all(f"(process {pid})" in output for pid in pids)
    assert "2 jobs of an earlier Snakemake have finished: their files are kept" in output
    assert sorted(project.trained().values()) == once(4)
    assert project.would_make() == Jobs()
    assert project.byzcode("verify").returncode == 0


def test_what_ended_meanwhile_stays_as_it_is(project: Small) -> None:
    held = project.killed_with_two_at_work()
    held.unlink()
    wait_for(lambda: not alive(project), "the trainings do not end")
    ages = project.ages()
    assert len(ages) == 2
    project.end()
    assert ages.items() <= project.ages().items()
    assert sorted(project.trained().values()) == once(4)


def alive(project: Small) -> list[int]:
    return [begun["pid"] for begun in project.begun() if Path(f"/proc/{begun['pid']}").exists()]


def test_a_training_of_other_code_is_waited_for_and_made_again(project: Small) -> None:
    project.edit(f"{STUDIES}/many.yaml", "base", "iterations", to=2000)
    with project.at_work():
        project.wait_for_trainings(2)
        logs = [project.root / "results/logs/train" / f"{run}.log" for run in project.trained()]
        wait_for(lambda: all("seed-iterations" in log.read_text() for log in logs), "nothing is trained")
        for begun in project.begun():
            os.kill(begun["pid"], signal.SIGSTOP)
    first = set(project.trained())
    project.rewrite(
        "src/byzcode/training/workers.py", lambda text: text.replace("def train(", "NEW = 1\n\n\ndef train(", 1)
    )
    with project.at_work() as process:
        project.wait_for_words(WAITS)
        assert all(f"(process {begun['pid']}, stopped)" in project.output() for begun in project.begun())
        for begun in project.begun():
            os.kill(begun["pid"], signal.SIGCONT)
        project.ended(process)
    assert {run for run, number in project.trained().items() if number == 2} == first
    assert "4 current" in project.byzcode("plan").stdout
    assert project.would_make() == Jobs()


def test_a_training_that_is_killed_itself_is_trained_again(project: Small) -> None:
    held = project.killed_with_two_at_work()
    with project.at_work() as process:
        project.wait_for_words(WAITS)
        os.kill(project.begun()[0]["pid"], signal.SIGKILL)
        os.kill(project.begun()[1]["pid"], signal.SIGSTOP)
        held.unlink()
        time.sleep(3)
        assert len(project.begun()) == 2  # the stopped one is still waited for
        os.kill(project.begun()[1]["pid"], signal.SIGCONT)
        project.ended(process)
    assert sorted(project.trained().values()) == [1, 1, 1, 2]


def test_a_nested_project_waits_for_the_jobs_of_the_outer_one(project: Small) -> None:
    nested = Small.create(project.root / "nested", {})
    nested.ask_for(4)
    project.edit("config/config.yaml", "results", to="nested/results")
    held = project.killed_with_two_at_work()
    with nested.at_work() as process:
        nested.wait_for_words(WAITS)
        held.unlink()
        nested.ended(process)
    assert sorted((project.trained() + nested.trained()).values()) == once(4)
    assert project.would_make().train == 2  # as it knows no better; it will see
    project.end()
    assert sorted((project.trained() + nested.trained()).values()) == once(4)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_killed_alone_at_random_moments(number: int, project: Small) -> None:
    project.edit(f"{STUDIES}/many.yaml", "base", "iterations", to=1500)
    chance = random.Random(number)
    ages: dict[str, tuple[int, int]] = {}
    for _ in range(chance.choice([1, 2, 3])):
        with project.at_work() as process:
            wait_for(lambda at=process: "Select jobs" in project.output() or at.poll() is not None, "nothing begins")
            time.sleep(chance.uniform(0, 10))
            ages |= project.ages()
    project.end()
    assert ages.items() <= project.ages().items()
    assert sorted(project.trained().values()) == once(4)

    alone = Small.create(project.root.parent / "alone", {})
    alone.ask_for(4)
    alone.edit(f"{STUDIES}/many.yaml", "base", "iterations", to=1500)
    alone.end()
    assert project.data() == alone.data()
