"""Every rule of the table: against loops written from its formula, and for the properties that any rule must have."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from unit.tables import cases as cases_of

from byzcode.aggregation import RULES
from byzcode.kernels.distances import centred, in_units, multiplied_out, norms, squared_distances
from byzcode.kernels.product import product
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.theory.constants import rule_constant

DEVICES = (1, 2, 3, 4, 5, 8, 11, 20)
EXTREMES = (math.inf, -math.inf, math.nan, 1e300, -1e300)

#: Every rule with its default options, and those with others.
VARIANTS = {
    "phocas, vector": ("phocas", {"variant": "vector"}),
    "krum, n-f-1": ("krum", {"neighbours": "n-f-1"}),
    "multi_krum, n-f-1": ("multi_krum", {"neighbours": "n-f-1"}),
    "multi_krum, 1 kept": ("multi_krum", {"kept": 1}),
    "centered_clipping, from zero": ("centered_clipping", {"start": "zero"}),
    "centered_clipping, 3 rounds": ("centered_clipping", {"rounds": 3, "radius": 0.5}),
}
CASES = {label: case for label, case in cases_of(RULES).items() if case not in VARIANTS.values()} | VARIANTS


def most_liars(case, n):
    return RULES[CASES[case][0]].most_liars(n)


#: Rules that bear a liar only where they promise something; the mean takes any f and promises nothing.
ROBUST = [case for case in CASES if most_liars(case, 11) < 11]

CLIPPED = {"centered_clipping", "centered_clipping, from zero", "centered_clipping, 3 rounds"}


def lacking(prop):
    """The cases of the rules that lack a property, by what their table says."""
    return {case for case, (name, _) in CASES.items() if prop in RULES[name].lacks}


#: What clipping starts from moves with the messages, but for zero.
NO_TRANSLATION = lacking("translation") - {"centered_clipping", "centered_clipping, 3 rounds"}
NO_SCALE = lacking("scale")
CHOOSES = {"krum", "krum, n-f-1", "multi_krum, 1 kept"}


def has_ties(case, n, f):
    """Where a score counts one neighbour, two messages nearest to each other tie, and their values decide."""
    if case == "bulyan":
        return 1 <= f <= 2  # the last choices are among 2 f + 1
    return case in CHOOSES and n - f - (1 if "n-f-1" in case else 2) <= 1


# --- the rules, one coordinate at a time, as plain loops: the admissible results of a column --------------------------


def nan_last(column):
    return sorted(column, key=lambda x: (math.isnan(x), x))


def loop_mean(column, f):
    return [sum(column) / len(column)]


def loop_median(column, f):
    ordered = nan_last(column)
    n = len(ordered)
    if n % 2:
        return [ordered[n // 2]]
    return [ordered[n // 2 - 1] / 2 + ordered[n // 2] / 2]


def loop_trimmed_mean(column, f):
    ordered = nan_last(column)
    for _ in range(f):
        ordered.pop()
        ordered.pop(0)
    return [sum(ordered) / len(ordered)]


def loop_phocas(column, f):
    return loop_nearest(column, f, loop_trimmed_mean(column, f)[0])


def loop_meamed(column, f):
    return loop_nearest(column, f, loop_median(column, f)[0])


def loop_nearest(column, f, centre):
    """Mean of the n - f values nearest to a centre; every choice among equally near ones is admissible."""
    distance = [math.inf if math.isnan(x) else abs(x - centre) for x in column]
    keep = len(column) - f
    edge = sorted(distance)[keep - 1]
    blur = 1e-12 * max(edge, abs(centre))
    inside = [x for x, d in zip(column, distance, strict=True) if d < edge - blur]
    level = [x for x, d in zip(column, distance, strict=True) if edge - blur <= d <= edge + blur]
    low, high = [x for x in level if x < centre], [x for x in level if x >= centre]
    missing = keep - len(inside)
    return [
        (sum(inside) + sum(low[:taken]) + sum(high[: missing - taken])) / keep
        for taken in range(missing + 1)
        if taken <= len(low) and missing - taken <= len(high)
    ]


LOOPS = {
    "mean": loop_mean,
    "median": loop_median,
    "trimmed_mean": loop_trimmed_mean,
    "phocas": loop_phocas,
    "meamed": loop_meamed,
}


def apply(case, messages, f):
    name, options = CASES[case]
    return RULES[name](torch.from_numpy(np.ascontiguousarray(messages)), f, **options).numpy()


def assert_as_loops(name, messages, f, scale):
    got = apply(name, messages, f)
    assert got.shape == messages.shape[1:]
    for value, column in zip(got, messages.T, strict=True):
        admissible = LOOPS[name](column.tolist(), f)
        assert any(abs(value - a) <= 1e-12 * scale for a in admissible), (name, f, value, admissible, column)


def every_f(name):
    """(N, f) for all N tried and all f that the rule accepts and that leave an honest device."""
    return [(n, f) for n in DEVICES for f in range(min(most_liars(name, n), n - 1) + 1)]


def test_each_rule_with_a_formula_is_in_the_table():
    assert set(LOOPS) <= set(RULES)


@pytest.mark.parametrize("name", LOOPS)
def test_agrees_with_the_loops_without_ties(name):
    generator = np.random.default_rng(1)
    for n, f in every_f(name):
        assert_as_loops(name, generator.normal(size=(n, 6)), f, scale=10)


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300])
def test_agrees_with_the_loops_with_ties_and_at_any_scale(name, scale):
    generator = np.random.default_rng(2)
    for n, f in every_f(name):
        assert_as_loops(name, scale * generator.integers(-2, 3, size=(n, 12)), f, scale=3 * scale)


def test_the_median_of_the_largest_numbers_does_not_overflow():
    largest = np.finfo(np.float64).max
    messages = largest * np.array([[1.0, -1.0, 0.75], [0.75, -0.75, -0.75], [1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])
    np.testing.assert_allclose(apply("median", messages, 1) / largest, [0.875, -0.875, 0.0], atol=1e-15)


@pytest.mark.parametrize("name", [name for name in LOOPS if name in ROBUST])
@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_the_loops_among_extreme_lies(name, ties):
    """Infinities of both signs, NaN and 1e300, from up to f liars: to the accuracy of the honest values."""
    generator = np.random.default_rng(3)
    for n, f in every_f(name):
        honest = generator.integers(-2, 3, size=(n, 12)).astype(float) if ties else generator.normal(size=(n, 12))
        messages = honest.copy()
        for column in range(12):
            liars = generator.permutation(n)[: generator.integers(f + 1)]
            messages[liars, column] = generator.choice(EXTREMES, size=len(liars))
        assert_as_loops(name, messages, f, scale=10)


@given(
    data=arrays(
        np.float64, st.tuples(st.integers(1, 9), st.integers(1, 3)), elements=st.integers(-3, 3).map(lambda k: k / 2)
    ),
    part=st.floats(0, 1),
)
@pytest.mark.parametrize("name", LOOPS)
def test_agrees_with_the_loops_on_small_fractions(name, data, part):
    f = int(part * min(most_liars(name, len(data)), len(data) - 1))
    assert_as_loops(name, data, f, scale=2)


def test_phocas_takes_the_lower_of_two_values_equally_near():
    assert apply("phocas", np.array([[1.0], [-1.0], [0.0]]), 1).tolist() == [-0.5]


# --- the rules of whole messages, as plain loops in exact numbers: the admissible results -----------------------------


def exact_distances(messages, others=None):
    """Squared distances in 80-bit numbers, whose range bears 1e300; infinite where a message is not finite."""
    finite = np.where(np.isfinite(messages).all(axis=1, keepdims=True), messages, math.inf).astype(np.longdouble)
    with np.errstate(invalid="ignore"):
        squares = ((finite[:, None] - (finite if others is None else others)) ** 2).sum(axis=-1)
    squares = np.where(np.isnan(squares), np.inf, squares)
    if others is None:
        np.fill_diagonal(squares, 0)
    return squares


def exact_scores(distances, among, others):
    return {i: sum(sorted(distances[i][j] for j in among if j != i)[: max(others, 0)]) for i in among}


def exact(messages):
    """Rows of fractions; None where a message is not finite."""
    return [[Fraction(x) for x in row] if np.isfinite(row).all() else None for row in messages.tolist()]


def least(scores, messages, kept):
    """The indices with the least scores, of equals those whose first coordinate is less, then the second, ..."""
    return sorted(scores, key=lambda i: (scores[i], not np.isfinite(messages[i]).all(), messages[i].tolist()))[:kept]


def exact_mean(messages, chosen):
    return np.array(
        [float(sum(Fraction(messages[i, c]) for i in chosen) / len(chosen)) for c in range(messages.shape[1])]
    )


def neighbours_of(case, n, f):
    return n - f - (1 if "n-f-1" in case else 2)


def loop_krum(case, messages, f):
    n = len(messages)
    scores = exact_scores(exact_distances(messages), range(n), neighbours_of(case, n, f))
    return [messages[i] for i in scores if scores[i] == min(scores.values())]


def loop_multi_krum(case, messages, f):
    n = len(messages)
    scores = exact_scores(exact_distances(messages), range(n), neighbours_of(case, n, f))
    return [exact_mean(messages, least(scores, messages, 1 if "1 kept" in case else n - f))]


def loop_bulyan(case, messages, f):
    n, distances = len(messages), exact_distances(messages)
    left, chosen = list(range(n)), []
    while len(chosen) < n - 2 * f:
        [best] = least(exact_scores(distances, left, max(len(left) - f - 2, 1)), messages, 1)
        chosen.append(best)
        left.remove(best)
    columns = [loop_meamed(column, 2 * f) for column in messages[sorted(chosen)].T.tolist()]
    return [np.array(values) for values in itertools.product(*columns)]


def loop_phocas_vector(case, messages, f):
    centre = [loop_trimmed_mean(column, f)[0] for column in messages.T.tolist()]
    rows = exact(messages)
    far = {
        i: math.inf if row is None else sum((x - Fraction(c)) ** 2 for x, c in zip(row, centre, strict=True))
        for i, row in enumerate(rows)
    }
    return [exact_mean(messages, least(far, messages, len(rows) - f))]


def loop_norm_trimming(case, messages, f):
    sizes = {i: math.inf if row is None else sum(x * x for x in row) for i, row in enumerate(exact(messages))}
    return [exact_mean(messages, least(sizes, messages, len(messages) - f))]


def loop_centered_clipping(case, messages, f):
    _, options = CASES[case]
    n, d = messages.shape
    radius, centre = options.get("radius", 10.0), np.zeros(d)
    if options.get("start") != "zero":
        centre = np.array([loop_median(column, f)[0] for column in messages.T.tolist()])
    for _ in range(options.get("rounds", 1)):
        pulls = np.zeros(d)
        for message in messages:
            if np.isfinite(message).all():
                away = message - centre
                pulls += away * min(1.0, radius / max(math.hypot(*away), 1e-300))
        centre = centre + pulls / n
    return [centre]


def geometric_median_of(messages):
    """The geometric median in 80-bit numbers: a message that outweighs the others, or Newton's iteration."""
    x = messages[np.isfinite(messages).all(axis=1)].astype(np.longdouble)
    origin = np.median(x, axis=0)
    x = x - origin

    def length(v):
        return np.sqrt((v * v).sum(axis=-1))

    def gain(y):
        """How much less the sum of distances is than at 0: not by subtracting huge ones."""
        return ((2 * x - y) @ y / np.maximum(length(x) + length(x - y), np.finfo(np.longdouble).tiny)).sum()

    def force(y):
        away = x - y
        distance = length(away)
        off = distance > 0
        return (away[off] / distance[off, None]).sum(axis=0), (~off).sum()

    for candidate in x:
        pull, assigned = force(candidate)
        if length(pull) <= assigned:
            return origin + candidate
    best = max(x, key=gain)
    pull, assigned = force(best)
    distance = length(x - best)
    y = best + (1 - assigned / length(pull)) * pull / (1 / distance[distance > 0]).sum()
    spread = np.median(length(x))
    for _ in range(200):
        away = x - y
        distance = length(away)
        unit = away / distance[:, None]
        pull = unit.sum(axis=0)
        curvature = np.eye(len(y)) * (1 / distance).sum() - (unit / distance[:, None]).T @ unit
        step = np.linalg.solve(curvature.astype(float), pull.astype(float)).astype(np.longdouble)
        while gain(y + step) < gain(y) - 1e-17 * spread and length(step) > 1e-18 * spread:
            step = step / 2
        y = y + step
        if length(step) <= 1e-17 * spread:
            break
    return origin + y


