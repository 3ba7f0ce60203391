"""The bounds against runs: what is to hold always is never violated, what is to hold in expectation not on average."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from byzcode.allocation import ALLOCATIONS
from byzcode.compression import COMPRESSORS as COMPRESSION
from byzcode.errors import UserError
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.theory import bounds, constants, expectations, worst_case
from byzcode.training.status import Status
from byzcode.training.workers import train

SIGMAS = 5
GRID = 200
#: Of the error, and of the size of the gradients from which it is made: rounding only.
RELATIVE, ROUNDING = 1e-9, 1e-11

ASSIGNMENTS = ("fixed", "redrawn", "subsets_redrawn", "devices_redrawn")
#: How often each is drawn: mostly what has liars and a rule.
METHODS = {
    "cra_dl": 10,
    "cra_dl_corrected": 6,
    "rba_dl": 5,
    "lad": 5,
    "com_lad": 5,
    "clairvoyant": 1,
    "draco_cyclic": 1,
    "gradient_descent": 1,
}
#: What is drawn of the other tables. It does not change when a table grows, so that the runs stay as they are; what is
#: added is tried in test_tables_runs.py.
KAPPA = ("trimmed_mean", "median", "geometric_median", "krum", "phocas", "meamed")
RULES = [*KAPPA, {"name": "phocas", "variant": "vector"}, {"name": "krum", "neighbours": "n-f-1"}]
ATTACKS = (
    *("alie", "alie_search", "constant", "gaussian", "infinite", "ipm", "ipm_search", "label_flip", "mimic"),
    *("sample_duplicating", "sign_flip"),
)
COMPRESSORS = ("identity", "random_k", "bernoulli", "top_k", "qsgd", "scaled_sign", "natural")
#: Sizes N, M, r of which there is one.
DESIGNS = {
    "difference_set": [(11, 11, 5), (13, 13, 4), (15, 15, 7), (21, 21, 5)],
    "orthogonal_array": [(8, 49, 7), (12, 27, 9), (15, 16, 8), (20, 32, 16)],
    "block_design": [(8, 28, 7), (9, 12, 4), (10, 45, 9), (15, 35, 7)],
}


def random_spec(dice: random.Random) -> RunSpec | None:
    """A small run, or None where the dice contradict each other."""
    (method,) = dice.choices(list(METHODS), METHODS.values())
    devices = dice.randrange(8, 31)
    subsets = dice.randrange(8, 61) if method.startswith("cra_dl") else devices * dice.choice([1, 2, 3])
    redundancy, allocation = dice.randrange(1, subsets + 1), None
    if method in ("lad", "com_lad"):
        redundancy = dice.randrange(1, devices + 1) * (subsets // devices)
    if method in ("cra_dl", "clairvoyant"):
        allocation = dice.choice(["device", "device", "subset", "cyclic", "repetition", *DESIGNS])
        if allocation in ("device", "subset"):
            allocation = {"name": "random", "side": allocation}
        elif allocation in DESIGNS:
            devices, subsets, redundancy = dice.choice(DESIGNS[allocation])
    alpha = dice.choice([0.0, *5 * [0.1, 0.2, 0.3, 0.4]])
    values = {
        "method": method,
        "devices": devices,
        "problem": {
            "name": "linear_regression",
            "subsets": subsets,
            "dimension": dice.choice([2, 5, 12]),
            "samples_per_subset": dice.choice([1, 1, 2]),
            "heterogeneity": dice.choice(["parameters", "spread", "features"]),
            "sigma_h": dice.choice([0.0, 0.5, 2.0]),
        },
        "byzantine": {
            "alpha": alpha,
            "identities": dice.choice(["redrawn", "persistent"]),
            "compressed": dice.choice([True, False]),
        },
        "attack": dice.choice(ATTACKS),
        "step_size": dice.choice([0.1, 0.5, 1.0]),
        "iterations": dice.choice([10, 25]),
        "record": {"step": 1},
        "seeds": [dice.randrange(1000) for _ in range(2)],
    }
    if method == "gradient_descent":
        return _parsed({key: value for key, value in values.items() if key not in ("attack", "byzantine")})
    if method == "draco_cyclic":
        copies = dice.choice([5, 7])
        bears = (copies - 1) / 2 / devices
        values |= {"redundancy": copies * subsets // devices, "byzantine": {"alpha": min(alpha, bears)}}
        return _parsed(values)
    values["assignment"] = dice.choice(ASSIGNMENTS)
    if method != "clairvoyant":
        values["aggregation"] = dice.choice([*RULES, *RULES, "mean"])
        values["pre_aggregation"] = dice.choice(["none", "none", "nnm"])
    if allocation is not None:
        values["allocation"] = allocation
    if method != "lad":
        values["compression"] = dice.choice(["identity", "identity", *COMPRESSORS])
    if method == "com_lad" and dice.random() < 0.3:
        values["compression"] = {"name": "random_k", "share": 0.5, "mask": "shared"}
    if method != "rba_dl":
        values["redundancy"] = redundancy
    if values["seeds"][0] % 5 == 0:
        values["absence"] = {"name": ("share", "slowest")[values["seeds"][1] % 2], "share": 0.2}
    return _parsed(values)


def _parsed(values):
    try:
        return RunSpec.parse(values, "dice")
    except UserError:
        return None


def random_specs(count):
    dice, found = random.Random(20), []
    while len(found) < count:
        spec = random_spec(dice)
        if spec is not None:
            found.append(spec)
    return found


@pytest.fixture(scope="module")
def trained():
    """Small runs of all kinds, with what was measured, and who holds what."""
    runs = []
    for spec in random_specs(GRID):
        assigned = allocations.draw(spec.allocation_spec)
        runs.append((spec, vars(train(spec, assigned)), assigned))
    return runs


def rounding(measured):
    """What rounding may amount to, (R, n): of the largest gradient among those that are added up."""
    size = measured["largest_heterogeneity"] + measured["gradient_norm"]
    return ROUNDING * np.fmax.accumulate(size, axis=1)


def test_the_runs_are_of_all_kinds(trained):
    """Most have liars and a rule with a constant; and each option occurs in some of those."""
    specs = [spec for spec, _, _ in trained if spec.f and bounds.kappa_of(spec)]
    assert len(specs) >= 0.75 * GRID
    rules = {(spec.aggregation.name, *spec.aggregation.options.values()) for spec in specs}
    assert {name for name, *_ in rules} == set(KAPPA)
    assert {("phocas", "coordinate"), ("phocas", "vector"), ("krum", "n-f-2"), ("krum", "n-f-1")} < rules
    kinds = {
        "method": {spec.method for spec in specs},
        "allocation": {spec.allocation.name for spec in specs},
        "assignment": {spec.assignment for spec in specs},
        "before": {spec.pre_aggregation.name for spec in specs},
        "attack": {spec.attack.name for spec in specs},
        "compression": {spec.compression.name for spec in specs},
        "heterogeneity": {spec.problem.options["heterogeneity"] for spec in specs if spec.problem.options["sigma_h"]},
    }
    assert kinds == {
        "method": set(METHODS) - {"clairvoyant", "draco_cyclic", "gradient_descent"},
        "allocation": {"random", "disjoint", "cyclic", "repetition", *DESIGNS},
        "assignment": set(ASSIGNMENTS),
        "before": {"none", "nnm"},
        "attack": set(ATTACKS),
        "compression": set(COMPRESSORS),
        "heterogeneity": {"parameters", "spread", "features"},
    }
    assert {spec.method for spec, _, _ in trained} == set(METHODS)
    assert {spec.absence.name for spec in specs} == {"none", "share", "slowest"}


def exceeded(found, bound, tolerance):
    """Whether a value is above its bound; where a run has diverged, or the bound says nothing, it is not."""
    return found > bound * (1 + RELATIVE) + tolerance


def test_no_run_violates_a_bound_on_its_error(trained):
    checked, nearest = Counter(dict.fromkeys(("rule", "device", "pairs", "allocation"), 0)), {}
    for spec, measured, assigned in trained:
        error, tolerance = measured["aggregation_error"], rounding(measured)
        for name, bound in bounds.bounds(spec, measured, assigned).items():
            if bound.holds != "always":
                continue
            assert not exceeded(error, bound.error, tolerance).any(), (name, spec.canonical())
            assert (np.isfinite(bound.error) | np.isnan(error)).all()
            checked[name] += 1
            meant = bound.error > 1e3 * tolerance
            ratio = np.divide(error, bound.error, out=np.zeros_like(error), where=meant)
            if bounds.kappa_of(spec):  # else the error is the bias, exactly
                nearest[name] = max(nearest.get(name, 0.0), ratio.max())
    assert checked["rule"] > 0.7 * GRID, checked
    assert min(checked[name] for name in ("rule", "device", "pairs", "allocation")) > 0.2 * GRID, checked
    assert nearest["rule"] > 0.8, nearest  # a test that no wrong bound would fail says little
    assert nearest["allocation"] > 0.2, nearest


@pytest.mark.parametrize("rule", ["trimmed_mean", "median", "phocas", "meamed", "krum"])
def test_a_fourth_of_the_constant_is_violated(rule, make_spec):
    """What the rule adds to the bias comes within a factor 4 of kappa: a constant too small by that would show."""
    problem = {"subsets": 8, "dimension": 2, "sigma_h": 2.0}
    small = {"devices": 8, "redundancy": 1, "problem": problem, "byzantine": {"alpha": 0.25}, "iterations": 10}
    spec = make_spec(method="lad", attack="mimic", aggregation=rule, seeds=100, record={"step": 1}, **small)
    measured = vars(train(spec, allocations.draw(spec.allocation_spec)))
    given = measured["honest_dispersion"], measured["coding_bias"]
    kappa, error = bounds.kappa_of(spec), measured["aggregation_error"]
    assert exceeded(error, bounds.rule_error(kappa / 4, *given), rounding(measured)).any()
    assert not exceeded(error, bounds.rule_error(kappa, *given), rounding(measured)).any()


WINDOWS = [(0, 1), (0, None), (3, 10), (-4, None)]


@pytest.mark.parametrize("window", WINDOWS)
def test_no_run_violates_the_bound_on_its_mean_squared_gradient(window, trained):
    """L2 with the error as measured, and with every bound on it."""
    for spec, measured, assigned in trained:
        first, last = (range(spec.iterations + 1)[place if place is not None else -1] for place in window)
        step = spec.step_size / measured["smoothness"]
        loss, found = measured["loss"], np.square(measured["gradient_norm"][:, first:last]).mean(axis=1)
        always = [bound.error for bound in bounds.bounds(spec, measured, assigned).values() if bound.holds == "always"]
        tolerance = 1e-12 * np.nanmax(loss, axis=1) / step
        for error in (measured["aggregation_error"], *always):
            squares = np.square(error[:, first:last]).mean(axis=1)
            bound = bounds.mean_squared_gradient(loss[:, first], loss[:, last], last - first, step, squares)
            assert not exceeded(found, bound, tolerance).any(), spec.canonical()


def test_no_run_violates_the_bound_on_its_excess_loss(trained):
    """F10, step by step, and over a whole training."""
    strongly = 0
    for spec, measured, _ in trained:
        excess, squares = measured["excess_loss"], np.square(measured["aggregation_error"])
        mu = measured["strong_convexity"]
        step = spec.step_size / measured["smoothness"]
        after = bounds.excess_after(excess[:, :-1], squares[:, :-1], step[:, None], mu[:, None])
        tolerance = 1e-12 * np.fmax.accumulate(measured["loss"], axis=1)
        assert not exceeded(excess[:, 1:], after, tolerance[:, 1:]).any(), spec.canonical()
        fine = (mu > 0) & (measured["status"] == Status.FINISHED)
        strongly += fine.sum()
        limit = bounds.excess_limit(squares.max(axis=1), mu)[fine]
        # until there, what is above the limit shrinks by 1 - eta mu a step
        kept = (1 - step * mu)[fine] ** spec.iterations
        assert not exceeded(excess[fine, -1], limit + kept * excess[fine, 0], tolerance[fine, -1]).any()
    assert strongly > GRID
    assert bounds.excess_limit(1.0, 0.0) == np.inf


def test_the_floor_bound_is_l2_over_the_last_fifth(trained):
    for spec, measured, assigned in trained[:40]:
        for name, bound in bounds.bounds(spec, measured, assigned).items():
            if bound.holds == "always":
                above = bounds.floor_bound(spec, measured, bound.error)
                tolerance = 1e-12 * measured["loss"][:, 0] * measured["smoothness"] / spec.step_size
                assert not exceeded(bounds.floor(spec, measured), above, tolerance).any(), (name, spec.canonical())


def test_the_window_is_the_last_fifth_of_the_iterations(make_spec):
    spec = make_spec(iterations=100, record={"step": 10}, step_size=1.0, seeds=[1])
    measured = {
        "gradient_norm": np.arange(11.0)[None],
        "loss": 50 - np.arange(11.0)[None],
        "smoothness": np.array([2.0]),
    }
    assert bounds.floor(spec, measured).tolist() == [(8**2 + 9**2) / 2]
    error = np.full((1, 11), 3.0)
    assert bounds.floor_bound(spec, measured, error).tolist() == [2 * 2 / (0.5 * 20) + 9]
    too_long = spec.model_copy(update={"step_size": 1.5})
    assert np.isnan(bounds.floor_bound(too_long, measured, error)).all()


def test_a_floor_is_a_mean_over_steps_and_not_over_records(make_spec):
    """Recorded from 80 on: 80, 85, ..., 99 alone stands for one step."""
    spec = make_spec(iterations=99, record={"step": 5}, step_size=1.0, seeds=[1])
    norms = np.arange(21.0)
    measured = {"gradient_norm": norms[None], "loss": np.zeros((1, 21)), "smoothness": np.array([1.0])}
    steps = [norms[step // 5] for step in range(80, 99)]
    assert bounds.floor(spec, measured)[0] == pytest.approx(np.square(steps).mean())
    assert bounds.floor_bound(spec, measured, norms[None])[0] == pytest.approx(np.square(steps).mean())


@pytest.mark.parametrize("step", [50, 1000])
def test_no_floor_is_made_of_what_was_before_the_last_fifth(step, make_spec):
    spec = make_spec(iterations=100, record={"step": step}, seeds=[1, 2])
    some = np.ones((2, len(spec.record.iterations(100))))
    measured = {"gradient_norm": some, "loss": some, "smoothness": np.ones(2)}
    assert np.isnan(bounds.floor(spec, measured)).tolist() == [True, True]
    assert np.isnan(bounds.floor_bound(spec, measured, some)).tolist() == [True, True]


# --- in expectation --------------------------------------------------------------------------------------------------

MANY = {"seeds": 400, "iterations": 12, "problem": {"subsets": 20, "dimension": 6, "sigma_h": 1.0}, "step_size": 0.2}
LAD = {"method": "lad", "redundancy": 5, "aggregation": "trimmed_mean", "attack": "alie_search"}
COM = LAD | {"method": "com_lad", "byzantine": {"alpha": 0.05}}

EXPECTATIONS = {
    "lad": LAD,
    "lad, median, persistent liars": LAD | {"aggregation": "median", "byzantine": {"identities": "persistent"}},
    "lad, subsets redrawn": LAD | {"assignment": "subsets_redrawn"},
    "uncoded, redrawn": {"method": "rba_dl", "redundancy": 1, "assignment": "redrawn", "attack": "ipm"},
    "sampled, redrawn": {"redundancy": 6, "assignment": "redrawn", "problem": {"subsets": 33}},
    "corrected, redrawn": {"method": "cra_dl_corrected", "redundancy": 3, "assignment": "redrawn"},
    "random k": COM | {"compression": {"name": "random_k", "share": 0.7}},
    "random k, shared": COM | {"compression": {"name": "random_k", "share": 0.7, "mask": "shared"}},
    "bernoulli": COM | {"compression": {"name": "bernoulli", "share": 0.7}},
    "quantised": COM | {"compression": {"name": "qsgd", "levels": 8}},
    "natural": COM | {"compression": "natural"},
    "sampled, at the start": {"redundancy": 6, "attack": "alie_search"},
    "sampled by subsets, at the start": {"redundancy": 6, "allocation": {"name": "random", "side": "subset"}},
    "disjoint, at the start": {"method": "rba_dl", "redundancy": None, "problem": {"subsets": 43}},
    "lad, some absent": LAD | {"absence": {"name": "share", "share": 0.3}},
    "lad, the slowest absent": LAD | {"absence": {"name": "slowest", "share": 0.2}},
    "random k, some absent": COM | {"compression": {"name": "random_k", "share": 0.7}, "absence": "share"},
    "sampled, the slowest absent, at the start": {"redundancy": 6, "absence": "slowest"},
    "clairvoyant, at the start": {"method": "clairvoyant", "aggregation": None, "redundancy": 6},
}
#: The compressors whose delta is no equality.
BELOW = {"quantised", "natural"}


def expectation(changes, make_spec):
    """A spec, what was measured over its seeds, who holds what, and in how many iterations the expectation holds."""
    spec = make_spec(**{**MANY, **changes, "problem": MANY["problem"] | changes.get("problem", {})})
    assigned = allocations.draw(spec.allocation_spec)
    known = slice(None) if expectations.when_expected(spec) == "always" else slice(1)
    return spec, vars(train(spec, assigned)), assigned, known


def mean_and_error(values):
    """Over seeds, which are independent; iterations of a seed are not, so each seed counts once."""
    each = values.mean(axis=1)
    return each.mean(), each.std(ddof=1) / np.sqrt(len(each))


@pytest.mark.parametrize("name", EXPECTATIONS)
def test_what_is_expected_is_met_on_average(name, make_spec):
    """Dispersion and bias of honest messages as the formula says, and the error at most what they make of it."""
    spec, measured, assigned, known = expectation(EXPECTATIONS[name], make_spec)
    expected = expectations.expected_of(spec, bounds.weights_of(spec, assigned))
    unit = measured["heterogeneity"][:, known] ** 2
    given = np.stack([unit, measured["gradient_norm"][:, known] ** 2], axis=-1)
    for part, quantity in ((expected.dispersion, "honest_dispersion"), (expected.bias, "coding_bias")):
        predicted = (given * part[:, None]).sum(axis=-1)
        off, sigma = mean_and_error((measured[quantity][:, known] ** 2 - predicted) / unit)
        assert off <= SIGMAS * sigma + 1e-12, (quantity, off, sigma)
        if name not in BELOW:
            assert -off <= SIGMAS * sigma + 1e-12, (quantity, off, sigma)
            assert sigma < 0.1 * (predicted / unit).mean(), "too few seeds to tell"
    bound = bounds.bounds(spec, measured, assigned)["expected"]
    assert bound.holds == "in expectation"
    assert np.isfinite(bound.error[:, known]).all()
    above, sigma = mean_and_error((measured["aggregation_error"][:, known] ** 2 - bound.error[:, known] ** 2) / unit)
    assert above <= SIGMAS * sigma + 1e-12, (above, sigma)


@pytest.mark.parametrize(
    ("changes", "when"),
    [
        (LAD, "always"),
        (LAD | {"assignment": "fixed"}, "never"),
        (LAD | {"assignment": "devices_redrawn"}, "never"),
        (LAD | {"assignment": "subsets_redrawn"}, "always"),
        (LAD | {"assignment": "subsets_redrawn", "byzantine": {"identities": "persistent"}}, "start"),
        (LAD | {"byzantine": {"identities": "chosen"}}, "never"),
        (LAD | {"byzantine": {"identities": "chosen", "alpha": 0}}, "always"),
        ({}, "start"),
        ({"assignment": "redrawn"}, "always"),
        ({"compression": "top_k"}, "never"),
        ({"compression": "scaled_sign", "assignment": "redrawn"}, "never"),
        ({"method": "rba_dl", "redundancy": None}, "start"),
        ({"absence": "slowest"}, "start"),
        ({"absence": "slowest", "allocation": {"name": "random", "side": "subset"}}, "never"),
        ({"absence": {"name": "slowest", "share": 0.0}, "allocation": {"name": "random", "side": "subset"}}, "start"),
    ],
)
def test_when_the_expectation_is_known(changes, when, make_spec):
    problem = {"subsets": 20} if "lad" in changes.values() else {}
    spec = make_spec(**{"iterations": 2, **changes, "problem": problem})
    assert expectations.when_expected(spec) == when
    found = bounds.bounds(spec, vars(train(spec, allocations.draw(spec.allocation_spec))))
    if when == "never":
        assert "expected" not in found
    else:
        assert np.isfinite(found["expected"].error[:, 0]).all()
        assert np.isnan(found["expected"].error[:, 1:]).all() == (when == "start")


def test_a_kept_allocation_breaks_the_expectation_after_the_start(make_spec):
    """Training fits the subsets that count most: later on, the mean coded gradient is off by more than F1 says."""
    changes = {"problem": {"dimension": 40}, "seeds": 100, "step_size": 1.0, "byzantine": {"alpha": 0.0}}
    spec = make_spec(method="clairvoyant", aggregation=None, redundancy=6, **changes)
    assigned = allocations.draw(spec.allocation_spec)
    measured = vars(train(spec, assigned))
    expected = expectations.expected_of(spec, bounds.weights_of(spec, assigned)).bias[:, 0]
    ratio = measured["coding_bias"] ** 2 / (measured["heterogeneity"] ** 2 * expected[:, None])
    assert ratio[:, 0].mean() == pytest.approx(1, abs=0.2)
    assert abs(ratio[:, -1].mean() - 1) > 0.3


# --- closed forms ----------------------------------------------------------------------------------------------------


def weights(allocation, devices, subsets, redundancy, seed=0, **options):
    assigned = ALLOCATIONS[allocation](devices, subsets, redundancy, np.random.default_rng(seed), **options)
    found = np.zeros((devices, subsets))
    found[np.arange(devices)[:, None], assigned] = 1 / redundancy
    return found


def test_redrawn_tasks_are_random_labels_of_cyclic_lists():
    for devices, d, f in [(20, 5, 4), (20, 1, 0), (20, 20, 9), (7, 3, 3)]:
        closed, found = (
            expectations.redrawn_tasks(devices, devices, d, f),
            expectations.random_labels(weights("cyclic", devices, devices, d), f),
        )
        np.testing.assert_allclose([found.dispersion, found.bias], [closed.dispersion, closed.bias], atol=1e-14)
        honest, v = devices - f, (devices - d) / (d * (devices - 1))
        text = [(1 - 1 / honest) * devices / (devices - 1) * v, f / (honest * (devices - 1)) * v]  # section 2.3
        np.testing.assert_allclose([closed.dispersion[0], closed.bias[0]], text, atol=1e-14)


def test_sampled_lists_are_random_labels_of_them_on_average():
    lists = np.stack([weights("random", 20, 60, 12, seed) for seed in range(2000)])
    found, closed = expectations.random_labels(lists, 4), expectations.sampled_lists(20, 60, 12, 4)
    for several, one in ((found.dispersion, closed.dispersion), (found.bias, closed.bias)):
        error = several[:, 0].std(ddof=1) / np.sqrt(len(several))
        assert abs(several[:, 0].mean() - one[0]) <= SIGMAS * error
        np.testing.assert_allclose(several[:, 1], 0, atol=1e-15)
    assert closed.bias[0] == pytest.approx(constants.coded_variance(60, 12) / 16)


def stated_bound(kappa, delta, devices, d, f):
    """Section 2.3: [2 kappa E dispersion^2 + 2 E bias^2 + rho v] / (1 - rho), over betahat^2, and rho."""
    honest, v = devices - f, (devices - d) / (d * (devices - 1))
    rho = 2 * (kappa + 1 / honest) * delta
    lad = 2 * kappa * (1 - 1 / honest) * devices / (devices - 1) * v + 2 * f / (honest * (devices - 1)) * v
    return (lad + rho * v) / (1 - rho) if rho < 1 else np.inf, rho


@pytest.mark.parametrize("delta", [0.0, 0.01, 0.125, 0.5, 4.0])
@pytest.mark.parametrize("kappa", [0.0, 0.25, 3.0])
def test_the_floor_is_the_fixed_point_and_no_higher_than_section_2_3(kappa, delta):
    for devices, d, f in [(20, 5, 4), (100, 20, 20), (100, 100, 20), (20, 1, 0)]:
        found = expectations.compressed(expectations.redrawn_tasks(devices, devices, d, f), delta, devices - f)
        stated, rho = stated_bound(kappa, delta, devices, d, f)
        assert found.rho(kappa) <= rho * (1 + 1e-12) + 1e-15
        floor = found.floor(kappa)
        assert floor <= stated * (1 + 1e-9) + 1e-15
        assert np.isinf(floor) == (found.rho(kappa) >= 1)
        if np.isfinite(floor):
            assert found.squared_error(kappa, 1.0, np.sqrt(floor)) == pytest.approx(floor, rel=1e-9, abs=1e-15)
            assert found.squared_error(kappa, 1.0, np.sqrt(2 * floor + 1)) < 2 * floor + 1  # none above it
        if d == devices and found.rho(kappa) < 1:
            assert floor == pytest.approx(0, abs=1e-15)


def test_the_numbers_of_lists_of_equal_length():
    """F3' and L3: (M - r) / r, min(1, (M - r) / r), and twice 1 - overlap / r."""
    for allocation, sizes, overlap in [
        ("disjoint", (10, 60, 6), 0),
        ("difference_set", (13, 13, 4), 1),
        ("orthogonal_array", (4, 27, 9), 3),
        ("cyclic", (12, 12, 9), 6),
    ]:
        _, subsets, r = sizes
        found = worst_case.coding(weights(allocation, *sizes))
        assert found.averages
        assert found.device == pytest.approx((subsets - r) / r)
        assert found.farthest == pytest.approx(min(1, (subsets - r) / r))
        assert found.pair == pytest.approx(2 * (1 - overlap / r))
        assert found.missing == pytest.approx(0)
    array = worst_case.coding(weights("orthogonal_array", 4, 27, 9))
    kappa, largest = 0.7, 1.3
    stated = 8 * kappa * (1 - 9 / 27) ** 2 * largest**2 + 2 * (27 - 9) / 9 * 0.5**2  # L3 where the overlap is r^2 / M
    assert worst_case.pairs_error(kappa, array.pair, array.farthest, array.device, 0.5, largest) ** 2 == pytest.approx(
        stated
    )
    assert worst_case.device_error(kappa, array.device, 0.5) ** 2 == pytest.approx((kappa + 1) * 2 * 0.5**2)


