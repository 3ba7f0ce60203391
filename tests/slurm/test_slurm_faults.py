"""What goes wrong on clusters: each time the workflow comes to its end, or says in one line why it cannot."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from patience import wait_for
from slurm.daemons import Cluster
from slurm.submitting import LOOKS, Submitting

pytestmark = pytest.mark.slurm

on_squeue = pytest.mark.parametrize("cluster", ["squeue"], indirect=True)
on_both = pytest.mark.parametrize("cluster", ["squeue", "sacct"], indirect=True)
on_sacct = pytest.mark.parametrize("cluster", ["sacct"], indirect=True)


@on_sacct
def test_a_training_cancelled_by_hand_is_trained_again(project: Submitting, cluster: Cluster) -> None:
    project.ask_for(2)
    held = project.hold()
    with project.submitting() as process:
        project.wait_for_trainings(2)
        cluster.ask("scancel", cluster.queue("--format=%i")[0])
        project.wait_for_words("SLURM status is: 'CANCELLED")
        held.unlink()
        project.ended(process)

    assert len(project.begun()) == 3
    assert len(project.trajectories) == 2


@pytest.mark.slow
@on_squeue
def test_over_memory_it_is_trained_again_with_more(project: Submitting) -> None:
    """1000 MB at first, 2000 MB then."""
    project.ask_for(1)
    (project.hooks / "megabytes").write_text("1200")
    ended = project.submit()

    assert ended.returncode == 0, ended.stdout
    assert len(project.begun()) == 2
    assert len(project.trajectories) == 1


@pytest.mark.slow
@on_both
def test_over_time_it_is_trained_again_with_more(project: Submitting) -> None:
    project.ask_for(1)
    held = project.hold()
    with project.submitting("--set-resources", "train:runtime=attempt") as process:
        project.wait_for_words("SLURM status is: 'TIMEOUT'")
        held.unlink()
        project.ended(process)

    assert len(project.begun()) == 2
    assert len(project.trajectories) == 1


@pytest.mark.slow
@on_squeue
def test_on_a_drained_node_jobs_wait(project: Submitting, cluster: Cluster) -> None:
    project.ask_for(2)
    cluster.node(state="drain", reason="test")
    try:
        with project.submitting() as process:
            wait_for(lambda: len(cluster.queue("--states=PENDING")) == 2, "not all are submitted", looks=LOOKS)
            time.sleep(5)  # the scheduler has had its turn
            assert project.begun() == []
            cluster.node(state="resume")
            project.ended(process)
    finally:
        resume(cluster)
    assert len(project.begun()) == len(project.trajectories) == 2


@pytest.mark.slow
@on_squeue
def test_a_node_drained_under_a_training_lets_it_end(project: Submitting, cluster: Cluster) -> None:
    project.ask_for(6)
    held = project.hold()
    try:
        with project.submitting() as process:
            project.wait_for_trainings(4)
            cluster.node(state="drain", reason="test")
            held.unlink()
            wait_for(lambda: len(project.trajectories) == 4, "what ran does not end", looks=LOOKS)
            wait_for(lambda: len(cluster.queue()) == 2, "what waits does not wait", looks=LOOKS)
            cluster.node(state="resume")
            project.ended(process)
    finally:
        resume(cluster)
    assert len(project.begun()) == len(project.trajectories) == 6


def resume(cluster: Cluster) -> None:
    if "drain" in cluster.node_state():
        cluster.node(state="resume")


@pytest.mark.slow
@on_both
@pytest.mark.parametrize("jobs", [False, True], ids=["slurmd alone", "slurmd and its jobs"])
def test_slurmd_killed_and_started_again(project: Submitting, cluster: Cluster, jobs: bool) -> None:
    """As a daemon that dies, or as a machine that loses its power, and comes again."""
    project.ask_for(2)
    held = project.hold()
    with project.submitting() as process:
        project.wait_for_trainings(2)
        cluster.kill_node(jobs=jobs)
        wait_for(lambda: "down" in cluster.node_state(), "the node is not missed", looks=LOOKS)
        cluster.start_node()
        held.unlink()
        project.ended(process)

    assert len(project.trajectories) == 2
    assert "2 current" in project.byzcode("plan").stdout


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own for a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def fill(folder: Path) -> Path:
    """Fill a file system to the last byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


@pytest.mark.slow
@on_squeue
def test_a_disk_that_fills_up_is_named_and_the_run_goes_on_when_there_is_room(project: Submitting) -> None:
    project.ask_for(1)
    (project.hooks / "speak").touch()  # a log that has a line has room for another
    held = project.hold()
    with mounted(project.root / "results", "4m") as results, project.submitting() as process:
        project.wait_for_trainings(1)
        filler = fill(results)
        held.unlink()
        project.wait_for_words(".nc: cannot be written: ")
        [line] = {line.strip() for line in project.output().splitlines() if "cannot be written" in line}
        assert line.startswith("byzcode: results/trajectories/")
        filler.unlink()
        assert "Traceback" not in project.ended(process)
        assert len(project.trajectories) == 1


@pytest.mark.slow
@on_squeue
def test_a_disk_on_which_not_even_a_log_has_room_is_told_of_in_the_end(project: Submitting) -> None:
    project.ask_for(1)
    held = project.hold()
    with mounted(project.root / "results", "4m") as results, project.submitting("--retries", "0") as process:
        project.wait_for_trainings(1)
        fill(results)
        held.unlink()
        assert process.wait() == 1
        assert "results: cannot be written: No space left on device" in project.output()
        assert "Traceback" not in project.output()


@on_squeue
@pytest.mark.parametrize(
    ("option", "reason"), [("remount,ro", "Read-only file system"), ("remount,size=8k", "No space left on device")]
)
def test_results_that_cannot_be_written_are_found_before_anything_runs(
    project: Submitting, option: str, reason: str
) -> None:
    project.ask_for(1)
    with mounted(project.root / "results", "4m") as results:
        mount("-o", option, str(results))
        ended = project.submit()

    assert ended.returncode == 1
    assert f"results: cannot be written: {reason}" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert project.begun() == []