def loop_geometric_median(case, messages, f):
    finite = messages[np.isfinite(messages).all(axis=1)]
    if len(finite) == 2:  # every point between them is one
        return [part * finite[0] + (1 - part) * finite[1] for part in (0, 0.5, 1)]
    return [geometric_median_of(messages).astype(float)]


WHOLE = {
    "phocas, vector": loop_phocas_vector,
    "geometric_median": loop_geometric_median,
    "krum": loop_krum,
    "krum, n-f-1": loop_krum,
    "multi_krum": loop_multi_krum,
    "multi_krum, n-f-1": loop_multi_krum,
    "multi_krum, 1 kept": loop_multi_krum,
    "bulyan": loop_bulyan,
    "centered_clipping": loop_centered_clipping,
    "centered_clipping, from zero": loop_centered_clipping,
    "centered_clipping, 3 rounds": loop_centered_clipping,
    "norm_trimming": loop_norm_trimming,
}


@pytest.mark.parametrize("case", CASES)
def test_each_rule_has_a_loop(case):
    """An added rule may do without: the properties below are tested all the same."""
    if case not in LOOPS and case not in WHOLE:
        pytest.skip(f"{case} is not compared with a formula: there is none in LOOPS or WHOLE of {__file__}")


def assert_as_whole(case, messages, f, tolerance):
    got = apply(case, messages, f)
    admissible = WHOLE[case](case, messages, f)
    assert any(np.abs(got - a).max() <= tolerance for a in admissible), (case, len(messages), f, got, admissible)