def test_worst_subsets_reach_the_bound_of_an_allocation():
    """For the worst D of each kind, the mean of ||g_i - grad F||^2 over all devices, or the largest, is the bound."""
    generator = np.random.default_rng(3)
    for rows in (weights("random", 8, 30, 5), weights("cyclic", 9, 9, 4), weights("disjoint", 6, 24, 4)):
        found, subsets = worst_case.coding(rows), rows.shape[1]
        centred = rows - 1 / subsets
        for away, whole in ((np.linalg.svd(centred)[2][0], True), (centred[0], False)):
            gradients = np.outer(away, generator.normal(size=3))
            spread = np.square(gradients).sum() / subsets
            off = np.square(rows @ gradients).sum(axis=1)
            reached = worst_case.allocation_error(0, found.spectral, 0, len(rows), np.sqrt(spread), 0) ** 2
            assert off.mean() == pytest.approx(reached) if whole else off[0] == pytest.approx(found.device * spread)


def test_weights_that_do_not_sum_to_1_are_off_even_where_all_subsets_agree():
    """Of equal gradients a device sends s_i times the true one."""
    rows = np.array([[0.5, 0.7, 0.0], [0.0, 0.5, 0.2], [0.5, 0.0, 0.5]])
    found = worst_case.coding(rows)
    assert not found.averages
    reached = worst_case.allocation_error(0, found.spectral, found.missing, 3, 0.0, 2.0) ** 2
    assert reached == pytest.approx(np.mean([0.2**2, 0.3**2, 0]) * 2.0**2)
    # Both at once: the norms add up.
    together = worst_case.allocation_error(0, found.spectral, found.missing, 3, 1.5, 2.0)
    assert together == pytest.approx(np.sqrt(reached) + worst_case.allocation_error(0, found.spectral, 0, 3, 1.5, 0.0))


