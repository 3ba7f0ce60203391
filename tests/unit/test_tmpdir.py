"""Seeds trained in several processes, wherever TMPDIR leads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, trajectories
from byzcode.training.workers import train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["long", "missing", "a file"])
def test_trainings_side_by_side_need_no_short_tmpdir(
    make_spec: Callable[..., RunSpec], tmp_path: Path, kind: str
) -> None:
    spec = make_spec(iterations=5, seeds=[0, 1, 2, 3])
    folder = tmp_path / ("x" * 150)
    if kind == "long":
        folder.mkdir()
    elif kind == "a file":
        folder.touch()

    ended = subprocess.run(
        [sys.executable, "-m", "byzcode.cli", "train", "--threads", "2", "--spec", spec.canonical(), "--out", "run.nc"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    alone = train(spec, allocations.draw(spec.allocation_spec), threads=1)
    with trajectories.open(tmp_path / "run.nc") as stored:
        assert np.array_equal(stored["loss"], alone.loss, equal_nan=True)