@pytest.mark.parametrize("case", WHOLE)
def test_agrees_with_the_exact_loops(case):
    generator = np.random.default_rng(21)
    for n, f in every_f(case):
        for d in (2, 5):
            assert_as_whole(case, generator.normal(size=(n, d)), f, 1e-12)


@pytest.mark.parametrize("case", WHOLE)
def test_agrees_with_the_exact_loops_among_lies(case):
    """Lies far out, equal to each other, equal to an honest message, huge and infinite."""
    generator = np.random.default_rng(22)
    for n, f in every_f(case):
        for kind in ("far", "equal", "copies", "extreme"):
            messages = generator.normal(size=(n, 3))
            liars = generator.permutation(n)[:f]
            messages[liars] = {
                "far": 1e4 * messages[liars],
                "equal": generator.normal(size=3),
                "copies": messages[0],
                "extreme": generator.choice(EXTREMES, size=(f, 3)),
            }[kind]
            assert_as_whole(case, messages, f, 1e-11)


@pytest.mark.parametrize("case", [case for case in CASES if case not in lacking("scale")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("lie", [None, math.nan, math.inf, -1.0, 1e-3])
def test_squares_neither_overflow_nor_vanish(case, dtype, lie):
    """Messages, beside lies that are not finite or huge, times powers of two: to the bit."""
    messages = torch.from_numpy(np.random.default_rng(23).normal(size=(15, 3))).to(dtype)
    rule, options = RULES[CASES[case][0]], CASES[case][1]
    for power in (-900, -540, 540, 900) if dtype is torch.float64 else (-100, -70, 70, 100):
        for f in {0, 1, 3, most_liars(case, 15)} if case in ROBUST and lie is not None else {0}:
            if f > most_liars(case, 15):
                continue
            huge = messages * 2.0**power
            if f:
                far = torch.finfo(dtype).max * min(1.0, 2.0**power)
                huge[::2][:f] = lie * far if math.isfinite(lie) else lie
            usual = huge * 2.0**-power
            got = rule(huge, f, **options)
            assert got.isfinite().all()
            np.testing.assert_array_equal(got.numpy(), (2.0**power * rule(usual, f, **options)).numpy())


PLACES = [(0.0, 1.0), (1e3, 1e-3), (1e6, 1e-6)]
LIES = {"huge": 1e300, "large": 1e9, "near": None}


def coincident(generator, n, f, d, place, noise, lie):
    """Messages that nearly coincide far from zero, beside f lies; half of the lies point the other way."""
    messages = place + noise * generator.normal(size=(n, d))
    sign = generator.choice([-1.0, 1.0], size=(f, 1))
    messages[:f] = place + 30 * noise * generator.normal(size=(f, d)) if lie is None else sign * lie
    return messages


@pytest.mark.parametrize(("place", "noise"), PLACES)
@pytest.mark.parametrize("lie", LIES)
def test_near_coincident_messages_are_told_apart(place, noise, lie):
    generator = np.random.default_rng(24)
    for n, f, d in [(9, 2, 3), (20, 8, 5), (40, 15, 30)]:
        messages = coincident(generator, n, f, d, place, noise, LIES[lie])
        want = np.array(exact_distances(messages)[f:], dtype=object)[:, f:].astype(float)
        away = centred(torch.from_numpy(messages))[0]
        unit = (away[f] / in_units(away)[f])[0].item()
        for got in (squared_distances(away).numpy(), multiplied_out(in_units(away)).numpy()):
            np.testing.assert_allclose(unit**2 * got[f:, f:], want, rtol=0, atol=1e-14 * d * noise**2)
            np.testing.assert_array_equal(got, got.T)
            assert (np.diag(got) == 0).all()
        for case in ("krum", "krum, n-f-1", "multi_krum", "multi_krum, n-f-1", "geometric_median"):
            assert_as_whole(case, messages, f, 1e-12 * noise + 4 * np.spacing(place))
        for case in ("krum", "krum, n-f-1"):
            assert any(np.array_equal(apply(case, messages, f), a) for a in WHOLE[case](case, messages, f))


def test_the_distance_to_a_message_that_is_not_finite_is_infinite():
    lies = [[math.inf, 1.0], [math.inf, 1.0], [math.nan, 1.0]]
    messages = torch.tensor([[0.0, 3.0], [4.0, 0.0], [0.0, 0.0], [4.0, 3.0], [0.0, 3.0], *lies], dtype=torch.float64)
    got = 16 * squared_distances(centred(messages)[0])  # the unit is 4
    want = [[0, 25, 9, 16, 0], [25, 0, 16, 9, 25], [9, 16, 0, 25, 9], [16, 9, 25, 0, 16], [0, 25, 9, 16, 0]]
    assert got[:5, :5].tolist() == want
    assert (got[5:][~torch.eye(8, dtype=torch.bool)[5:]] == math.inf).all()
    assert (got.diagonal() == 0).all()
    assert norms(messages)[2:].tolist() == [0.0, 5.0, 3.0, math.inf, math.inf, math.inf]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norms_of_any_size_are_exact_and_have_the_same_bits_alone(dtype):
    """From where squares vanish to where they overflow, each beside the others."""
    least, most = (-37, 37) if dtype is torch.float32 else (-306, 307)
    sizes = torch.tensor([10.0**power for power in range(least, most)], dtype=dtype)
    messages = sizes.unsqueeze(-1) * torch.from_numpy(np.random.default_rng(30).normal(size=(1, 7))).to(dtype)
    got = norms(messages)
    want = [math.hypot(*row) for row in messages.double().tolist()]
    np.testing.assert_allclose(got.double().numpy(), want, rtol=4 * torch.finfo(dtype).eps)
    for place in range(len(messages)):
        assert torch.equal(norms(messages[place : place + 1]), got[place : place + 1])


@pytest.mark.parametrize("name", CASES)
def test_a_batch_of_calm_and_wild_entries(name):
    """To the bit, where a shorter way is taken if no entry needs the longer one."""
    calm = np.random.default_rng(31).normal(size=(4, 15, 6))
    batch, f = calm.copy(), min(3, most_liars(name, 15))
    batch[1, 0], batch[2, 1], batch[3] = math.inf, math.nan, calm[3].round()
    got = apply(name, batch, f)
    for place in range(4):
        np.testing.assert_array_equal(got[place], apply(name, batch[place], f))


def test_products_have_the_same_bits_alone_and_in_a_batch():
    generator = torch.Generator().manual_seed(0)
    for n, d in [(5, 1), (9, 7), (20, 33), (31, 100)]:
        left = torch.rand(4, n, n, generator=generator, dtype=torch.float64)
        right = torch.randn(4, n, d, generator=generator, dtype=torch.float64)
        got = product(left, right)
        torch.testing.assert_close(got, left @ right, rtol=1e-13, atol=1e-13)
        for i in range(4):
            assert torch.equal(got[i], product(left[i].clone(), right[i].clone()))


@pytest.mark.parametrize("name", CASES)
def test_wide_messages_have_the_same_bits_alone(name):
    """Sums over many coordinates may be made piece by piece."""
    messages = np.random.default_rng(32).normal(size=(2, 7, 20_001))
    got = apply(name, messages, most_liars(name, 7))
    for place in range(2):
        np.testing.assert_array_equal(got[place], apply(name, messages[place], most_liars(name, 7)))


def test_the_mean_of_wide_messages():
    messages = np.random.default_rng(33).normal(size=(7, 20_001))
    np.testing.assert_allclose(apply("mean", messages, 0), messages.mean(axis=0), rtol=0, atol=1e-15)


# --- the geometric median's own ---------------------------------------------------------------------------------------


def test_the_geometric_median_of_hard_cases():
    """Beside a message, on one, elongated, on a grid, with lies that coincide: always to the last digits."""
    generator = np.random.default_rng(25)
    for number in range(120):
        n, d = int(generator.integers(3, 30)), int(generator.integers(2, 6))
        messages = generator.normal(size=(n, d))
        f = int(generator.integers((n - 1) // 2 + 1))
        kind = number % 6
        if kind == 1:
            messages[:f] *= 1e6
        elif kind == 2:
            messages[:f] = 3 * messages[0]
        elif kind == 3:
            messages *= np.geomspace(1, 0.03, d)
        elif kind == 4:
            messages = generator.integers(-2, 3, size=(n, d)).astype(float)
        elif kind == 5:
            messages[-1] = apply("geometric_median", messages, 0) + 10.0 ** -generator.integers(1, 9)
        spread = np.median(np.abs(messages - np.median(messages, axis=0)).max(axis=1))
        assert_as_whole("geometric_median", messages, 0, 1e-11 * spread)


def test_the_geometric_median_is_where_more_than_half_stand():
    messages = np.random.default_rng(26).normal(size=(9, 4))
    messages[:5] = messages[0]
    np.testing.assert_allclose(apply("geometric_median", messages, 4), messages[0], rtol=1e-15)


def test_the_geometric_median_counts_a_huge_lie_as_a_direction():
    """A lie at 1e300 pulls as much as one at 1e20; what is not finite does not pull."""
    messages = np.random.default_rng(27).normal(size=(9, 4))
    far, huge, none = messages.copy(), messages.copy(), messages.copy()
    far[:3], huge[:3], none[:3] = 1e20, 1e300, math.inf
    got = apply("geometric_median", huge, 3)
    np.testing.assert_allclose(got, apply("geometric_median", far, 3), rtol=1e-12)
    assert np.abs(got - apply("geometric_median", none, 3)).max() > 0.1
    np.testing.assert_allclose(
        apply("geometric_median", none, 3), apply("geometric_median", messages[3:], 0), rtol=1e-12
    )


def test_the_geometric_median_on_a_line_is_the_median():
    """Where every point of an interval is one, its middle."""
    for n in (1, 2, 3, 4, 9, 10):
        line = np.random.default_rng(n).normal(size=(n, 1))
        np.testing.assert_allclose(apply("geometric_median", line, 0), np.median(line, axis=0), atol=1e-15)
        np.testing.assert_allclose(
            apply("geometric_median", line * [1.0, -2.0, 0.5], 0),
            np.median(line) * np.array([1.0, -2.0, 0.5]),
            atol=1e-14,
        )


def test_the_geometric_median_stops_after_the_steps_it_is_given():
    messages = torch.from_numpy(np.random.default_rng(28).normal(size=(20, 3)))
    exactly = RULES["geometric_median"](messages, 0)
    errors = [(RULES["geometric_median"](messages, 0, steps=k) - exactly).norm() for k in (1, 2, 40)]
    assert errors[0] > errors[1] > errors[2] < 1e-13
    rough = (RULES["geometric_median"](messages, 0, tolerance=1e-2) - exactly).norm()
    assert 1e-12 < rough < 1e-3  # a Newton step more than 1e-2 itself


def test_multi_krum_refuses_to_keep_lies():
    messages = torch.zeros(9, 2, dtype=torch.float64)
    RULES["multi_krum"](messages, 3, kept=6)
    with pytest.raises(ValueError, match="kept = 7"):
        RULES["multi_krum"](messages, 3, kept=7)


def test_a_lie_of_clipping_pulls_by_its_radius_whatever_its_size():
    messages = np.zeros((10, 2))
    for lie, pull in [([3e300, -4e300], [0.6, -0.8]), ([0.3, -0.4], [0.03, -0.04]), ([math.inf, 0.0], [0.0, 0.0])]:
        messages[0] = lie
        for case in ("centered_clipping", "centered_clipping, from zero"):
            np.testing.assert_allclose(apply(case, messages, 1), pull, rtol=1e-14)


# --- what the theory promises against f liars ------------------------------------------------------------------------


def attacked(generator, n, f, dimension):
    """Messages with exactly f lying devices, and the honest ones among them."""
    messages = generator.normal(size=(n, dimension))
    liars = generator.permutation(n)[:f]
    honest = np.delete(messages, liars, axis=0)
    messages[liars] = generator.choice(EXTREMES, size=(f, dimension))
    return messages, honest


@pytest.mark.parametrize("name", ROBUST)
def test_is_finite_among_extreme_lies(name):
    generator = np.random.default_rng(4)
    for n, f in every_f(name):
        messages, _ = attacked(generator, n, f, 8)
        assert np.isfinite(apply(name, messages, f)).all(), (n, f)


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("name", ROBUST)
def test_bears_f_equal_lies(name, extreme):
    """All liars send the same: the case in which they occupy one whole side of the sorted row."""
    for n, f in every_f(name):
        messages = np.random.default_rng(n).normal(size=(n, 5))
        messages[:f] = extreme
        got = apply(name, messages, f)
        assert np.isfinite(got).all()
        assert np.abs(got).max() < 20  # of the size of the honest values, not of the lies


@pytest.mark.parametrize("name", ["median", "trimmed_mean"])
def test_stays_in_the_honest_range(name):
    generator = np.random.default_rng(5)
    for n, f in every_f(name):
        messages, honest = attacked(generator, n, f, 8)
        got = apply(name, messages, f)
        assert (honest.min(axis=0) - 1e-12 <= got).all()
        assert (got <= honest.max(axis=0) + 1e-12).all()


def test_phocas_stays_as_near_to_the_trimmed_mean_as_the_honest_values():
    """At least n - f values (the honest ones) lie within R = max_H |h - t|, so the chosen ones do too."""
    generator = np.random.default_rng(6)
    for n, f in every_f("phocas"):
        messages, honest = attacked(generator, n, f, 8)
        centre = np.array([loop_trimmed_mean(column.tolist(), f)[0] for column in messages.T])
        reach = np.abs(honest - centre).max(axis=0)
        assert (np.abs(apply("phocas", messages, f) - centre) <= reach + 1e-12).all()
        # Hence within the honest range widened by its own width.
        width = np.ptp(honest, axis=0)
        got = apply("phocas", messages, f)
        assert (honest.min(axis=0) - width - 1e-12 <= got).all()
        assert (got <= honest.max(axis=0) + width + 1e-12).all()


@pytest.mark.parametrize("name", CASES)
def test_equal_honest_messages_come_out_again(name):
    generator = np.random.default_rng(7)
    common = generator.normal(size=6)
    for n, f in every_f(name):
        messages = np.tile(common, (n, 1))
        if name in ROBUST:
            messages[generator.permutation(n)[:f]] = generator.choice(EXTREMES, size=(f, 6))
        if name in CLIPPED:  # a round pulls by radius f / N
            assert np.linalg.norm(apply(name, messages, f) - common) <= 10.0 * f / n + 1e-12
        elif name in LOOPS or name in WHOLE or "agreement" not in RULES[CASES[name][0]].lacks:
            np.testing.assert_allclose(apply(name, messages, f), common, rtol=1e-9, atol=1e-12)


# --- the robustness constants, against an adversary in one dimension -------------------------------------------------


def worst_cases(n, f, generator):
    """Messages (B, N, 1) whose first f or last f lie, and the honest ones (B, N - f, 1).

    Honest: k of them at 1 and the rest at 0, some perturbed, and random ones. Lies: all at one place, on a grid that
    contains the honest places and far ones, or on both sides.
    """
    honest, k = n - f, np.arange(1, n - f)
    two = (np.arange(honest) >= honest - k[:, None]).astype(float)
    sets = np.concatenate([two, two + 1e-3 * generator.normal(size=two.shape), generator.normal(size=(8, honest)) ** 3])
    sets = np.concatenate([sets, -sets])
    places = [-1e6, -3.0, -2.0, -1.5, -1.0, -0.999, -0.5, 0.0, 0.5, 0.999, 1.0, 1.001, 1.5, 2.0, 2.001, 3.0, 10.0, 1e6]
    lies = [np.full(f, place) for place in places]
    lies += [np.where(np.arange(f) % 2, place, 1 - place) for place in places]
    sets, lies = np.broadcast_arrays(sets[:, None, :], np.zeros((1, len(lies), 1)))[0], np.array(lies)
    lies = np.broadcast_to(lies, (*sets.shape[:2], f))
    first, last = np.concatenate([lies, sets], axis=-1), np.concatenate([sets, lies], axis=-1)
    both = np.concatenate([first, last]).reshape(-1, n, 1)
    return both, np.concatenate([sets, sets]).reshape(-1, honest, 1)


def worst_error(case, n, f, *, mixed=False):
    """max ||rule - mean_H||^2 / ((1/|H|) sum_H ||x - mean_H||^2) that the search finds."""
    messages, honest = worst_cases(n, f, np.random.default_rng(n))
    if mixed:
        keep = np.random.default_rng(f).permutation(len(messages))[:600]
        messages, honest = messages[keep], honest[keep]
        messages = PRE_AGGREGATORS["nnm"](torch.from_numpy(messages), f, None).numpy()
    got = apply(case, messages, f)
    variance = honest.var(axis=-2)
    assert (variance > 0).all()
    return ((got - honest.mean(axis=-2)) ** 2 / variance).max()


SIZES = [(5, 1), (5, 2), (9, 3), (11, 5), (20, 4), (20, 8)]
KAPPA = {name: rule.kappa for name, rule in RULES.items() if rule.least_kappa(5, 1) is not None}
SHARP_KAPPA = {name: rule.sharp_kappa for name, rule in RULES.items() if rule.sharp_kappa is not None}
BOUND = {case: CASES[case][0] for case in CASES if CASES[case][0] in KAPPA}


def mixed_constant(constant, n, f):
    return PRE_AGGREGATORS["nnm"].kappa(constant(n, f), n, f)


def test_a_smaller_constant_stands_beside_a_published_one():
    assert set(SHARP_KAPPA) <= set(KAPPA)


def test_the_mean_has_a_constant_where_nobody_lies():
    assert RULES["mean"].least_kappa(10, 0) == 0
    assert RULES["mean"].least_kappa(10, 1) is None


@pytest.mark.parametrize("before", PRE_AGGREGATORS)
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_behind_a_pre_aggregator_has_a_constant_if_both_have(rule, before):
    known = rule_constant(rule, before, 20, 4)
    assert (known is not None) == (rule in KAPPA and PRE_AGGREGATORS[before].kappa is not None)
    if PRE_AGGREGATORS[before].idle:
        assert known == RULES[rule].least_kappa(20, 4)


@pytest.mark.parametrize("case", BOUND)
def test_the_error_stays_below_the_robustness_constant(case):
    """F8. Among the rules there is no bound below f / (n - 2 f), which each must reach under these attacks."""
    for n, f in SIZES:
        if f <= most_liars(case, n):
            error = worst_error(case, n, f)
            assert f / (n - 2 * f) * 0.9 <= error <= KAPPA[BOUND[case]](n, f) * (1 + 1e-9), (n, f)


@pytest.mark.parametrize("case", BOUND)
def test_the_error_behind_mixing_stays_below_its_constant(case):
    for n, f in [(5, 1), (9, 3), (20, 8)]:
        if f <= most_liars(case, n):
            error = worst_error(case, n, f, mixed=True)
            assert error <= mixed_constant(KAPPA[BOUND[case]], n, f) * (1 + 1e-9), (n, f)


def test_the_constant_of_the_trimmed_mean_is_reached_from_below():
    """Its worst case is known: all lies on the far values, where the error is f / (n - 2 f) of the variance."""
    for n, f in SIZES:
        assert worst_error("trimmed_mean", n, f) == pytest.approx(f / (n - 2 * f), rel=1e-6)


@pytest.mark.parametrize("rule", SHARP_KAPPA)
def test_the_error_reaches_the_smaller_constants_and_stays_below(rule):
    """They are the worst cases themselves; but for the mean near the median."""
    for n, f in [*SIZES, (4, 1), (6, 1), (6, 2), (8, 3), (10, 4)]:
        error, sharp = worst_error(rule, n, f), SHARP_KAPPA[rule](n, f)
        assert error <= sharp * (1 + 1e-9), (n, f)
        assert sharp == RULES[rule].least_kappa(n, f) < KAPPA[rule](n, f)
        assert error >= (0.4 if rule == "meamed" else 1 - 1e-6) * sharp, (n, f)


def test_the_constants_at_a_fifth_of_liars():
    """As the literature has them: of the geometric median no run comes near, so none would show a smaller one."""
    a = 20 / 60
    stated = {"trimmed_mean": 6 * a * (1 + a), "median": 64 / 9, "geometric_median": 64 / 9, "krum": 8}
    derived = {"phocas": 1 + stated["trimmed_mean"], "meamed": 1 + stated["median"]}
    expected = stated | derived
    assert {rule: KAPPA[rule](100, 20) for rule in expected} == pytest.approx(expected)
    assert RULES["median"].least_kappa(100, 20) == pytest.approx(98 / 62)


@pytest.mark.parametrize("rule", SHARP_KAPPA)
def test_the_error_behind_mixing_stays_below_the_smaller_constants(rule):
    for n, f in [(5, 1), (9, 3), (20, 8)]:
        assert worst_error(rule, n, f, mixed=True) <= mixed_constant(SHARP_KAPPA[rule], n, f) * (1 + 1e-9)


# --- properties of every rule ----------------------------------------------------------------------------------------


@st.composite
def cases(draw):
    n = draw(st.integers(1, 15))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return generator.normal(size=(n, draw(st.integers(1, 4)))), draw(st.floats(0, 1)), generator


def liars_of(name, messages, part):
    return round(part * min(most_liars(name, len(messages)), len(messages) - 1))


def is_added(name):
    """Whether a rule came later than its formula here."""
    return name not in LOOPS and name not in WHOLE


def general(messages, f):
    """Whether no two choices are equally good, however a rule chooses."""
    n, d = messages.shape
    return d > 1 and n % 2 and n - f >= 5


#: What to do where a rule has no such property.
SAY_SO = "a rule without this property says so in its line in RULES: lacks = ... (byzcode/aggregation/rule.py)"


@pytest.mark.parametrize("name", CASES)
@given(case=cases())
def test_the_order_of_devices_does_not_matter(name, case):
    messages, part, generator = case
    f = liars_of(name, messages, part)
    if is_added(name) and not general(messages, f):
        return
    shuffled = messages[generator.permutation(len(messages))]
    np.testing.assert_allclose(apply(name, shuffled, f), apply(name, messages, f), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [case for case in CASES if case not in NO_TRANSLATION])
@given(case=cases(), shift=st.floats(-100, 100))
def test_a_translation_goes_through(name, case, shift):
    messages, part, _ = case
    f = liars_of(name, messages, part)
    if is_added(name) and not general(messages, f):
        return
    got, want = apply(name, messages + shift, f), apply(name, messages, f) + shift
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-11, err_msg=SAY_SO)


@pytest.mark.parametrize("name", [case for case in CASES if case not in NO_SCALE])
@given(case=cases(), scale=st.floats(-100, 100).filter(lambda s: abs(s) > 1e-3))
def test_a_scale_goes_through_with_its_sign(name, case, scale):
    """Without ties: a negative scale turns the order of values round, by which they are settled."""
    messages, part, _ = case
    f = liars_of(name, messages, part)
    if is_added(name) and not general(messages, f):
        return
    if is_added(name):  # of two central values it may take the lower
        scale = abs(scale)
    if scale < 0 and has_ties(name, len(messages), f):
        return
    np.testing.assert_allclose(
        apply(name, scale * messages, f),
        scale * apply(name, messages, f),
        rtol=0,
        atol=1e-12 * max(1, abs(scale)),
        err_msg=SAY_SO,
    )


@pytest.mark.parametrize(
    "name", ["mean", "trimmed_mean", "phocas", "phocas, vector", "meamed", "multi_krum", "bulyan", "norm_trimming"]
)
@given(case=cases())
def test_with_no_liars_it_is_the_mean(name, case):
    messages, _, _ = case
    np.testing.assert_allclose(apply(name, messages, 0), messages.mean(axis=0), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("batch", "d"), [((3,), 5), ((1,), 5), ((2, 4), 5), ((0,), 5), ((3,), 1), ((3,), 33)])
def test_leading_axes_are_a_batch(name, batch, d):
    """To the bit: an entry knows nothing of the others, not even when they have converged."""
    generator = np.random.default_rng(9)
    n = 9
    for f in range(most_liars(name, n) + 1):
        messages = generator.normal(size=(*batch, n, d))
        if name in ROBUST:
            messages[..., :f, :] = generator.choice(EXTREMES, size=(*batch, f, d))
        got = apply(name, messages, f)
        assert got.shape == (*batch, d)
        for place in np.ndindex(*batch):
            np.testing.assert_array_equal(got[place], apply(name, messages[place], f))


@pytest.mark.parametrize("name", CASES)
def test_any_memory_layout_gives_the_same(name):
    messages = torch.from_numpy(np.random.default_rng(10).normal(size=(4, 9, 5)))
    strided = messages.transpose(0, 2).contiguous().transpose(0, 2)
    assert not strided.is_contiguous()
    rule, options = RULES[CASES[name][0]], CASES[name][1]
    f = min(2, most_liars(name, 9))
    np.testing.assert_allclose(
        rule(strided, f, **options).numpy(), rule(messages, f, **options).numpy(), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_numbers_is_kept(name, dtype):
    messages = torch.from_numpy(np.random.default_rng(11).normal(size=(9, 5)))
    rule, options = RULES[CASES[name][0]], CASES[name][1]
    f = min(3, most_liars(name, 9))
    got = rule(messages.to(dtype), f, **options)
    assert got.dtype is dtype
    np.testing.assert_allclose(got.double().numpy(), rule(messages, f, **options).numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_messages_are_not_modified(name):
    generator = np.random.default_rng(12)
    for n, f in every_f(name):
        messages = torch.from_numpy(attacked(generator, n, f, 4)[0])
        before = messages.clone()
        got = RULES[CASES[name][0]](messages, f, **CASES[name][1])
        got += 1.0  # nor is the result a view of them
        assert torch.equal(messages.nan_to_num(nan=7.0), before.nan_to_num(nan=7.0)), (n, f)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n", [1, 2, 9, 10])
def test_a_wrong_number_of_liars_is_refused_with_the_bound(name, n):
    messages, most = torch.zeros(n, 3, dtype=torch.float64), RULES[name].most_liars(n)
    for f in (-1, most + 1, n + 5):
        with pytest.raises(ValueError, match=rf"{n} messages .*0 to {most} liars.*f = {f}"):
            RULES[name](messages, f)
    RULES[name](messages, most)


@pytest.mark.parametrize(("n", "most"), [(1, 0), (2, 0), (3, 1), (4, 1), (99, 49), (100, 49)])
def test_a_robust_rule_bears_less_than_half(n, most):
    for name in ("median", "trimmed_mean", "phocas"):
        assert RULES[name].most_liars(n) == most


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", [(), (5,), (0, 5), (3, 0, 5)])
def test_a_wrong_shape_is_refused(name, shape):
    with pytest.raises(ValueError, match=r"\(\.\.\., N, D\)"):
        RULES[name](torch.zeros(shape), 0)
