"""The workflow on a GPU, in a copy of the package that takes a CPU for one, or sees none."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from dag.project import NOTHING, STUDIES, TINY, Jobs, Project

pytestmark = pytest.mark.slow  # together

CUDA = ("--config", "device=cuda")

#: Two shapes of two runs each.
SPREADS: dict[str, Any] = {
    "study": "spreads",
    "title": "Runs of equal shape",
    "base": TINY["lines"]["base"],
    "curves": [
        {
            "label": f"r = {redundancy}",
            "method": "cra_dl",
            "redundancy": redundancy,
            "grid": {"problem.sigma_h": [0, 1]},
        }
        for redundancy in (4, 6)
    ],
    "plots": {"plateau": {"kind": "sweep", "x": "problem.sigma_h", "caption": "The plateau."}},
}

#: In the place of byzcode/cuda.py: the CPU is the one GPU.
ONE_GPU = """
from contextlib import contextmanager


def count():
    return 1


@contextmanager
def reserved():
    yield "cpu"


def room():
    return 1e9
"""


def no_gpu(project: Project) -> Project:
    (project.root / "src/byzcode/execution/cuda.py").write_text("def count():\n    return 0\n", encoding="utf-8")
    return project


@pytest.fixture
def with_gpu(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "with_gpu", {"spreads": SPREADS})
    (project.root / "src/byzcode/execution/cuda.py").write_text(ONE_GPU, encoding="utf-8")
    return project


def measured(path: Path) -> dict[str, bytes]:
    with netCDF4.Dataset(path) as dataset:
        return {name: np.ma.getdata(variable[...]).tobytes() for name, variable in dataset.variables.items()}


def attribute(path: Path, name: str) -> Any:
    with netCDF4.Dataset(path) as dataset:
        return dataset.getncattr(name)


def test_without_a_gpu_nothing_is_begun(tmp_path: Path) -> None:
    project = no_gpu(Project.create(tmp_path / "project", {"spreads": SPREADS}))
    assert project.would_make(*CUDA).train == 4  # who only asks needs none
    ended = project.snakemake("--cores", "2", *CUDA)
    assert ended.returncode != 0
    assert "device = 'cuda': no CUDA device was found; allowed: cpu" in ended.stdout + ended.stderr
    assert project.files("**/*.nc") == []


def test_where_nothing_is_to_be_trained_no_gpu_is_needed(project: Project) -> None:
    no_gpu(project)
    for figure in project.files("figures/*"):
        figure.unlink()
    assert project.make(*CUDA) == Jobs(figure={"lines-loss", "lines-excess", "sweep-plateau", "holding-balance"})


def test_runs_of_one_shape_are_one_batch_and_have_the_bits_of_a_cpu(with_gpu: Project) -> None:
    everything = Jobs(allocate=2, train=4, summarise={"spreads"}, figure={"spreads-plateau"})
    assert with_gpu.make(*CUDA) == everything
    measurements = {path.name: measured(path) for path in with_gpu.files("trajectories/*.nc")}
    assert [attribute(path, "batch_runs") for path in with_gpu.files("trajectories/*.nc")] == [2, 2, 2, 2]
    assert len([path for path in with_gpu.files("logs/train/*") if "earlier batch" in path.read_text("utf-8")]) == 2
    assert with_gpu.files("batches/*.nc") == []
    assert with_gpu.would_make(*CUDA) == NOTHING
    assert with_gpu.would_make() == NOTHING  # another device is no reason
    assert with_gpu.make("--forceall") == everything
    assert {path.name: measured(path) for path in with_gpu.files("trajectories/*.nc")} == measurements


def test_what_is_made_again_is_one_batch_again(with_gpu: Project) -> None:
    """The files of the others are there, but not for long."""
    with_gpu.make(*CUDA)
    assert with_gpu.make(*CUDA, "--forcerun", "train").train == 4
    assert [attribute(path, "batch_runs") for path in with_gpu.files("trajectories/*.nc")] == [2, 2, 2, 2]


def test_only_what_is_asked_for_is_trained(with_gpu: Project) -> None:
    with_gpu.make(*CUDA)
    first, *others = with_gpu.files("trajectories/*.nc")
    for path in (first, *with_gpu.files("summaries/*.csv")):
        path.unlink()
    assert with_gpu.make(*CUDA).train == 1
    assert attribute(first, "batch_runs") == 1
    assert with_gpu.files("batches/*.nc") == []
    for path in others:
        path.unlink()
    target = str(others[0].relative_to(with_gpu.root))
    assert with_gpu.make(target, *CUDA) == Jobs(train=1)
    assert attribute(others[0], "batch_runs") == 1
    assert with_gpu.files("batches/*.nc") == []
    lists = [json.loads(path.read_text("utf-8")) for path in with_gpu.files("batches/*.json")]
    assert {others[0].stem} in [set(listed["runs"]) for listed in lists]


def test_on_a_cpu_there_are_no_batches(project: Project) -> None:
    output = project.snakemake("--dry-run", "--forceall", "--printshellcmds")
    assert "--device cpu --threads 1 >" in output.stdout
    assert "--together" not in output.stdout
    output = project.snakemake("--dry-run", "--forceall", "--printshellcmds", *CUDA)
    assert "--device cuda --together results/batches/" in output.stdout
    assert project.files("batches/*") == []


def test_what_nobody_fetched_goes_after_a_day(project: Project) -> None:
    folder = project.root / "results" / "batches"
    folder.mkdir()
    for name, age in (("old.nc", 90000), ("old.json", 90000), ("new.nc", 80000)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    project.edit(f"{STUDIES}/lines.yaml", "curves", 1, "label", to="Renamed")
    project.make()
    assert [path.name for path in project.files("batches/*")] == ["new.nc"]
