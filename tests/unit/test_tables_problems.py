"""Every problem of the table: that its parts are those of one function, and that its constants hold.

A problem need not be quadratic, nor strongly convex, nor know its optimum but by an iteration.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from unit.tables import cases, options_of, small_problem

from byzcode.data import DATA_SETS
from byzcode.errors import UserError
from byzcode.kernels.gather import Code
from byzcode.problems import PROBLEMS
from byzcode.problems.problem import EVERYTHING
from byzcode.specs.quantities import COUNTS, QUANTITIES
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.batch import Part, assemble, shape_of

SEEDS = (3, 0, 8)
#: Subsets and parameters: more subsets than parameters, and fewer. Twelve are divided by many numbers.
MANY, FEW = (24, 12), (5, 12)


def built(name, options, seeds=SEEDS, dtype="float64"):
    """A problem, or a skipped test where it does not serve so few subsets."""
    try:
        return PROBLEMS[name](seeds, "cpu", dtype, **options)
    except (ValueError, UserError, torch.linalg.LinAlgError) as error:
        if options["subsets"] == MANY[0]:
            raise
        pytest.skip(f"{name} does not serve M, D = {FEW}: {error}")


def samples_of(name, options):
    """Options about the number of examples, if there are some: at most a hundred in 24 subsets have unequal sizes."""
    known = options_of(PROBLEMS[name])
    if "samples_per_subset" in known:
        return [{}, {"samples_per_subset": 3}]
    if "examples" in known:
        return [{"examples": min(100, DATA_SETS[options.get("data", known["data"].default)].training)}]
    return [{}]


CASES = [
    (name, small_problem(name, subsets, dimension, **options, **more))
    for name, options in cases(PROBLEMS).values()
    for subsets, dimension in (MANY, FEW)
    for more in samples_of(name, options)
]
every = pytest.mark.parametrize(("name", "options"), CASES, ids=str)


def knowing(quantity):
    """The cases of problems that know something of their loss."""
    cases_of = [(name, options) for name, options in CASES if quantity in PROBLEMS[name].knows]
    return pytest.mark.parametrize(("name", "options"), cases_of, ids=str)


def sizes(name, options):
    """The sizes that a problem says it has."""
    defaults = {option: about.default for option, about in options_of(PROBLEMS[name]).items()}
    return PROBLEMS[name].sizes(**defaults | options)


def points(problem):
    """Some theta, (R, D): the first, the best where it is known, ones near it, and random ones."""
    start = problem.start()
    best = getattr(problem, "optimum", start)
    dice = np.random.default_rng(1)
    a, b, c, d = (torch.from_numpy(dice.normal(size=best.shape)).to(best) for _ in range(4))
    return [start, best, best + 1e-3 * a, best + b, c, 10 * d]


def code(assigned, weight, dtype=torch.float64):
    return Code(torch.from_numpy(assigned), torch.from_numpy(weight).to(dtype))


def of_subsets(problem, forward, subsets):
    """The gradients of all subsets, (R, M, D): what devices send that hold one subset each."""
    runs = len(problem.start())
    assigned = np.tile(np.arange(subsets)[:, None], (runs, 1, 1))
    return problem.coded_gradients(forward, code(assigned, np.ones(assigned.shape), problem.start().dtype))


def size_of(gradients):
    """The size of the numbers that are added up, for tolerances."""
    return float(gradients.abs().max()) + 1e-300


@every
def test_shapes_and_constants(name, options):
    problem, kind = built(name, options), PROBLEMS[name]
    runs, dimension = len(SEEDS), sizes(name, options).dimension
    assert kind.knows == {each for each in EVERYTHING if hasattr(problem, each)}
    for tensor in (*(getattr(problem, each) for each in kind.knows), problem.start()):
        assert tensor.dtype is torch.float64
        assert tensor.isfinite().all()
    assert problem.start().shape == (runs, dimension)
    if "optimum" in kind.knows:
        assert problem.optimum.shape == (runs, dimension)
    if "smoothness" in kind.knows:
        assert problem.smoothness.shape == (runs,)
        assert (problem.smoothness > 0).all()
    if "strong_convexity" in kind.knows:
        assert problem.strong_convexity.shape == (runs,)
        assert (problem.strong_convexity >= 0).all()
    if {"smoothness", "strong_convexity"} <= kind.knows:
        assert (problem.strong_convexity <= problem.smoothness * (1 + 1e-12)).all()
    for theta in points(problem):
        forward = problem.forward(theta)
        gradient = problem.gradient(forward)
        scalars = (
            problem.loss(forward),
            problem.heterogeneity(forward, gradient),
            problem.largest_heterogeneity(forward, gradient),
            *([problem.excess_loss(forward)] if "optimum" in kind.knows else []),
            *(metric.measure(problem, forward) for metric in kind.metrics.values() if metric.measure),
        )
        for scalar in scalars:
            assert scalar.shape == (runs,)
            assert scalar.isfinite().all()
        assert gradient.shape == (runs, dimension)
        assert of_subsets(problem, forward, options["subsets"]).shape == (runs, options["subsets"], dimension)


@every
def test_a_problem_is_as_large_as_it_says(name, options):
    problem, stated = built(name, options), sizes(name, options)
    assert stated.subsets == options["subsets"]
    assert stated.samples >= stated.subsets
    numbers = sum(each.numel() for each in vars(problem).values() if isinstance(each, torch.Tensor)) / len(SEEDS)
    assert stated.data <= numbers <= stated.memory + stated.dimension + 2
    assert any(each.numel() == len(SEEDS) * stated.data for each in vars(problem).values() if torch.is_tensor(each))


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_metric_is_described_and_has_a_name_of_its_own(name):
    for metric, about in PROBLEMS[name].metrics.items():
        assert metric not in (*QUANTITIES, *COUNTS, *EVERYTHING)
        assert about.words
        assert about.long_name
        assert {other.metrics.get(metric, about) for other in PROBLEMS.values()} == {about}


@every
def test_a_metric_on_a_linear_axis_is_a_share(name, options):
    problem = built(name, options)
    for about in (about for about in PROBLEMS[name].metrics.values() if about.linear):
        for theta in points(problem):
            share = about.measure(problem, problem.forward(theta))
            assert ((share >= 0) & (share <= 1)).all()


#: Coordinates along which a gradient is tried, at most.
TRIED = 40
#: The step of these differences: so small that few kinks are nearer, and rounding stays below the tolerance.
STEP = 1e-8


@every
def test_the_gradient_is_that_of_the_loss(name, options):
    """By small differences along each coordinate. At a kink the gradient may be that of either side, or between."""
    problem = built(name, options)
    for theta in points(problem):
        forward = problem.forward(theta)
        gradient, loss = problem.gradient(forward), problem.loss(forward)
        step = STEP * (1 + theta.abs().amax(dim=-1))
        steepness = problem.smoothness if "smoothness" in PROBLEMS[name].knows else gradient.abs().amax(dim=-1)
        dimension = theta.shape[-1]
        for coordinate in range(0, dimension, -(-dimension // TRIED)):
            away = torch.zeros_like(theta)
            away[:, coordinate] = step
            right, left = (
                sign * (problem.loss(problem.forward(theta + sign * away)) - loss) / step for sign in (1, -1)
            )
            allowed = 1e-6 * (gradient.norm(dim=-1) + loss.abs() + steepness * (1 + step * 1e6))
            own = gradient[:, coordinate]
            assert (own >= torch.minimum(left, right) - allowed).all(), "gradient is not that of loss"
            assert (own <= torch.maximum(left, right) + allowed).all(), "gradient is not that of loss"


@knowing("optimum")
def test_the_optimum_is_one(name, options):
    problem = built(name, options)
    best = problem.forward(problem.optimum)
    least, scale = problem.loss(best), problem.loss(problem.forward(problem.start())).abs() + 1
    steepness = problem.smoothness if "smoothness" in PROBLEMS[name].knows else 1.0
    reach = steepness * ((problem.optimum - problem.start()).norm(dim=-1) + 1)
    assert (problem.gradient(best).norm(dim=-1) <= 1e-6 * reach).all(), "the gradient at the optimum is not 0"
    assert (problem.excess_loss(best).abs() <= 1e-9 * scale).all()
    for theta in points(problem):
        forward = problem.forward(theta)
        loss, excess = problem.loss(forward), problem.excess_loss(forward)
        assert (excess >= -1e-11 * scale).all()
        assert ((loss - least - excess).abs() <= 1e-9 * (scale + loss.abs())).all(), "not the loss above its least"


@knowing("smoothness")
def test_the_constants_bound_the_change_of_the_gradient(name, options):
    """||g(x) - g(y)|| <= L ||x - y||, and <g(x) - g(y), x - y> >= mu ||x - y||^2 where mu is not 0."""
    problem = built(name, options)
    at = [(theta, problem.gradient(problem.forward(theta))) for theta in points(problem)]
    for theta, gradient in at:
        for other, its_gradient in at:
            away, change = theta - other, gradient - its_gradient
            square, rounding = away.square().sum(dim=-1), 1e-12 * (gradient.norm(dim=-1) + its_gradient.norm(dim=-1))
            assert (change.norm(dim=-1) <= problem.smoothness * square.sqrt() * (1 + 1e-9) + rounding).all()
            if "strong_convexity" not in PROBLEMS[name].knows:
                continue
            along, mu = (change * away).sum(dim=-1), problem.strong_convexity
            assert ((along >= mu * square * (1 - 1e-9) - rounding * square.sqrt()) | (mu == 0)).all()


@every
def test_the_gradient_and_its_spread_are_those_of_the_subsets(name, options):
    problem = built(name, options)
    for theta in points(problem):
        forward = problem.forward(theta)
        gradient, own = problem.gradient(forward), of_subsets(problem, forward, options["subsets"])
        rounding = 1e-12 * size_of(own) * (1 + theta.shape[-1])
        away = (own - gradient.unsqueeze(-2)).square().sum(dim=-1)
        assert ((own.mean(dim=-2) - gradient).abs() <= rounding).all()
        # The squares are those of numbers that may cancel.
        blur = 1e-12 * own.square().sum(dim=-1).amax(dim=-1) * (1 + theta.shape[-1])
        spread, largest = problem.heterogeneity(forward, gradient), problem.largest_heterogeneity(forward, gradient)
        assert ((spread.square() - away.mean(dim=-1)).abs() <= blur).all()
        assert ((largest.square() - away.amax(dim=-1)).abs() <= blur).all()


def codes(runs, subsets):
    """Who holds what, with weights: a few subsets, all, some twice, empty slots, and with tasks drawn anew."""
    dice = np.random.default_rng(2)
    for devices, slots in ((7, 3), (6, subsets), (1, 1), (4, 2)):
        assigned = np.stack([[dice.permutation(subsets)[:slots] for _ in range(devices)] for _ in range(runs)])
        weight = dice.normal(size=assigned.shape) * (dice.random(assigned.shape) < 0.7)
        yield code(assigned, weight)
        yield replace(
            code(assigned, weight),
            devices=torch.from_numpy(np.stack([dice.permutation(devices) for _ in range(runs)])),
            names=torch.from_numpy(np.stack([dice.permutation(subsets) for _ in range(runs)])),
        )


@every
def test_what_devices_send_is_the_weighted_sum_of_the_gradients_of_their_subsets(name, options):
    problem, subsets = built(name, options), options["subsets"]
    for theta in points(problem):
        for of_what in ("labels as they are", "relabelled"):
            forward = problem.forward(theta)
            forward = forward if of_what == "labels as they are" else problem.relabelled(forward)
            own = of_subsets(problem, forward, subsets)
            for code in codes(len(SEEDS), subsets):
                assigned, weight = code.settled
                want = (weight.unsqueeze(-1) * own[torch.arange(len(SEEDS))[:, None, None], assigned]).sum(dim=-2)
                got = problem.coded_gradients(forward, code)
                assert got.shape == want.shape
                assert ((got - want).abs() <= 1e-12 * size_of(own) * (1 + subsets)).all(), of_what


def measured(name, problem, theta, subsets):
    """All that a problem gives at theta."""
    kind = PROBLEMS[name]
    forward = problem.forward(theta)
    gradient = problem.gradient(forward)
    relabelled = problem.relabelled(forward)
    return {
        **{each: getattr(problem, each) for each in kind.knows},
        **{each: about.measure(problem, forward) for each, about in kind.metrics.items() if about.measure},
        **({"excess loss": problem.excess_loss(forward)} if "optimum" in kind.knows else {}),
        "start": problem.start(),
        "loss": problem.loss(forward),
        "gradient": gradient,
        "heterogeneity": problem.heterogeneity(forward, gradient),
        "largest heterogeneity": problem.largest_heterogeneity(forward, gradient),
        "coded gradients": of_subsets(problem, forward, subsets),
        "relabelled": of_subsets(problem, relabelled, subsets),
    }


@every
def test_to_ask_twice_gives_the_same_and_changes_nothing(name, options):
    problem, subsets = built(name, options), options["subsets"]
    for theta in points(problem):
        before = theta.clone()
        once, twice = measured(name, problem, theta, subsets), measured(name, problem, theta, subsets)
        assert torch.equal(theta, before)
        for quantity, value in once.items():
            assert torch.equal(value, twice[quantity]), quantity


@every
def test_a_seed_has_the_same_bits_alone_and_beside_others(name, options):
    together, subsets = built(name, options), options["subsets"]
    for theta in points(together):
        beside = measured(name, together, theta, subsets)
        for place, seed in enumerate(SEEDS):
            alone = measured(name, built(name, options, (seed,)), theta[place : place + 1], subsets)
            for quantity, value in alone.items():
                assert torch.equal(value[0], beside[quantity][place]), quantity


@every
def test_each_seed_draws_its_own_problem(name, options):
    problem = built(name, options, (3, 3, 4))
    first, again, other = problem.gradient(problem.forward(problem.start()))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@every
def test_single_precision_is_near_double(name, options):
    double, single = built(name, options), built(name, options, dtype="float32")
    slopes = [
        [measured(name, each, theta.to(each.start().dtype), options["subsets"]) for each in (double, single)]
        for theta in points(double)
    ]
    for quantity in slopes[0][0]:
        scale = max(float(fine[quantity].abs().max()) for fine, _ in slopes)  # at the optimum many vanish
        for fine, rough in slopes:
            assert rough[quantity].dtype is torch.float32, quantity
            assert ((rough[quantity].double() - fine[quantity]).abs() <= 1e-3 * scale).all(), quantity


# --- several specs as one batch ---------------------------------------------------------------------------------------


def spec_of(name, options, seeds):
    values = {"method": "cra_dl", "redundancy": 2, "aggregation": "median", "devices": 5, "iterations": 2}
    return RunSpec.parse({**values, "problem": {"name": name, **options}, "seeds": list(seeds)}, "test")


def siblings(name, options):
    """Specs of one problem that differ in one option each, as far as they may, and in their seeds."""
    yield spec_of(name, options, (3, 0))
    yield spec_of(name, options, (5,))
    for option, about in options_of(PROBLEMS[name]).items():
        if isinstance(about.default, float):
            for value in (2 * about.default + 1, about.default / 2):
                try:
                    yield spec_of(name, {**options, option: value}, (3,))
                    break
                except UserError:
                    continue


@every
def test_a_batch_of_specs_has_of_each_what_it_has_alone(name, options):
    """Whatever the options in which the specs of a batch may differ."""
    first, *others = siblings(name, options)
    specs = [first, *(spec for spec in others if shape_of(spec) == shape_of(first))]
    assert len(specs) > 1
    parts = [Part(spec, spec.seeds, allocations.draw(spec.allocation_spec)) for spec in specs]
    batch = assemble(parts, "cpu").problem
    problems = [assemble([part], "cpu").problem for part in parts]
    for scale in (0.0, 1.0):
        theta = batch.start() + scale
        beside = measured(name, batch, theta, options["subsets"])
        place = 0
        for spec, problem in zip(specs, problems, strict=True):
            rows = slice(place, place + len(spec.seeds))
            place = rows.stop
            for quantity, value in measured(name, problem, theta[rows], options["subsets"]).items():
                assert torch.equal(value, beside[quantity][rows]), (quantity, spec.problem.options)
