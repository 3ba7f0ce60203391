"""Snakemake started where an earlier one has left jobs in SLURM's queue, with stand-ins for SLURM's programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dag.project import TINY, Project

PLUGIN = Path(sys.prefix) / "slurm"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PLUGIN.is_dir(), reason=f"no plugin of Snakemake for SLURM in {PLUGIN} (make .venv/slurm)"),
]

SETTINGS = "AccountingStorageType = accounting_storage/none\nMinJobAge = 300 sec\nMaxArraySize = 1001"
WAITS = "7|PENDING|byzcode_0b8f2a53-6f0e-4d0e-9d3c-3c7a5f2f1c11|{}"

#: What they do, in the folder that holds the project.
PROGRAMS = {
    "scontrol": f"echo '{SETTINGS}'",
    "squeue": 'test -z "$SQUEUE_FORMAT2" && test ! -e "{0}/ended" && echo "' + WAITS.format("{0}/project") + '"; true',
    "scancel": 'echo "$@" > {0}/ended',
    "sacct": "exit 1",
    "sbatch": "exit 1",
}

#: Snakemake as a part of another program.
OTHER = "import sys; from snakemake.cli import main; main(sys.argv[1:])"


def start(root: Path, *python: str) -> subprocess.CompletedProcess[str]:
    """Snakemake, from outside the project's folder."""
    project = Project.create(root / "project", {"holding": TINY["holding"]})
    (root / "bin").mkdir()
    for name, script in PROGRAMS.items():
        (root / "bin" / name).write_text(f"#!/bin/sh\n{script.replace('{0}', str(root))}\n")
        (root / "bin" / name).chmod(0o755)
    environment = project.environment
    environment["PATH"] = os.pathsep.join([str(root / "bin"), environment["PATH"]])
    environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(PLUGIN)])
    environment["SQUEUE_FORMAT2"] = "JobID"  # of the user's own
    words = ("--directory", "project", "--snakefile", "project/Snakefile", "--profile", "project/profiles/slurm")
    return subprocess.run(
        [sys.executable, *python, *words],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_it_starts_once_more_with_the_same_words(tmp_path: Path) -> None:
    ended = start(tmp_path, "-m", "snakemake")

    assert ended.returncode == 0, ended.stdout
    assert (tmp_path / "ended").read_text() == "--state=PENDING 7\n"
    assert ended.stdout.count("1 in the queue cancelled") == 1
    assert ended.stdout.count("Building DAG of jobs") == 2
    assert len(list((tmp_path / "project/results/allocations").glob("*.nc"))) == 2


def test_as_part_of_another_program_it_asks_to_be_started_once_more(tmp_path: Path) -> None:
    ended = start(tmp_path, "-c", OTHER)

    assert ended.returncode != 0
    assert ended.stdout.count("Building DAG of jobs") == 1
    assert "start Snakemake again" in ended.stdout
    assert not (tmp_path / "project/results/allocations").exists()