def test_disjoint_lists_cannot_all_be_far_off():
    found = worst_case.coding(weights("disjoint", 10, 60, 6))
    assert worst_case.allocation_error(0.5, found.spectral, 0, 8, 1.0, 1.0) ** 2 == pytest.approx(1.5 * 10 / 8)


# --- what has no bound, and what is exact ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "kappa"),
    [
        ({"aggregation": "trimmed_mean"}, 4 / 12),
        ({"aggregation": "trimmed_mean", "pre_aggregation": "nnm"}, 8 * 4 / 16 * (1 + 4 / 12)),
        ({"aggregation": "krum"}, 6 * (1 + 4 / 12)),
        ({"aggregation": "mean"}, None),
        ({"aggregation": "mean", "byzantine": {"alpha": 0.0}}, 0.0),
        ({"aggregation": "centered_clipping"}, None),
        ({"aggregation": "multi_krum"}, None),
        ({"pre_aggregation": "clipping"}, None),
        ({"pre_aggregation": "bucketing", "byzantine": {"alpha": 0.1}}, None),
        ({"method": "clairvoyant", "aggregation": None}, 0.0),
        ({"aggregation": "trimmed_mean", "absence": {"name": "slowest", "share": 0.25}}, 4 / 7),
    ],
)
def test_the_constant_of_a_run(changes, kappa, make_spec):
    spec = make_spec(**{"iterations": 3, **changes})
    assert bounds.kappa_of(spec) == (None if kappa is None else pytest.approx(kappa))
    if kappa is None:
        assert bounds.bounds(spec, vars(train(spec, allocations.draw(spec.allocation_spec)))) == {}


