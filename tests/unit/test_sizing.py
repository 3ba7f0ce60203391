"""How much work runs are: rates, and what they come to as jobs."""

from __future__ import annotations

import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byzcode.execution import forecast
from byzcode.execution.forecast import JOB, STEP, Rate, grouped, kind_of, measure, size
from byzcode.storage import allocations as allocation
from byzcode.storage import seal, trajectories
from byzcode.training.workers import train


@pytest.fixture
def store(tmp_path):
    """Put a trajectory into a folder, with what its training is to have cost."""

    def write(spec, name="run", /, **attributes):
        path = tmp_path / f"{name}.nc"
        assigned = allocation.draw(spec.allocation_spec)
        spent = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
        trajectories.write(path, spec, train(spec, assigned), assigned, **spent)
        with netCDF4.Dataset(path, "a") as file:
            file.delncattr("cpu_seconds")
            file.setncatts({"peak_memory_mib": 250.0} | attributes)
        seal.seal(path)
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def start(monkeypatch):
    """The start of a process takes two seconds here."""
    monkeypatch.setattr(forecast, "start_seconds", lambda: 2.0)


@pytest.mark.parametrize(
    "changes",
    [{"seeds": [5]}, {"iterations": 7}, {"step_size": 0.1}, {"attack": {"name": "sign_flip", "coefficient": -9}}],
    ids=str,
)
def test_a_kind_is_what_settles_the_cost_of_an_iteration(make_spec, changes):
    assert kind_of(make_spec(**changes)) == kind_of(make_spec())


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregation": "phocas"},
        {"attack": "alie"},
        {"redundancy": 13},
        {"devices": 21},
        {"byzantine": {"alpha": 0.3}},
        {"dtype": "float32"},
        {"compression": "top_k"},
        {"pre_aggregation": "nnm"},
        {"assignment": "redrawn"},
        {"problem": {"dimension": 8}},
        {"method": "sgc_dl", "aggregation": None},
    ],
    ids=str,
)
def test_another_kind_has_a_rate_of_its_own(make_spec, changes):
    assert kind_of(make_spec(**changes)) != kind_of(make_spec())


def test_a_stored_rate_is_that_of_a_seed_iteration(make_spec, store):
    stored, wanted = make_spec(seeds=4, iterations=50), make_spec(seeds=10, iterations=500)
    folder = store(stored, cpu_seconds=8.0)  # 0.04 s an iteration of a seed

    sized = size({"wanted": wanted}, folder)

    assert sized.seconds == {"wanted": pytest.approx(2 + 10 * 500 * 0.04)}
    assert (sized.stored, sized.memory) == (1, 250)


def test_of_several_stored_ones_the_slowest_and_the_largest_count(make_spec, store):
    store(make_spec(), "one", cpu_seconds=1.0, peak_memory_mib=300.0)
    folder = store(make_spec(), "other", cpu_seconds=3.0)

    sized = size({"wanted": make_spec()}, folder)

    assert sized.total(["wanted"]) == pytest.approx(5)
    assert sized.memory == 300


@pytest.mark.parametrize(
    "attributes",
    [
        {"cpu_seconds": 9.0, "device": "cuda"},
        {},
        {"cpu_seconds": [9.0, 9.0]},
        {"cpu_seconds": "long"},
        {"cpu_seconds": np.nan},
        {"cpu_seconds": 9.0, "device": ["cpu", "cpu"]},
        {"cpu_seconds": 9.0, "spec": 7},
        {"cpu_seconds": 9.0, "spec": "{"},
    ],
    ids=["of a GPU", "without a time", "two times", "a word", "no number", "two devices", "no text", "no spec"],
)
def test_what_says_nothing_of_this_kind_is_measured(make_spec, store, monkeypatch, attributes):
    monkeypatch.setattr(forecast, "measure", lambda spec: Rate(seed=1.0, iteration=0.5, stored=False))
    folder = store(make_spec(), **attributes)

    sized = size({"wanted": make_spec(seeds=2, iterations=10)}, folder)

    assert sized.total(["wanted"]) == pytest.approx(2 + 2 * (1 + 10 * 0.5))
    assert sized.stored == 0
    assert sized.memory > 50  # of this process


def flip(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"cpu_seconds")] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"no NetCDF"), flip, lambda path: (path.unlink(), os.mkfifo(path))]
)
def test_a_damaged_file_is_passed_over(make_spec, store, monkeypatch, damage):
    monkeypatch.setattr(forecast, "measure", lambda spec: Rate(seed=1.0, iteration=0.0, stored=False))
    folder = store(make_spec(), cpu_seconds=1.0)
    damage(folder / "run.nc")

    assert size({"wanted": make_spec()}, folder).stored == 0


def test_each_kind_is_measured_once(make_spec, monkeypatch):
    measured = []
    monkeypatch.setattr(forecast, "measure", lambda spec: measured.append(spec) or Rate(0.0, 0.0, stored=False))

    size({str(n): make_spec(seeds=[n]) for n in range(5)} | {"other": make_spec(attack="alie")}, Path("nowhere"))

    assert len(measured) == 2


def test_a_measured_rate_is_positive_and_takes_few_iterations(make_spec, monkeypatch):
    from byzcode.training import workers

    done = []
    train = workers.train
    monkeypatch.setattr(workers, "train", lambda spec, assigned: done.append(spec) or train(spec, assigned))

    rate = measure(make_spec(seeds=10, iterations=100_000))

    assert rate.iteration > 0
    assert rate.seed >= 0
    assert max(len(spec.seeds) * spec.iterations for spec in done) <= 200


def test_groups_by_hand():
    jobs = grouped([10.0, 20.0, 30.0], 2, at_once=1)

    assert jobs.jobs == 2
    assert jobs.cpu_hours == pytest.approx((60 + 2 * JOB + 3 * STEP) / 3600)
    assert jobs.mean_minutes == pytest.approx((30 + JOB + 1.5 * STEP) / 60)
    assert jobs.longest_minutes == pytest.approx((60 + JOB + 2 * STEP) / 60)
    assert jobs.hours == pytest.approx(jobs.cpu_hours)
    assert grouped([10.0, 20.0, 30.0], 2, at_once=2).hours == pytest.approx(jobs.hours / 2)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=30), st.integers(1, 40), st.integers(1, 40))
def test_larger_groups_never_take_more_cpu_hours_nor_fewer_minutes(seconds, group, at_once):
    small, large = grouped(seconds, group, at_once), grouped(seconds, group + 1, at_once)

    assert large.cpu_hours <= small.cpu_hours
    assert large.longest_minutes >= small.longest_minutes
    assert small.hours * at_once >= small.cpu_hours * (1 - 1e-12)
