"""The last part of a training: by iterations, whatever is recorded of it."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byzcode.specs.last_part import (
    FEWEST,
    LEVEL,
    TREND,
    enough,
    lacking,
    mean_by_stretch,
    median_by_stretch,
    steps_within,
    within,
)
from byzcode.specs.settings import Record

RECORDS = st.one_of(
    st.builds(Record, spacing=st.just("every"), step=st.one_of(st.integers(1, 60), st.integers(1, 10**7))),
    st.builds(Record, spacing=st.just("log"), step=st.integers(1, 1000)),
)
#: At most so many that every iteration may be written out.
ITERATIONS = st.one_of(st.integers(1, 40), st.integers(1, 3000))


@given(RECORDS, ITERATIONS, st.integers(-1, 3000))
def test_the_records_after_an_iteration_are_those_after_it(record, last, after):
    after = min(after, last - 1)
    assert record.iterations(last, after=after) == [k for k in record.iterations(last) if k > after]


@given(RECORDS, ITERATIONS, st.sampled_from([LEVEL, TREND]))
def test_the_last_part_is_one_of_the_iterations(record, last, part):
    recorded = np.asarray(record.iterations(last))
    wanted = [k for k in recorded.tolist() if Fraction(last - k, last) < part]
    assert recorded[within(recorded, part)].tolist() == wanted
    assert 0 not in wanted
    assert wanted[-1] == last
    # a step from k - 1 to k is of the last part if k is
    begin = [k for k in recorded.tolist() if Fraction(last - (k + 1), last) < part and 0 < k < last]
    assert recorded[steps_within(recorded, part)].tolist() == begin


@given(RECORDS, ITERATIONS)
def test_three_records_of_the_last_fifth_are_enough_or_half_of_it(record, last):
    recorded = np.asarray(record.iterations(last))
    everything = np.arange(last + 1)
    for unit, which in (("iterations", within), ("steps", steps_within)):
        inside, there = which(recorded).sum(), which(everything).sum()
        assert (lacking(record, last, unit) is None) == (inside >= min(FEWEST, np.ceil(there / 2)))
    assert enough(recorded) == (lacking(record, last) is None)


@given(RECORDS, ITERATIONS, st.sampled_from(["iterations", "steps"]), st.data())
def test_what_is_allowed_serves(record, last, unit, data):
    message = lacking(record, last, unit)
    if message is None:
        return
    low, high = map(int, re.search(r"allowed: (\d+) to (\d+)", message).groups())
    assert low <= high
    for step in {low, high, data.draw(st.integers(low, high))}:
        assert lacking(Record(spacing=record.spacing, step=step), last, unit) is None


def test_what_is_said_of_too_few():
    message = lacking(Record(step=50), 100)
    assert message == "records 1 of the last 20 iterations of 100, and a level needs 3; allowed: 1 to 6 iterations"
    message = lacking(Record(spacing="log", step=3), 100)
    assert message.startswith("records 1 of the last 20 iterations of 100, and a level needs 3; allowed: ")
    assert message.endswith(" to 1000 points per decade")


@pytest.mark.parametrize("last", [10**8, 10**8 - 1, 10**6, 500, 5, 4, 3, 2, 1])
@pytest.mark.parametrize("spacing", ["every", "log"])
def test_the_densest_records_are_enough(last, spacing):
    record = Record(spacing=spacing, step=1000 if spacing == "log" else max(1, last // 10**4))
    assert lacking(record, last) is None
    assert lacking(record, last, "steps") is None


@pytest.mark.parametrize(
    ("iterations", "step"), [(500, 5), (1000, 10), (200, 5), (160, 5), (150, 10), (100, 5), (60, 2)]
)
def test_evenly_spaced_records_have_a_fifth_and_two_fifths_of_the_points(iterations, step):
    recorded = np.arange(0, iterations + 1, step)
    for part, number in ((LEVEL, 0.2), (TREND, 0.4)):
        assert recorded[within(recorded, part)].tolist() == recorded[-round(number * len(recorded)) :].tolist()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_means_and_medians_by_stretches_take_each_value_as_often_as_it_stands(stretches, seed):
    values, stretches = np.random.default_rng(seed).normal(size=(2, len(stretches))), np.asarray(stretches)
    repeated = np.repeat(values, stretches, axis=1)
    np.testing.assert_allclose(mean_by_stretch(values, stretches), repeated.mean(axis=1), rtol=0, atol=1e-13)
    assert median_by_stretch(values, stretches).tolist() == np.median(repeated, axis=1).tolist()
    equal = np.full_like(stretches, 5)
    assert mean_by_stretch(values, equal).tolist() == values.mean(axis=1).tolist()
    assert median_by_stretch(values, equal).tolist() == np.median(values, axis=1).tolist()
    values[0, -1] = np.nan
    assert np.isnan(median_by_stretch(values, stretches)).tolist() == [True, False]