@pytest.mark.parametrize(
    ("compression", "rho"),
    [
        ("identity", 0.0),
        ({"name": "random_k", "share": 0.5}, ((4 / 12 * 15 / 16) ** 0.5 + (1 / 16) ** 0.5) ** 2),
        ({"name": "random_k", "share": 0.25}, 3 * ((4 / 12 * 15 / 16) ** 0.5 + (1 / 16) ** 0.5) ** 2),
        ({"name": "random_k", "share": 0.25, "mask": "shared"}, 3.0),
        ("natural", ((4 / 12 * 15 / 16) ** 0.5 + (1 / 16) ** 0.5) ** 2 / 8),
        ("top_k", None),
    ],
)
def test_what_compression_adds(compression, rho, make_spec):
    """Against its closed form, no more than section 2.3 says, and the same as from the weights of the run."""
    spec = make_spec(compression=compression, aggregation="trimmed_mean", problem={"dimension": 4})
    assert bounds.rho_of(spec) == (None if rho is None else pytest.approx(rho, abs=1e-12))
    if rho is not None:
        delta = COMPRESSION[spec.compression.name].delta(4, **spec.compression.options)
        assert bounds.rho_of(spec) <= max(2 * (4 / 12 + 1 / 16), 1.0) * delta * (1 + 1e-12)
        expected = expectations.expected_of(spec, bounds.weights_of(spec))
        np.testing.assert_allclose(expected.rho(4 / 12), bounds.rho_of(spec), atol=1e-9)
        assert (np.isinf(expected.floor(4 / 12)) == (bounds.rho_of(spec) >= 1)).all()


