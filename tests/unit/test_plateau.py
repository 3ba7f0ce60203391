"""Plateaus, spreads and summaries."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byzcode.analysis.plateau import plateau
from byzcode.analysis.spread import spread
from byzcode.analysis.summary import summarise
from byzcode.errors import UserError
from byzcode.specs.last_part import lacking
from byzcode.specs.settings import Record
from byzcode.storage import allocations, trajectories
from byzcode.training.status import Status
from byzcode.training.workers import train

STEPS = np.arange(101.0)


def decay(floor, rate=0.8):
    return floor + rate**STEPS


def test_a_decay_to_a_floor_is_at_its_plateau():
    level, reached, since, _ = plateau(np.stack([decay(0.01), decay(0.1)]), STEPS)
    np.testing.assert_allclose(level, [0.01, 0.1], rtol=1e-6)
    assert reached.tolist() == [True, True]
    # since is the first value at most 1.25 times the floor: 0.8^t <= floor / 4
    assert since.tolist() == [int(np.ceil(np.log(floor / 4) / np.log(0.8))) for floor in (0.01, 0.1)]


def test_what_still_falls_is_not_at_a_plateau():
    level, reached, since, _ = plateau(decay(0.0, 0.95)[None], STEPS)
    assert reached.tolist() == [False]
    assert since.tolist() == [-1]
    assert level[0] == pytest.approx(np.median(0.95 ** STEPS[-20:]))


def test_what_rises_is_not_at_a_plateau():
    assert not plateau(decay(0.0, 1.05)[None], STEPS).reached[0]


@pytest.mark.parametrize("rate", [0.9, 0.95, 1.02])
def test_the_drift_is_the_change_of_the_logarithm_over_the_last_part(rate):
    """Two fifths of 101 values are 40, so 39 steps; its sign says whether a level bounds from above or from below."""
    assert plateau(decay(0.0, rate)[None], STEPS).drift[0] == pytest.approx(39 * np.log(rate))


def test_a_noisy_floor_is_a_plateau():
    noise = np.random.default_rng(0).uniform(0.9, 1.1, size=(4, 101))
    level, reached, since, _ = plateau((0.1 + 0.7**STEPS) * noise, STEPS)
    assert reached.all()
    np.testing.assert_allclose(level, 0.1, rtol=0.1)
    assert ((since > 5) & (since < 20)).all()


def test_a_very_noisy_floor_is_one_too():
    """An attack makes plateaus scatter by factors: a drift within that scatter is none."""
    noise = np.exp(np.random.default_rng(1).normal(scale=0.8, size=(200, 101)))
    assert plateau((0.1 + 0.7**STEPS) * noise, STEPS).reached.mean() > 0.95


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("drift", "scatter", "reached"),
    [
        (2.95 * 0.2, 0.2, True),
        (3.05 * 0.2, 0.2, False),
        (2.95 * 0.7, 0.7, True),
        (3.05 * 0.7, 0.7, False),
        (np.log(1.24), 0.01, True),
        (np.log(1.26), 0.01, False),
    ],
)
def test_a_plateau_drifts_by_less_than_a_fourth_or_three_deviations(drift, scatter, reached, sign):
    """Over the last 40 values; + - - + around a line leaves the fitted line as it is."""
    logarithm = sign * drift * np.linspace(-0.5, 0.5, 40) + scatter * np.tile([1, -1, -1, 1], 10)
    found = plateau(np.exp(np.concatenate([np.zeros(61), logarithm]))[None], STEPS)
    assert found.drift[0] == pytest.approx(sign * drift)
    assert found.reached[0] == reached


def test_what_falls_under_noise_is_not_at_a_plateau():
    noise = np.random.default_rng(0).uniform(0.9, 1.1, size=(4, 101))
    assert not plateau(0.95**STEPS * noise, STEPS).reached.any()


def test_what_falls_to_rounding_is_at_a_plateau():
    """Gradient descent on a quadratic: excess loss falls until nothing is left, and exact zeros come last."""
    values = 1e-25 * decay(0.0, 0.5)
    values[0] = 1.0
    values[-40:] = 0.0
    level, reached, since, _ = plateau(values[None], STEPS)
    assert reached[0]
    assert level[0] == 0.0
    assert since[0] == 1


def test_a_divergence_has_no_plateau():
    diverged = decay(0.01)
    diverged[60:] = np.nan
    late = decay(0.01)
    late[-1] = np.nan
    level, reached, since, _ = plateau(np.stack([diverged, decay(0.01), late]), STEPS)
    assert np.isnan(level).tolist() == [True, False, True]
    assert reached.tolist() == [False, True, False]
    assert since[0] == since[2] == -1


# --- recorded at other iterations ------------------------------------------------------------------------------------

#: Ways to record 1000 iterations, with enough of them for a level.
RECORDINGS = {
    "all": Record(step=1),
    "every 7": Record(step=7),
    "every 66": Record(step=66),
    "log": Record(spacing="log", step=40),
    "log, dense": Record(spacing="log", step=1000),
}


def recorded_at(record, last=1000):
    return np.asarray(record.iterations(last))


@pytest.mark.parametrize("record", RECORDINGS.values(), ids=RECORDINGS)
def test_a_line_has_the_level_of_its_middle_however_it_is_recorded(record):
    """Over the last fifth a line falls from 0.2 to 0: it is at 0.1 in the middle, but for a stretch between records."""
    recorded = recorded_at(record)
    level = plateau((1 - recorded / 1000)[None], recorded).level[0]
    farthest = np.diff(recorded)[-(recorded > 800).sum() :].max()
    assert abs(level - 0.1) <= farthest / 1000


@given(st.integers(0, 2**32 - 1), st.sets(st.integers(801, 999), min_size=2), st.sets(st.integers(0, 800)))
def test_other_records_change_a_level_by_what_varies_in_the_last_fifth(seed, late, early):
    dice = np.random.default_rng(seed)
    steps = np.arange(1001)
    smooth = dice.uniform(0, 1) + 0.99**steps * dice.uniform(0, 9) + 0.1 * np.sin(steps / dice.uniform(20, 200)) ** 2
    recorded = np.asarray(sorted({0, 1000} | late | early))
    one, other = (plateau(smooth[None, at], at).level[0] for at in (steps, recorded))
    assert abs(one - other) <= np.ptp(smooth[801:])
    assert smooth[801:].min() <= other <= smooth[801:].max()


@given(st.integers(1, 400), st.integers(1, 60), st.sampled_from(["every", "log"]))
def test_what_a_training_begins_with_is_no_part_of_its_level(last, step, spacing):
    recorded = recorded_at(Record(spacing=spacing, step=step), last)
    values = np.where(recorded == 0, np.inf, 1.0)[None]
    level = plateau(values, recorded).level[0]
    assert np.isnan(level) if lacking(Record(spacing=spacing, step=step), last) else level == 1.0


@pytest.mark.parametrize("record", RECORDINGS.values(), ids=RECORDINGS)
def test_a_drift_is_one_by_iteration(record):
    """What falls by the same factor in each iteration has the same slope however it is recorded."""
    recorded = recorded_at(record)
    found = plateau(0.999 ** recorded[None].astype(float), recorded)
    late = recorded[recorded > 600]
    assert found.drift[0] == pytest.approx((late[-1] - late[0]) * np.log(0.999))
    assert not found.reached[0]


@pytest.mark.parametrize("record", [Record(step=1000), Record(step=100), Record(spacing="log", step=3)])
def test_too_few_records_have_no_level(record):
    """Every 1000 it would be half of iteration 0, which made 0.429 of a level of 0.050."""
    recorded = recorded_at(record)
    level, reached, since, drift = plateau(np.ones((3, len(recorded))), recorded)
    assert np.isnan(level).all()
    assert np.isnan(drift).all()
    assert not reached.any()
    assert since.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(("last", "reached"), [(1, False), (5, False), (6, True), (10, True), (11, True)])
def test_a_short_training_that_is_recorded_whole_has_a_level(last, reached):
    """But no plateau where three iterations are not within its last two fifths."""
    values = np.ones((3, last + 1))
    values[:, 0] = 7.0
    found = plateau(values, np.arange(last + 1))
    assert found.level.tolist() == [1, 1, 1]
    assert found.reached.tolist() == [reached] * 3


@pytest.mark.parametrize("seeds", [1, 2, 3, 4, 5, 10])
def test_quartiles_are_those_of_numpy(seeds):
    values = np.random.default_rng(1).normal(size=(seeds, 6))
    got = spread(values)
    for part, mine in ((0.25, got.low), (0.5, got.median), (0.75, got.high)):
        np.testing.assert_allclose(mine, np.quantile(values, part, axis=0), rtol=1e-14)


def test_a_diverged_seed_counts_as_infinite():
    values = np.array([[1.0], [2.0], [3.0], [np.nan], [np.nan]])
    got = spread(values)
    assert (float(got.low[0]), float(got.median[0]), float(got.high[0])) == (2.0, 3.0, np.inf)
    values[1:3] = np.nan
    got = spread(values)
    assert (float(got.low[0]), float(got.median[0])) == (np.inf, np.inf)
    half = spread(np.array([1.0, 2.0, np.nan, np.nan]))
    assert float(half.median) == np.inf  # interpolated with infinity, and not NaN
    assert float(half.low) == 1.75
    assert float(spread(np.full(4, np.nan)).low) == np.inf


# --- summaries -------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(make_spec, tmp_path):
    def stored(**changes):
        spec = make_spec(**{"iterations": 200, "record": {"step": 5}, "seeds": 4, **changes})
        path = tmp_path / f"{spec.run_id}.nc"
        assigned = allocations.draw(spec.allocation_spec)
        measured = train(spec, assigned)
        trajectories.write(path, spec, measured, assigned, device="cpu", threads=1, wall_seconds=1.0, cpu_seconds=1.0)
        return spec, path, measured

    return stored


@pytest.mark.parametrize("coefficients", [(-1.2345678, -1.2345679), (-1234567.0, -1234568.0)])
def test_a_summary_tells_options_apart_that_are_alike_in_six_digits(coefficients, store):
    stored = [store(attack={"name": "sign_flip", "coefficient": each}) for each in coefficients]
    table = summarise([path for _, path, _ in stored], [spec.run_id for spec, _, _ in stored])
    assert table["attack_options"].tolist() == [f"coefficient={each!r} of=own" for each in coefficients]


def test_a_summary_has_one_row_a_run_with_its_identity_and_levels(store):
    (one, first, measured), (two, second, _) = store(), store(aggregation="phocas")
    table = summarise([first, second], [one.run_id, two.run_id])
    assert table["run_id"].tolist() == [one.run_id, two.run_id]
    row = table.iloc[0]
    assert (row["method"], row["aggregation"], row["attack"], row["f"], row["seeds"]) == (
        "cra_dl",
        "median",
        "sign_flip",
        4,
        4,
    )
    assert (row["devices"], row["subsets"], row["dimension"], row["redundancy"]) == (20, 60, 7, 12)
    assert row["attack_options"] == "coefficient=-5 of=own"
    assert (row["decoding_failures"], row["decoding_errors"]) == (0, 0)
    assert row["diverged"] == 0
    levels = np.median(measured.excess_loss[:, -8:], axis=1)
    assert row["excess_loss_median"] == pytest.approx(np.median(levels))
    assert row["excess_loss_q25"] == pytest.approx(np.quantile(levels, 0.25))
    assert row["excess_loss_q75"] == pytest.approx(np.quantile(levels, 0.75))
    assert row["relative_excess_loss_median"] == pytest.approx(np.median(levels / measured.excess_loss[:, 0]))
    assert row["gradients_computed_per_iteration"] == 20 * 12
    assert row["bits_sent_per_iteration"] == 20 * 7 * 32


def test_the_rate_is_the_factor_by_which_the_excess_loss_shrinks(store):
    """Gradient descent on a quadratic whose level is only rounding: a rate below 1, and the cost up to there."""
    spec, path, measured = store(
        method="gradient_descent", redundancy=None, aggregation=None, attack=None, byzantine=None, iterations=400
    )
    row = summarise([path], [spec.run_id]).iloc[0]
    assert row["at_plateau"] == 4
    rates, recorded = [], np.arange(0, 401, 5)
    for excess in measured.excess_loss:
        since = plateau(excess[None], recorded).since[0]
        rates.append((excess[since] / excess[0]) ** (1 / (5 * since)))
    assert row["rate_median"] == pytest.approx(np.median(rates))
    assert 0 < row["rate_median"] < 1


def test_a_run_that_diverges_is_summarised_as_infinite(store):
    spec, path, _ = store(method="ma", redundancy=None, aggregation=None, iterations=400)
    row = summarise([path], [spec.run_id]).iloc[0]
    assert (row["diverged"], row["at_plateau"]) == (4, 0)
    assert row["excess_loss_median"] == np.inf
    assert row["bits_sent_to_plateau_median"] == np.inf


def test_a_run_of_too_few_records_has_no_level_in_a_summary_and_the_reason_stands_there(store):
    (one, first, _), (two, second, _) = store(), store(record={"step": 50})
    table = summarise([first, second], [one.run_id, two.run_id])
    assert pd.isna(table["no_level"][0])
    assert table["no_level"][1].startswith("record.step = 50: records 1 of the last 40 iterations of 200, ")
    levels = [name for name in table if name.endswith(("_median", "_q25", "_q75"))]
    measured = [name for name in levels if not pd.isna(table[name][0])]
    assert len(measured) > 20
    assert table.loc[1, levels].isna().all()  # not infinite: nothing ran away
    assert table["at_plateau"].tolist() == [4, 0]
    assert table["bits_sent_per_iteration"].tolist() == [20 * 7 * 32] * 2
    assert "no_level" not in summarise([first], [one.run_id])


def test_the_cost_of_an_iteration_is_known_even_if_the_first_seed_diverges_at_once(store):
    spec, path, measured = store()
    for values in measured.arrays().values():
        if values.ndim == 2:
            values[0, 1:] = np.nan
    measured.status[0], measured.status_at[0] = Status.DIVERGED, 5
    assigned = allocations.draw(spec.allocation_spec)
    trajectories.write(path, spec, measured, assigned, device="cpu", threads=1, wall_seconds=1.0, cpu_seconds=1.0)
    row = summarise([path], [spec.run_id]).iloc[0]
    assert row["diverged"] == 1
    assert row["gradients_computed_per_iteration"] == 20 * 12
    assert row["bits_sent_per_iteration"] == 20 * 7 * 32


def test_the_file_of_another_run_is_refused(store):
    spec, path, _ = store()
    with pytest.raises(UserError, match=rf"^{path}: holds run {spec.run_id}; expected 0123"):
        summarise([path], ["0123"])


def test_files_of_different_engines_do_not_compare(store, monkeypatch):
    (one, first, _) = store()
    parts = trajectories.engine_parts
    monkeypatch.setattr(trajectories, "engine_parts", lambda spec: parts(spec) | {"training/loop.py": "0123456789ab"})
    (two, second, _) = store(aggregation="phocas")
    message = f"{first} and {second} were made by different versions of training/loop.py and cannot be compared"
    with pytest.raises(UserError, match=f"^{re.escape(message)}") as caught:
        summarise([first, second], [one.run_id, two.run_id])
    assert "\n" not in str(caught.value)
