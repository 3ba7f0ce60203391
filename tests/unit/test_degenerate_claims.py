"""Levels that are 0, infinite or none: each kind of test gives a row, and says why it says nothing."""

from __future__ import annotations

import itertools
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from claim_runs import SEEDS, claim, spec
from unit.fake_claims import VERSIONS, table

from byzcode.analysis.evidence import ClaimTest, evidence
from byzcode.analysis.levels import Run
from byzcode.errors import KeyedError
from byzcode.scorecard.page import page
from byzcode.studies.cells import cells
from byzcode.studies.expand import expand
from byzcode.studies.study import Reading, Study
from byzcode.training.records import QUANTITIES
from byzcode.training.status import Status

TIME = np.arange(101)
FALL = np.geomspace(10, 1e-3, 101)
SHAPES = {
    "falling": FALL,
    "plateau": 1 + 10 * 0.5**TIME,
    "constant": np.ones(101),
    "zero": np.zeros(101),
    "ends at zero": np.where(TIME < 50, FALL, 0.0),
    "negative": -FALL,
    "huge": np.full(101, 1.7e308),
    "subnormal": np.full(101, 5e-324),
    "from huge to tiny": np.geomspace(1e307, 1e-307, 101),
    "infinite": np.full(101, np.inf),
    "becomes infinite": np.where(TIME < 50, FALL, np.inf),
    "not measured": np.full(101, np.nan),
    "nowhere": np.where(TIME < 1, FALL, np.nan),
}
ENDED = {"diverged": (Status.DIVERGED, 1), "overflowed": (Status.OVERFLOWED, 0), "undefined": (Status.UNDEFINED, 1)}
ALONG = {"along": "redundancy", "values": [1, 2, 3]}
CLAIMS = {
    "lower": claim("lower", against="B"),
    "far lower": claim("lower", against="B", factor=1e308),
    "equivalent": claim("equivalent", against="B", margin=1.1),
    "falls": claim("falls", **ALONG),
    "grows by ratio": claim("grows", against="B", advantage="ratio", **ALONG),
    "grows by difference": claim("grows", against="B", advantage="difference", **ALONG),
    "law of variance": claim("law", predicted="coded_variance", margin=0.1, **ALONG),
    "law of heterogeneity": claim("law", predicted="heterogeneity", margin=0.1, **ALONG),
    "predicted": claim("predicted", margin=1.1),
    "predicted apart": claim("predicted", margin=1.1, distance="each_other"),
}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def made(shape, seeds=SEEDS, **changes):
    values, status = SHAPES.get(shape, FALL), Status.FINISHED
    if shape in ENDED:
        status, since = ENDED[shape]
        values = np.where(since > TIME, values, np.nan)
    return Run(
        spec(seeds=seeds, **changes),
        {name: np.tile(values, (seeds, 1)) for name in (*QUANTITIES, "gradients_computed")},
        np.full(seeds, status),
    )


def row_of(asked, one, other, seeds):
    places = range(3 if hasattr(asked, "along") else 1)
    runs = {f"one {place}": made(one, seeds, redundancy=12 - place) for place in places}
    against = {f"two {place}": made(other, seeds, redundancy=12 - place) for place in places}
    names = tuple(against) if hasattr(asked, "against") else ()
    return evidence([ClaimTest(asked, "x", "", tuple(runs), names)], (runs | against).__getitem__).iloc[0]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("name", CLAIMS)
def test_every_test_of_such_levels_is_a_row_that_says_why(name, seeds):
    against = (
        ("plateau", "zero", "infinite", "not measured", "overflowed") if hasattr(CLAIMS[name], "against") else (0,)
    )
    times = ("start",) if CLAIMS[name].test == "predicted" else ("start", "plateau", "end")
    for at, one, other in itertools.product(times, [*SHAPES, *ENDED], against):
        row = row_of(CLAIMS[name].model_copy(update={"at": at}), one, other, seeds)
        assert 0 <= row["p_support"] <= 1
        assert 0 <= row["p_refute"] <= 1
        assert math.isfinite(row["effect"]) or row["effect"] == math.inf or row["note"], (at, one, other)


def test_one_honest_device_has_no_other_to_compare_with():
    run = made("falling", devices=5, byzantine={"alpha": 0.8}, aggregation="mean")
    assert run.spec.devices - run.spec.f == 1
    row = evidence([ClaimTest(CLAIMS["predicted apart"], "x", "", ("a",), ())], {"a": run}.__getitem__).iloc[0]
    assert row["note"] == "one honest device: no two messages to compare"
    assert (row["p_support"], row["p_refute"], row["pairs"]) == (1.0, 1.0, 0)
    alone = evidence([ClaimTest(CLAIMS["predicted"], "x", "", ("a",), ())], {"a": run}.__getitem__).iloc[0]
    assert np.isfinite(alone["effect"])


def test_a_test_of_two_messages_of_one_honest_device_is_refused_before_anything_is_trained():
    curve = {"label": "A", "method": "cra_dl", "redundancy": 4, "devices": 5, "byzantine.alpha": 0.8}
    words = {"says": "s", "source": "s", "mark": "inferred", "confirms": "c", "refutes": "r", "curve": "A"}
    asked = {"claim": "one", "test": "predicted", "margin": 1.1, "distance": "each_other", **words}
    plots = {"p": {"kind": "variance", "caption": "c"}}
    base = {"aggregation": "mean", "problem.subsets": 20}
    study = Study.model_validate(
        {"study": "a", "title": "t", "base": base, "curves": [curve], "plots": plots, "claims": [asked]}
    )
    members = expand(study, Reading(reading="none", title="none", choices=[]), "a.yaml")
    with pytest.raises(KeyedError, match=r"claims\[0\]\.distance = 'each_other': needs at least two honest devices"):
        cells(study, members)


VALUES = (math.nan, 0.0, 5e-324, 1e-300, 1.0, 1 + 1e-16, 1e300, 1.7e308, math.inf, -1.0, -math.inf)
NEUTRAL = ((math.nan, math.nan, math.nan), (0.0, math.nan, math.nan), (1e308, math.nan, math.nan))
BANDS = ((math.nan, 0.9, 1.1), (math.nan, 5e-324, 1.7e308), (math.nan, 1.0, 1.0))


def test_the_scorecard_has_a_place_for_each_effect():
    """On axes of one cell each, so that no other one sets their ends."""
    rows = table()
    first = rows[rows["test"] != "open"].iloc[0]
    made = [
        {**first, "unit": f"unit {number}", "effect": effect, "low": low, "high": high}
        | dict(zip(("neutral", "band_low", "band_high"), neutral, strict=True))
        for number, ((effect, low, high), neutral) in enumerate(
            zip(itertools.product(VALUES, repeat=3), itertools.cycle(NEUTRAL + BANDS), strict=False)
        )
    ]
    said = page(pd.DataFrame(made), reading="r", versions=VERSIONS)
    assert not re.search(r' (x|y|d|width|points)="[^"]*(nan|inf)', said)