def test_without_a_constant_nothing_is_known_of_compression(make_spec):
    assert bounds.rho_of(make_spec(aggregation="mean", compression="natural")) is None


def test_a_decoder_is_exact_up_to_what_it_bears(make_spec):
    exact = make_spec(method="draco_cyclic", redundancy=15, aggregation=None, byzantine={"alpha": 0.1}, iterations=5)
    measured = vars(train(exact, allocations.draw(exact.allocation_spec)))
    found = bounds.bounds(exact, measured)
    assert not found["rule"].error.any()
    assert not exceeded(measured["aggregation_error"], found["rule"].error, rounding(measured)).any()
    beyond = make_spec(method="draco_cyclic", redundancy=15, aggregation=None, byzantine={"alpha": 0.15}, iterations=5)
    assert not bounds.is_exact(beyond)
    assert bounds.bounds(beyond, vars(train(beyond, allocations.draw(beyond.allocation_spec)))) == {}


def test_a_stored_run_has_the_bounds_of_its_measurements(make_spec, tmp_path):
    from byzcode.storage import trajectories

    spec = make_spec()
    assigned = allocations.draw(spec.allocation_spec)
    measured = train(spec, assigned)
    path = tmp_path / "run.nc"
    trajectories.write(path, spec, measured, assigned, device="cpu", threads=1, wall_seconds=1.0, cpu_seconds=1.0)
    direct, stored = bounds.bounds(spec, vars(measured), assigned), bounds.bounds(spec, trajectories.open(path))
    assert direct.keys() == stored.keys() == {"rule", "device", "pairs", "allocation", "expected"}
    for name, bound in direct.items():
        np.testing.assert_array_equal(bound.error, stored[name].error)
