"""What becomes of a seed: every status is reached, since the right iteration, alone and beside others."""

from __future__ import annotations

import math

import netCDF4
import numpy as np
import pytest
import torch

from byzcode.analysis.levels import of_measurements, of_stored
from byzcode.analysis.summary import summarise
from byzcode.attacks import Attack
from byzcode.storage import allocations, trajectories
from byzcode.theory.bounds import bounds
from byzcode.training import records
from byzcode.training.batch import shape_of
from byzcode.training.records import QUANTITIES, Book, Measurements
from byzcode.training.status import ENDINGS, NEVER, RAN_AWAY, Status, counts, endings_in_words, most_frequent, ran_away
from byzcode.training.workers import train, train_together

FINISHED, DIVERGED, OVERFLOWED, POISONED, UNDEFINED = Status

MA = {"method": "ma", "redundancy": None, "aggregation": None}
#: Steps five times as long as is stable, so long that the loss grows some 20 times in each.
TOO_LONG = {"step_size": 5.0, "iterations": 800}
#: A limit that no number reaches.
NONE = 1e308

CASES = {
    "finished": ({}, FINISHED),
    "liars whom the rule bears": ({"attack": "nan"}, FINISHED),
    "ascent": ({**MA, "iterations": 400}, DIVERGED),
    "too long a step": (TOO_LONG, DIVERGED),
    "too long a step, NaN that do not get through": ({**TOO_LONG, "attack": "nan"}, DIVERGED),
    "no limit": ({**TOO_LONG, "diverged_at": NONE}, OVERFLOWED),
    "no limit, in float32": ({**TOO_LONG, "diverged_at": NONE, "dtype": "float32"}, OVERFLOWED),
    "no limit, NaN that do not get through": ({**TOO_LONG, "diverged_at": NONE, "attack": "nan"}, OVERFLOWED),
    "at one step": ({"step_size": 1e200, "attack": "nan"}, OVERFLOWED),
    "finite lies, their sum is not": ({**MA, "attack": {"name": "constant", "value": 1e308}}, OVERFLOWED),
    "NaN": ({**MA, "attack": "nan"}, POISONED),
    "NaN, in float32": ({**MA, "attack": "nan", "dtype": "float32"}, POISONED),
    "infinities": ({**MA, "attack": "infinite"}, POISONED),
    "NaN behind buckets": ({"aggregation": "mean", "pre_aggregation": "bucketing", "attack": "nan"}, POISONED),
    "half of them lie": ({"aggregation": "trimmed_mean", "byzantine": {"alpha": 0.5}}, UNDEFINED),
    "all but one lie": ({"aggregation": "trimmed_mean", "byzantine": {"alpha": 0.95}}, UNDEFINED),
    "Krum": ({"aggregation": "krum", "byzantine": {"alpha": 0.45}}, UNDEFINED),
    "Krum at its bound": ({"aggregation": "krum", "byzantine": {"alpha": 0.4}}, FINISHED),
    "too few buckets": ({"pre_aggregation": "bucketing", "byzantine": {"alpha": 0.25}}, UNDEFINED),
    "too few buckets of liars who search": (
        {"pre_aggregation": "bucketing", "byzantine": {"alpha": 0.25}, "attack": "alie_search"},
        UNDEFINED,
    ),
    "the mean of a minority": ({**MA, "byzantine": {"alpha": 0.7}, "attack": "none"}, FINISHED),
}


def run(spec, **options):
    return train(spec, allocations.draw(spec.allocation_spec), **options)


def assert_same(first: Measurements, second: Measurements) -> None:
    left, right = first.arrays(), second.arrays()
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.tobytes() == right[name].tobytes(), name


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("name", CASES)
def test_every_status_is_reached_and_says_since_when(name, step, make_spec):
    changes, status = CASES[name]
    spec = make_spec(**changes, record={"step": step}, seeds=[3, 0, 1])
    done = []
    measured = run(spec, progress=done.append)
    assert measured.status.tolist() == [status] * 3
    assert sum(done) == 3 * (spec.iterations + 1)  # a run that ends early counts in full
    recorded = spec.record.iterations(spec.iterations)
    for row, at in enumerate(measured.status_at.tolist()):
        loss = measured.loss[row]
        if status is FINISHED:
            assert at == NEVER
            assert np.isfinite(loss).all()
            continue
        kept = recorded.index(at) + (status is UNDEFINED)
        assert np.isfinite(loss[:kept]).all()
        assert (loss[:kept] / spec.diverged_at <= loss[0]).all()
        assert all(np.isnan(getattr(measured, quantity)[row, kept:]).all() for quantity in QUANTITIES)
    if status is POISONED:
        assert measured.status_at.tolist() == [step] * 3
    if status is UNDEFINED:
        assert done == [1, spec.iterations] * 3  # iteration 0, and all others at once: nothing is trained
        assert measured.status_at.tolist() == [0] * 3
        assert np.isnan(measured.aggregation_error).all()
        assert np.isfinite(measured.honest_dispersion[:, 0]).all()


