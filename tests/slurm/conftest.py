"""One cluster of a kind for the tests of a file: without accounting, and with it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm.daemons import Cluster, missing, running
from slurm.submitting import PLUGIN, Submitting

#: CPUs of the node, whatever the machine has: so many trainings at once.
CPUS = 4

#: What must not be skipped: nothing in particular, the short tests (required), or all of them.
REQUIRED = os.environ.get("BYZCODE_SLURM", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the slow ones to ``make test-slurm``, which sets BYZCODE_SLURM = all."""
    if REQUIRED != "all":
        for item in items:
            if item.get_closest_marker("slurm") and item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="minutes on a cluster: make test-slurm runs it"))


#: SLURM's programs look for their configuration at one place: one cluster a machine at a time.
ALONE = Path(tempfile.gettempdir()) / "byzcode-slurm.lock"


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running SLURM. Where there can be none the test is skipped, unless BYZCODE_SLURM says that it must run."""
    accounting = request.param == "sacct"
    reason = missing(accounting=accounting)
    if not reason and not PLUGIN.is_dir():
        reason = f"no plugin of Snakemake for SLURM in {PLUGIN} (make .venv/slurm)"
    if reason:
        assert not REQUIRED, reason
        pytest.skip(reason)
    with ALONE.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # till tests of another process have ended theirs
        with running(tmp_path_factory.mktemp("slurm"), accounting=accounting, cpus=CPUS) as started:
            yield started


@pytest.fixture
def project(cluster: Cluster, tmp_path: Path) -> Iterator[Submitting]:
    """An empty project on the cluster, of which no job is left after the test."""
    yield Submitting.create(tmp_path / "project", {})
    cluster.cancel_all()
