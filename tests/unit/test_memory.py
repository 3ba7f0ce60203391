"""The memory that a training takes at its peak, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from byzcode.kernels import native
from byzcode.specs.run import RunSpec

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak is read from /proc, which only Linux has"
)

MEASURED = """
import sys
from pathlib import Path
from byzcode.storage import allocations
from byzcode.training.workers import train
from byzcode.specs.run import RunSpec

spec = RunSpec.from_json(sys.argv[1], "test")
train(spec, allocations.draw(spec.allocation_spec))
# Of the process itself: ru_maxrss begins at the size of the process that started it.
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""


def peak(spec) -> float:
    """MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, spec.canonical()], capture_output=True, text=True, check=True
    )
    return float(done.stdout) / 1024


PAPER = {"problem": {"subsets": 1000, "dimension": 100}, "devices": 100, "redundancy": 40, "record": {"step": 5}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "other", [{}, {"method": "lad", "problem": {"subsets": 100}, "redundancy": 20, "pre_aggregation": "nnm"}]
)
def test_a_training_of_the_size_of_the_papers_stays_below_600_mib(other, make_spec):
    assert peak(make_spec(**{**PAPER, "seeds": 10, "iterations": 20, **other})) < 600


@pytest.mark.slow
def test_iterations_do_not_multiply_messages(make_spec):
    """Messages of 3 MB and orders of 2 kB in each of 640 iterations: kept, they would take 2 GB."""
    size = {"problem": {"subsets": 200, "dimension": 2000}, "devices": 200, "redundancy": 2, "seeds": 1}
    few, many = (peak(make_spec(**size, iterations=count)) for count in (5, 640))
    assert many < few + 60


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["devices", "subsets", "dimension"])
def test_memory_grows_at_most_linearly(letter, make_spec):
    """Ten times as much of N, of M or of D at a time: less than N D, M D and N r numbers, with what is temporary."""
    size = {
        "devices": 200,
        "subsets": 1000,
        "dimension": 100,
        letter: {"devices": 2000, "subsets": 10_000}.get(letter, 1000),
    }
    spec = make_spec(
        problem={"subsets": size["subsets"], "dimension": size["dimension"]},
        devices=size["devices"],
        redundancy=20,
        aggregation="trimmed_mean",
        seeds=1,
        iterations=3,
    )
    base = make_spec(problem={"subsets": 1000, "dimension": 100}, devices=200, redundancy=20, seeds=1, iterations=3)
    numbers = 12 * size["devices"] * size["dimension"] + 8 * size["subsets"] * size["dimension"]
    assert peak(spec) - peak(base) < 8 * numbers / 2**20 + 40


@pytest.mark.slow
@pytest.mark.skipif(native.library() is None, reason="the kernels are not compiled")
def test_a_model_of_100_000_parameters_takes_less_than_a_gigabyte_and_no_more_with_more_subsets():
    """N = 100 messages of 0.4 MB; the gradients of M = 1000 subsets alone would take 400 MB."""

    def spec(subsets):
        problem = {"name": "mlp", "subsets": subsets, "hidden": [1333], "examples": 1500}
        values = {"method": "cra_dl", "problem": problem, "devices": 100, "redundancy": 4 * subsets // 100}
        values |= {"aggregation": "median", "dtype": "float32", "seeds": 1, "iterations": 3, "record": {"step": 1}}
        return RunSpec.parse({**values, "byzantine": {"alpha": 0.2}, "step_size": 0.01}, "test")

    assert spec(1000).sizes.dimension == 99_985
    few, many = peak(spec(100)), peak(spec(1000))
    assert many < 1000
    assert many < few + 100