@pytest.mark.parametrize("attack", ["nan", "infinite"])
@pytest.mark.parametrize("method", ["draco_repetition", "draco_cyclic"])
def test_no_decoder_lets_through_what_is_not_finite(method, attack, make_spec):
    """Beyond its bound it decodes wrongly, or not at all; else a seed could be poisoned between two records."""
    for alpha in (0.1, 0.5, 0.95):
        coded = {"method": method, "redundancy": 15, "aggregation": None}
        measured = run(make_spec(**coded, attack=attack, byzantine={"alpha": alpha}, seeds=5))
        assert (measured.status == FINISHED).all()


def test_what_an_undefined_run_records_is_what_any_rule_begins_with(make_spec):
    """So two methods compared at one seed meet the same start, and only what the rule makes of it is missing."""
    undefined, defined = (run(make_spec(byzantine={"alpha": 0.5}, aggregation=rule)) for rule in ("median", "mean"))
    for quantity in QUANTITIES:
        if quantity != "aggregation_error":
            np.testing.assert_array_equal(getattr(undefined, quantity)[:, 0], getattr(defined, quantity)[:, 0])


def test_seeds_of_a_run_may_end_in_every_way(make_spec, monkeypatch):
    """Beside others, in either precision, with the bits that each has alone."""
    ends = {3: math.nan, 0: 0.0, 1: 1e300, 2: -9.0}

    def mixed(messages, threat, draws):
        lies = torch.tensor([ends[seed] for seed in order], dtype=torch.float64).to(messages.dtype)
        lies = lies[:, None, None].expand_as(threat.of_liars(messages))
        growing = threat.of_honest(messages).mean(dim=-2, keepdim=True)
        return threat.replace(messages, torch.where(lies == -9, -9 * growing, lies))

    monkeypatch.setattr("byzcode.attacks.none.ENTRY", Attack(mixed, frozenset()))
    for dtype, huge in (("float64", 1e308), ("float32", 3e38)):
        ends[1], order = huge, [3, 0, 1, 2]
        spec = make_spec(**MA, attack="none", seeds=order, iterations=400, dtype=dtype)
        assigned = allocations.draw(spec.allocation_spec)
        beside = train_together([spec], [assigned], device="cpu")[0]
        assert beside.status.tolist() == [POISONED, FINISHED, OVERFLOWED, DIVERGED]
        assert beside.status_at[:3].tolist() == [1, NEVER, 1]
        for row, seed in enumerate([3, 0, 1, 2]):
            order = [seed]
            alone = spec.model_copy(update={"seeds": (seed,)})
            result = train_together([alone], [assigned[row : row + 1]], device="cpu")[0]
            np.testing.assert_array_equal(result.status, beside.status[row : row + 1])
            np.testing.assert_array_equal(result.status_at, beside.status_at[row : row + 1])
            if dtype == "float64":
                assert_same(beside.rows(row, row + 1), result)


@pytest.mark.parametrize("name", ["no limit", "NaN", "half of them lie", "ascent"])
def test_a_run_ends_in_a_batch_as_it_does_alone(name, make_spec):
    specs = [make_spec(**CASES[name][0], seeds=seeds) for seeds in ([3, 0], [1])]
    assert shape_of(specs[0]) == shape_of(specs[1])
    together = train_together(specs, [allocations.draw(spec.allocation_spec) for spec in specs], device="cpu")
    for spec, beside in zip(specs, together, strict=True):
        assert_same(beside, run(spec))


def test_an_undefined_run_is_no_batch_with_a_defined_one(make_spec):
    for changes in ({"byzantine": {"alpha": 0.5}}, {"pre_aggregation": "bucketing", "byzantine": {"alpha": 0.25}}):
        wanted = make_spec(**changes)
        assert wanted.undefined
        assert shape_of(wanted) not in {shape_of(make_spec()), shape_of(make_spec(**changes, aggregation="mean"))}


def test_a_loss_beyond_every_number_is_no_loss_within_a_limit_beyond_every_number():
    """1e308 times the first loss is infinite, and so is the last one: not within it all the same."""
    book = Book(torch.zeros(2, 1), [0, 5, 10], 1e308, {"smoothness": torch.ones(2), "strong_convexity": torch.ones(2)})
    for iteration, losses in zip((0, 5, 10), ([50.0, 50.0], [1e300, 9.0], [math.inf, 9.0]), strict=True):
        values = torch.tensor(losses, dtype=torch.float64)
        book.enter(iteration, **dict.fromkeys(records.QUANTITIES, values))
    closed = book.close()
    assert closed.status.tolist() == [OVERFLOWED, FINISHED]
    assert closed.status_at.tolist() == [10, NEVER]
    assert closed.loss[0].tolist()[:2] == [50.0, 1e300]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_first_loss_that_is_no_number_is_an_overflow(loss):
    book = Book(torch.zeros(1, 1), [0, 5], 1e6, {"smoothness": torch.ones(1), "strong_convexity": torch.ones(1)})
    book.begin(torch.full((1, 2, 1), math.nan), torch.full((1, 1), math.nan))
    for iteration in (0, 5):
        book.enter(iteration, **dict.fromkeys(records.QUANTITIES, torch.tensor([loss])))
    assert (book.close().status.tolist(), book.close().status_at.tolist()) == ([OVERFLOWED], [0])


