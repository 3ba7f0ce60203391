"""How two runs differ: closed forms, and the command that prints it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from unit.commands import RUN, Call, byzcode, complaint

from byzcode.analysis.difference import Change, Difference, Largest, Level, changes, difference
from byzcode.provenance.content import canonical
from byzcode.specs.run import RunSpec
from byzcode.storage.netcdf import Stored
from byzcode.storage.trajectories import variables_of

__all__ = ["byzcode"]

NAN = np.nan


def stored(loss: Any, seeds: list[int], **fields: Any) -> Stored[RunSpec]:
    """A run as if it had been read, with one recorded quantity (seeds, iterations); iterations 0, 2, 4."""
    values: NDArray[np.float64] = np.asarray(loss, dtype=np.float64)
    spec = RunSpec.parse({**RUN, "seeds": seeds, **fields}, "test")
    arrays = {"seed": np.asarray(seeds), "iteration": 2 * np.arange(values.shape[1]), "loss": values}
    variables = {name: variables_of(spec)[name] for name in arrays}
    return Stored(spec, {"engine_digest": "one", "torch_version": "2"}, arrays, variables, {})


def loss_of(found: Difference) -> Any:
    (quantity,) = found.quantities
    return quantity


def test_the_largest_differences_are_paired_by_seed_and_iteration() -> None:
    left = stored([[8.0, 4.0, 2.0], [10.0, 5.0, 1.0]], [0, 1])
    right = stored([[10.0, 8.0, 1.5], [9.0, 9.0, 9.0], [8.0, 4.0, 2.0]], [1, 7, 0])

    found = difference(left, right)

    assert (found.seeds, found.iterations) == ([0, 1], 3)
    compared = loss_of(found)
    assert compared.absolute == Largest(3.0, seed=1, iteration=2)
    assert compared.relative == Largest(3 / 8, seed=1, iteration=2)
    assert (compared.pairs, compared.alone) == (6, 0)
    assert compared.left == Level(4, 1.5, 1.25, 1.75)
    assert compared.right == Level(4, 2.0, 1.75, 5.5)
    assert found.spec == [Change("seeds", [0, 1], [1, 7, 0])]
    assert not found.identical


def test_an_ended_seed_counts_as_the_worst_and_is_in_no_pair() -> None:
    found = difference(
        stored([[1.0, NAN, NAN], [1.0, 3.0, 2.0]], [0, 1]), stored([[1.0, 5.0, 0.0], [1.0, 3.0, 4.0]], [0, 1])
    )

    compared = loss_of(found)
    assert (compared.pairs, compared.alone) == (4, 2)
    assert compared.absolute == Largest(2.0, seed=1, iteration=4)
    assert compared.left.median == np.inf
    assert compared.right.median == 2.0


def test_zero_against_zero_is_no_difference() -> None:
    compared = loss_of(difference(stored([[0.0, 0.0]], [0]), stored([[0.0, -1.0]], [0])))
    assert compared.relative == Largest(1.0, seed=0, iteration=2)
    same = difference(stored([[0.0, NAN]], [0]), stored([[0.0, NAN]], [0]))
    assert same.identical
    assert loss_of(same).relative == Largest(0.0, seed=0, iteration=0)
    assert [*same.spec, *same.made_by, *same.sources] == []


def test_without_a_common_seed_only_the_levels_are_told() -> None:
    found = difference(stored([[1.0, 2.0]], [0]), stored([[1.0, 3.0]], [1]))
    assert found.seeds == []
    assert (loss_of(found).absolute, loss_of(found).pairs) == (None, 0)
    assert loss_of(found).right.median == 3.0


def test_a_component_differs_by_its_name_and_its_options() -> None:
    left = stored([[1.0]], [0], attack={"name": "sign_flip", "coefficient": -2.0})
    right = stored([[1.0]], [0], attack={"name": "none"}, step_size=0.25)
    assert list(difference(left, right).spec) == [
        Change("attack", "sign_flip", "none"),
        Change("attack.coefficient", -2.0, None),
        Change("attack.of", "own", None),
        Change("step_size", 0.5, 0.25),
    ]


def test_the_keys_of_both_sides_are_looked_at() -> None:
    assert list(changes({"a": 1, "b": 2}, {"b": 3, "c": 4})) == [
        Change("a", 1, None),
        Change("b", 2, 3),
        Change("c", None, 4),
    ]


@pytest.fixture
def runs(tmp_path: Path, byzcode: Call, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two trained runs in a folder of results; returns their ids."""
    monkeypatch.chdir(tmp_path)
    ids = []
    for changed in ({}, {"step_size": 0.25}):
        spec = RunSpec.parse({**RUN, **changed}, "test")
        path = f"results/trajectories/{spec.run_id}.nc"
        assert byzcode("train", "--spec", canonical({**RUN, **changed}), "--out", path).code == 0
        ids.append(spec.run_id)
    return ids


def test_the_command_takes_ids_and_files(runs: list[str], byzcode: Call) -> None:
    left, right = runs
    printed = byzcode("compare", left[:6], f"results/trajectories/{right}.nc")
    same = byzcode("compare", left, left)

    assert printed.code == same.code == 0
    assert "step_size" in printed.out
    assert "excess_loss" in printed.out
    assert "over 2 seeds and " in printed.out
    assert "All numbers are the same, to the bit." in same.out


def test_programs_get_json(runs: list[str], byzcode: Call) -> None:
    found = json.loads(byzcode("compare", *runs, "--json").out)

    assert found["spec"] == [{"key": "step_size", "left": 0.5, "right": 0.25}]
    assert found["seeds"] == [0, 1]
    assert {"loss", "bits_sent"} <= {quantity["name"] for quantity in found["quantities"]}


def test_a_run_that_is_not_there_is_told_in_one_line(runs: list[str], byzcode: Call) -> None:
    left, _ = runs
    assert complaint(byzcode("compare", left, "xyz")).startswith(
        "byzcode compare: RUN = 'xyz': no such run in results/trajectories; allowed: the id of one, or a file"
    )
    assert complaint(byzcode("compare", left, "gone.nc")) == "gone.nc: no such file"
    assert "RUN = '': no such run" in complaint(byzcode("compare", left, ""))
