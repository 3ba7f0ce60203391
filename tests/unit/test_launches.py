"""How many operations the loop hands to a GPU in an iteration: there each costs a launch, whatever its size."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from byzcode.kernels import order
from byzcode.storage import allocations
from byzcode.training.batch import Part, assemble
from byzcode.training.loop import loop

#: What only gives the same memory another shape, or makes none, is no launch.
FREE = {
    "alias",
    "as_strided",
    "detach",
    "empty",
    "empty_like",
    "expand",
    "permute",
    "select",
    "slice",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unsqueeze",
    "view",
    "_unsafe_view",
    "diagonal",
}


class Launches(TorchDispatchMode):
    """Counts what is dispatched, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name not in FREE:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def launched(spec, iterations: int) -> list[str]:
    """What a run of so many iterations launches."""
    spec = spec.model_copy(update={"iterations": iterations})
    order._firsts.cache_clear()  # else only the first run would make these numbers
    parts = [Part(spec, spec.seeds, allocations.draw(spec.allocation_spec))]
    with torch.no_grad():  # in inference mode torch hides what an operation is made of
        batch = assemble(parts, "meta")
        with Launches() as counted:
            loop(batch, lambda _: None)
    return counted.names


def an_iteration(spec) -> float:
    """What one iteration more launches, without the start and the end of a run."""
    return (len(launched(spec, 20)) - len(launched(spec, 10))) / 10


LAD = {"method": "lad", "redundancy": 12, "problem": {"subsets": 20}, "aggregation": "trimmed_mean"}
NNM = {**LAD, "method": "com_lad", "pre_aggregation": "nnm"}

#: At most so many launches an iteration, two more than at present (four of Com-LAD): a change for the worse shows.
BOUNDS = {
    "CRA-DL, median, sign flip": ({}, 22),
    "CRA-DL, median, sign flip, one seed": ({"seeds": [3]}, 17),
    "LAD, redrawn, trimmed mean": (LAD, 24),
    "Com-LAD, redrawn, random k, NNM, trimmed mean": (NNM, 158),
}

#: So many more where an iteration is recorded.
RECORDED = 90


@pytest.mark.parametrize("name", BOUNDS)
def test_an_iteration_launches_no_more_than_it_did(name, make_spec):
    fields, bound = BOUNDS[name]
    assert an_iteration(make_spec(**{"record": {"step": 1000}} | fields)) <= bound


@pytest.mark.parametrize("name", BOUNDS)
def test_a_record_launches_no_more_than_it_did(name, make_spec):
    fields, _ = BOUNDS[name]
    often, seldom = (an_iteration(make_spec(**{"record": {"step": step}} | fields)) for step in (1, 1000))
    assert often - seldom <= RECORDED


@pytest.mark.parametrize("fields", [{}, LAD])
def test_a_batch_of_many_launches_what_a_batch_of_two_does(fields, make_spec):
    few, many = (an_iteration(make_spec(**{"record": {"step": 1000}, "seeds": seeds} | fields)) for seeds in (2, 20))
    assert few == many


def test_what_is_composed_is_counted_in_its_parts():
    local = torch.empty(3, 4, device="meta")
    with torch.no_grad(), Launches() as counted:
        local.mT.reshape(-1)  # a copy
        local.view(-1).add_(1).mul(2)
    assert counted.names == ["clone", "add_", "mul"]