# --- in words --------------------------------------------------------------------------------------------------------


def test_statuses_are_counted_and_told():
    status = np.array([0, 1, 1, 2, 0, 3, 1, 0, 0, 0])
    since = np.array([-1, 120, 340, 5, -1, 5, 200, -1, -1, -1])
    assert endings_in_words(status, since) == [
        "3 of 10 seeds diverged at 120 to 340",
        "1 of 10 seeds overflowed at 5",
        "1 of 10 seeds poisoned at 5",
    ]
    assert counts(status) == {DIVERGED: 3, OVERFLOWED: 1, POISONED: 1, UNDEFINED: 0}
    assert most_frequent(counts(status)) is DIVERGED
    assert most_frequent(counts(status[3:5])) is OVERFLOWED
    assert most_frequent(counts(status[:1])) is FINISHED
    assert ran_away(np.array(list(Status))).tolist() == [False, True, True, True, False]
    assert set(ENDINGS) == {*RAN_AWAY, UNDEFINED} == set(Status) - {FINISHED}


# --- stored and summed up --------------------------------------------------------------------------------------------


@pytest.fixture
def stored(make_spec, tmp_path):
    """Runs by the names of their cases: spec, measurements, path."""

    def store(name, **more):
        spec = make_spec(**CASES[name][0] | more)
        assigned = allocations.draw(spec.allocation_spec)
        measured, path = train(spec, assigned), tmp_path / f"{spec.run_id}.nc"
        trajectories.write(path, spec, measured, assigned, device="cpu", threads=1, wall_seconds=1.0, cpu_seconds=1.0)
        return spec, measured, path, assigned

    return store


@pytest.mark.parametrize("name", ["finished", "ascent", "no limit", "NaN", "half of them lie"])
def test_a_file_says_what_became_of_each_seed(name, stored):
    spec, measured, path, _ = stored(name)
    with netCDF4.Dataset(path) as dataset:
        about = dataset["status"]
        assert about.flag_values.dtype == about.dtype
        meanings = dict(zip(about.flag_values.tolist(), about.flag_meanings.split(), strict=True))
        assert [meanings[value] for value in about[...].tolist()] == [CASES[name][1].word] * 2
        np.testing.assert_array_equal(dataset["status_at"][...], measured.status_at)
    row = summarise([path], [spec.run_id]).iloc[0]
    assert {word: row[word] for word in ("diverged", "overflowed", "poisoned", "undefined")} == {
        ending.word: 2 * (CASES[name][1] is ending) for ending in ENDINGS
    }
    assert row["ended_at"] == (NEVER if name == "finished" else measured.status_at.min())


@pytest.mark.parametrize(("name", "level"), [("ascent", np.inf), ("NaN", np.inf), ("half of them lie", np.nan)])
def test_a_seed_that_ran_away_counts_as_infinite_and_an_undefined_run_as_nothing(name, level, stored):
    spec, _, path, _ = stored(name)
    row = summarise([path], [spec.run_id]).iloc[0]
    for column in ("excess_loss", "loss", "relative_excess_loss", "rate", "gradients_computed_to_plateau"):
        for part in ("median", "q25", "q75"):
            np.testing.assert_equal(row[f"{column}_{part}"], level)
    assert row["at_plateau"] == 0


@pytest.mark.parametrize("at", ["start", "plateau", "end"])
def test_of_an_undefined_run_no_level_is_known_not_even_a_cost(at, stored):
    spec, measured, path, assigned = stored("half of them lie")
    for source in (of_stored(trajectories.load(path)), of_measurements(spec, measured, assigned)):
        for quantity in ("excess_loss", "loss", "honest_dispersion", "gradients_computed", "bits_sent"):
            result = source.levels(quantity, at)
            assert np.isnan(result.level).all()
            assert not any(mask.any() for mask in result[1:])


@pytest.mark.parametrize("name", ["ascent", "no limit", "NaN"])
def test_of_a_seed_that_ran_away_the_level_is_the_limit(name, stored):
    _, measured, path, _ = stored(name, diverged_at=1e6)
    result = of_stored(trajectories.load(path)).levels("excess_loss", "plateau")
    assert result.diverged.all()
    assert result.settled.all()
    np.testing.assert_allclose(result.level, 1e6 * measured.excess_loss[:, 0])


def test_an_undefined_run_has_no_bounds(stored):
    for name in ("half of them lie", "all but one lie", "Krum"):
        spec, measured, _, assigned = stored(name)
        assert bounds(spec, vars(measured), assigned) == {}
