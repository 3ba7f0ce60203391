"""The geometric median against bounds that hold for any messages, where its messages coincide, nearly or exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from byzcode.aggregation import RULES
from byzcode.aggregation.geometric_median import _BLURS, _DIRECT, _EACH
from byzcode.pre_aggregation import PRE_AGGREGATORS

L = np.longdouble

#: Widths of clusters, in roundings of the largest coordinate.
WIDTHS = [0, 1, 4, 64, 1e3, 1e6, 1e10]

#: As many as on a GPU, which is not asked whether fewer do.
ON_A_GPU = {"steps": _DIRECT + _EACH * len(_BLURS)}


def apply(messages, **options):
    return RULES["geometric_median"](torch.from_numpy(messages.copy()), 0, **options).numpy()


def norm(vectors):
    return np.sqrt((vectors * vectors).sum(axis=-1))


def sum_of_distances(messages, point):
    return norm(messages.astype(L) - point.astype(L)).sum()


def least_sum(messages, point):
    """Between what two numbers the least sum of distances is, in 80-bit numbers.

    Newton's method for sqrt(d^2 + blur^2), whose blur goes to 0, starts at a point. The upper bound is a sum that was
    found. The lower bound holds wherever the method ends: for y_i of norm at most 1 that add up to 0, sum_i |m_i - x|
    is at least sum_i <y_i, m_i> for every x.
    """
    away = messages.astype(L) - point.astype(L)
    scale = np.abs(away).max()
    offset, lower, upper = np.zeros_like(point, dtype=L), L(0), norm(away).sum()
    for blur in scale * L(10) ** -np.arange(0, 20) if scale else ():
        for _ in range(40):
            left = away - offset
            far = np.sqrt((left * left).sum(axis=-1) + blur * blur)
            units, weight = left / far[:, None], (1 / far).sum()
            force = units.sum(axis=0)
            if norm(force) < 1e-17 * len(away):
                break
            rows = units / np.sqrt(far * weight)[:, None]
            values, vectors = np.linalg.eigh((np.eye(len(point)) - rows.T @ rows).astype(float))
            step = (vectors @ ((vectors.T @ (force / weight).astype(float)) / np.maximum(values, 1e-16))).astype(L)
            length = downhill(left, step, blur, abs(force @ step))
            if length == 0:
                break
            offset = offset + length * step
        left = away - offset
        units = left / np.sqrt((left * left).sum(axis=-1) + blur * blur)[:, None]
        units = units - units.mean(axis=0)
        units = units / max(1, norm(units).max())
        lower, upper = max(lower, (units * away).sum()), min(upper, norm(left).sum())
    return lower, min(upper, *(norm(away - candidate).sum() for candidate in away))


def downhill(left, step, blur, steepness):
    """A length of a step at whose end it is not much uphill."""

    def slope(length):
        there = left - length * step
        return -(there @ step / np.sqrt((there * there).sum(axis=-1) + blur * blur)).sum()

    low, high = L(0), L(1)
    if slope(high) <= steepness / 2:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
        if high < 1.5 * low:
            break
    return low


def assert_least(messages, point):
    """To 1e-12 of the least sum, or to the rounding of the point."""
    sums, (lower, upper) = sum_of_distances(messages, point), least_sum(messages, point)
    rounding = 2 * messages.size * np.spacing(np.abs(point).max())
    assert sums - upper <= 1e-13 * upper + rounding, (messages.tolist(), point.tolist())
    assert sums - lower <= 1e-12 * upper + rounding, (messages.tolist(), point.tolist())


def clustered(generator, width, n=None, d=None):
    """Messages in clusters whose places are anywhere, on a grid, on a line, or of another size."""
    n, d = n or int(generator.integers(3, 25)), d or int(generator.integers(2, 6))
    number, kind = int(generator.integers(1, 7)), generator.integers(4)
    places = generator.normal(size=(number, d))
    if kind == 1:
        places = generator.integers(-8, 9, size=(number, d)).astype(float)
    elif kind == 2:
        places = places[:, :1] * generator.normal(size=d)
    elif kind == 3:
        places = places * 10.0 ** generator.integers(-3, 4)
    messages = places[generator.integers(number, size=n)]
    return messages + width * np.spacing(np.abs(messages).max()) * generator.integers(-4, 5, size=(n, d))


@pytest.mark.parametrize("options", [{}, ON_A_GPU], ids=["until it is certain", "as many steps as on a GPU"])
@pytest.mark.parametrize("width", WIDTHS)
def test_clusters_of_any_width(width, options):
    for number in range(15):
        messages = clustered(np.random.default_rng((1, number)), width)
        assert_least(messages, apply(messages, **options))


def test_clusters_of_many_widths_at_once():
    for number in range(30):
        generator = np.random.default_rng((2, number))
        n, d = int(generator.integers(5, 30)), int(generator.integers(2, 5))
        messages = clustered(generator, 0, n, d)
        scale = np.spacing(np.abs(messages).max()) * generator.choice(WIDTHS, size=(n, 1))
        messages += scale * generator.integers(-4, 5, size=(n, d))
        assert_least(messages, apply(messages))


@pytest.mark.parametrize("width", WIDTHS)
def test_messages_mixed_with_their_neighbours(width):
    """Behind nearest neighbour mixing messages coincide up to rounding."""
    for number in (*range(10), 84, 124):
        messages = clustered(np.random.default_rng((3, number)), width)
        f = number % ((len(messages) - 1) // 2 + 1)
        mixed = PRE_AGGREGATORS["nnm"](torch.from_numpy(messages)[None], f, None)[0].numpy()
        assert_least(mixed, apply(mixed))


@pytest.mark.parametrize("width", [0, 0.25, 0.5, 1, 2, 4, 64, 1e3, 1e6])
def test_seven_messages_at_four_places(width):
    """The least sum is at (-2.32294, 1.05016), beside no message."""
    places = [[4.0, -3], [-7, 7], [4, -3], [-6, -3], [-7, 7], [4, -3], [-7, 7]]
    aside = [[4.0, -4], [-8, 8], [0, 0], [-8, -4], [0, 0], [-4, 4], [-8, 8]]
    messages = np.array(places) + width * np.finfo(float).eps * np.array(aside)
    np.testing.assert_allclose(apply(messages), [-2.3229391255550276, 1.0501616476787436], rtol=1e-8)
    assert_least(messages, apply(messages))


@pytest.mark.parametrize("where", ["at the start", "at the end", "on the way"])
@pytest.mark.parametrize("beside", [0, 1, 2, 64])
@pytest.mark.parametrize(("n", "d"), [(100, 2), (11, 3), (30, 40)])
def test_liars_beside_the_way(where, beside, n, d):
    """Some roundings from where the method passes."""
    for number in range(3):
        generator = np.random.default_rng((4, number))
        messages = generator.normal(size=(n, d)) * np.geomspace(1, 0.1, d)
        f = [1, n // 5, (n - 1) // 2][number]
        for _ in range(3):
            steps = {"at the start": 0, "on the way": int(generator.integers(1, 5)), "at the end": 400}[where]
            place = apply(messages, steps=steps) if steps else np.median(messages, axis=0)
            messages[:f] = place + beside * np.spacing(np.abs(place)) * generator.integers(-1, 2, size=(f, d))
        assert_least(messages, apply(messages))


def test_the_least_sum_at_a_message():
    """The point is that message if the others do not outweigh it."""
    for number in range(30):
        generator = np.random.default_rng((5, number))
        n, d = int(generator.integers(4, 12)), int(generator.integers(2, 5))
        messages = generator.normal(size=(n, d))
        units = messages[1:] - messages[0]
        pull = (units / norm(units)[:, None]).sum(axis=0)
        stands = int(np.ceil(norm(pull))) or 1
        messages = np.concatenate([np.repeat(messages[:1], stands, axis=0), messages[1:]])
        got = apply(messages[generator.permutation(len(messages))])
        np.testing.assert_allclose(got, messages[0], rtol=1e-15, atol=1e-16)


def test_the_middle_of_a_segment_of_least_sums():
    """Where messages lie on a line and their number is even, and where two clusters are of one size."""
    for number in range(40):
        generator = np.random.default_rng((6, number))
        n, d = 2 * int(generator.integers(1, 10)), int(generator.integers(1, 6))
        line = generator.normal(size=(n, 1)) * generator.normal(size=d)
        np.testing.assert_allclose(apply(line), np.median(line, axis=0), rtol=0, atol=1e-14)
        two = np.repeat(generator.normal(size=(2, d)), n // 2, axis=0)
        np.testing.assert_allclose(apply(two), two.mean(axis=0), rtol=0, atol=1e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("d", [1, 2, 50])
def test_few_messages(n, d):
    for number in range(10):
        messages = np.random.default_rng((7, number)).normal(size=(n, d))
        assert_least(messages, apply(messages))


@pytest.mark.parametrize("power", [-900, -500, -66, 66, 500, 1000])
def test_any_scale(power):
    """A power of two goes through to the bit."""
    for number in range(20):
        messages = clustered(np.random.default_rng((8, number)), 4)
        np.testing.assert_array_equal(apply(2.0**power * messages), 2.0**power * apply(messages))


def test_single_precision():
    """The point of the messages as they are, rounded."""
    for number in range(40):
        messages = clustered(np.random.default_rng((9, number)), 0).astype(np.float32)
        messages += np.float32(4) * np.spacing(np.abs(messages)) * np.sign(messages)
        point = apply(messages)
        assert point.dtype == np.float32
        exact = sum_of_distances(messages, apply(messages.astype(float)))
        spare = 2 * messages.size * np.spacing(np.abs(point).max())
        assert sum_of_distances(messages, point) <= exact * (1 + 1e-6) + spare


def test_messages_that_are_not_finite_do_not_pull():
    for number in range(20):
        generator = np.random.default_rng((10, number))
        messages = clustered(generator, 4, n=12)
        beside = np.concatenate([messages, generator.choice([np.inf, -np.inf, np.nan], size=(5, messages.shape[1]))])
        point = apply(beside)
        assert_least(messages, point)
