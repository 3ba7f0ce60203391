"""What all tests share: reproducible hypothesis examples, one torch thread, and small runs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from byzcode.specs.run import RunSpec

settings.register_profile(
    "byzcode",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("byzcode")

# A shell lets what it starts in the background ignore Ctrl-C; the tests that send it would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of the CNN as slow: its iterations take ten times as long as those of other problems."""
    if "cnn" in item.name.lower():
        item.add_marker(pytest.mark.slow)


MakeSpec = Callable[..., RunSpec]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tests run beside each other, and the engine sets the number of threads: leave it as it was."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_spec() -> MakeSpec:
    """A small run; keyword arguments replace its fields, and those of ``problem`` are merged into it."""

    def make(**changes: Any) -> RunSpec:
        problem = {"name": "linear_regression", "subsets": 60, "dimension": 7, **changes.pop("problem", {})}
        values: dict[str, Any] = {
            "method": "cra_dl",
            "problem": {key: value for key, value in problem.items() if value is not None},
            "devices": 20,
            "redundancy": 12,
            "aggregation": "median",
            "attack": "sign_flip",
            "byzantine": {"alpha": 0.2},
            "iterations": 50,
            "record": {"step": 1},
            "seeds": [3, 0],
            **changes,
        }
        return RunSpec.parse({key: value for key, value in values.items() if value is not None}, "test")

    return make
