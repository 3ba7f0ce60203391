"""Trainings on a cluster: submitted, seen to end by either route, as arrays, on a GPU, after a Snakemake was killed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from dag.project import ROOT, Jobs
from patience import wait_for
from slurm.daemons import Cluster
from slurm.submitting import Submitting, jobs_in

pytestmark = pytest.mark.slurm

on_squeue = pytest.mark.parametrize("cluster", ["squeue"], indirect=True)
on_sacct = pytest.mark.parametrize("cluster", ["sacct"], indirect=True)

QUICK_STUDIES = ROOT / "config/quick/studies"

#: What is said of both kinds of cluster.
SAID = {
    "squeue": "SLURM: squeue reports the state of jobs; this cluster has no accounting",
    "sacct": "SLURM: sacct reports the state of jobs; this cluster has accounting",
}

ARRAYS = ("--slurm-array-jobs", "train,reading")


def make_studies(project: Submitting, names: Sequence[str], *arguments: str) -> str:
    """Some of the quick studies through the cluster, and nothing is left to be done; what Snakemake said."""
    project.take_studies(QUICK_STUDIES, *names)
    planned = jobs_in(project.snakemake("--dry-run").stdout)
    ended = project.submit(*arguments)
    assert ended.returncode == 0, ended.stdout
    assert jobs_in(ended.stdout) == planned
    assert "Nothing to be done" in project.snakemake("--dry-run").stdout
    return ended.stdout


@on_squeue
def test_a_quick_study_without_accounting(project: Submitting) -> None:
    output = make_studies(project, ["cra-a"])

    assert SAID["squeue"] in output
    assert output.count("has been submitted with SLURM jobid") == 7  # the short rules ran here
    assert project.files("figures/cra-a-loss.pdf")
    assert project.files("scorecard.html")


@on_sacct
def test_a_quick_study_with_accounting_as_arrays(project: Submitting) -> None:
    output = make_studies(project, ["lad-a"], *ARRAYS)

    assert SAID["sacct"] in output
    assert "Submitted array job" in output
    assert project.files("figures/lad-a-*.pdf")


@pytest.mark.slow
@on_sacct
def test_all_quick_studies_as_arrays(project: Submitting) -> None:
    output = make_studies(project, [path.stem for path in QUICK_STUDIES.glob("*.yaml")], *ARRAYS)

    assert "Submitted array job" in output


@pytest.mark.slow
@on_squeue
def test_arrays_without_accounting(project: Submitting) -> None:
    project.ask_for(3)
    ended = project.submit(*ARRAYS)

    assert ended.returncode == 0, ended.stdout
    assert "Submitted array job" in ended.stdout
    assert len(project.trajectories) == 3


@on_squeue
def test_arrays_that_do_not_fit_are_refused(project: Submitting) -> None:
    project.ask_for(3)
    ended = project.submit(*ARRAYS, "--jobs", "2")

    assert ended.returncode == 1
    assert "slurm-array-jobs: jobs = 2: allowed: 3 or more, the number of jobs that are submitted" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert project.trajectories == []


@pytest.mark.slow
@on_squeue
def test_a_gpu_a_training(project: Submitting) -> None:
    """The one of the test is none: the training says so."""
    project.ask_for(1)
    ended = project.submit("--retries", "0", profile="slurm-gpu")

    assert ended.returncode == 1
    [training] = project.begun()
    assert training["gpus"] == "0"
    assert training["words"][training["words"].index("--device") + 1] == "cuda"
    assert "--together" not in training["words"]
    assert "byzcode: --device cuda: no CUDA device is available" in ended.stdout
    assert project.trajectories == []


@on_squeue
def test_killed_and_started_again_while_jobs_run_and_wait(project: Submitting, cluster: Cluster) -> None:
    """What runs ends, what waits is cancelled; none is trained twice at once, and none that ended is trained again."""
    project.ask_for(5)
    held = project.hold()
    with project.submitting():
        project.wait_for_trainings(4)
        wait_for(lambda: len(cluster.queue()) == 5, "not all are submitted")
    with project.submitting() as process:
        project.wait_for_words("jobs of an earlier Snakemake in this folder: 1 in the queue cancelled; 4 still run")
        assert len(cluster.queue()) == 4
        held.unlink()
        output = project.ended(process)

    assert "Traceback" not in output
    trained = [training["words"][training["words"].index("--out") + 1] for training in project.begun()]
    assert len(trained) == len(set(trained)) == len(project.trajectories) == 5
    assert project.would_make() == Jobs()
    assert project.data() == undisturbed(project)


def undisturbed(project: Submitting) -> dict[str, dict[str, bytes]]:
    """The data of the same runs, trained here in peace."""
    alone = Submitting.create(project.root.parent / "alone", {})
    alone.ask_for(5)
    alone.make()
    return alone.data()


@pytest.mark.slow
@on_squeue
def test_a_second_snakemake_is_refused_while_one_is_at_work(project: Submitting) -> None:
    project.ask_for(1)
    held = project.hold()
    with project.submitting() as process:
        project.wait_for_trainings(1)
        second = project.submit()
        assert second.returncode == 1
        assert "another Snakemake is at work in this folder: wait for it, or stop it" in second.stdout
        held.unlink()
        project.ended(process)

    assert len(project.begun()) == 1
