"""The compiled kernels against their torch and numpy bodies, bit for bit, and both against what they say they are."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byzcode.aggregation import RULES
from byzcode.aggregation.krum import best
from byzcode.allocation import ALLOCATIONS
from byzcode.coding import ENCODERS
from byzcode.coding.cyclic_code import cyclic_code
from byzcode.kernels import native, order
from byzcode.kernels.distances import (
    ROUGH,
    _units,
    in_units,
    largest,
    power_of_two,
    rough_distances,
    squared_distances,
)
from byzcode.kernels.erase import Eraser
from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.nearest import mean_of
from byzcode.kernels.product import product, times
from byzcode.pre_aggregation import PRE_AGGREGATORS

needs_compiler = pytest.mark.skipif(native.library() is None, reason="byzcode was installed without a compiler")
TYPES = st.sampled_from([torch.float64, torch.float32])


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def plain(monkeypatch):
    """Calls a function without the compiled kernels."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(native, "_functions", lambda _: {})
            return function(*arguments)

    return call


def same_bits(left, right):
    # Of zeros and of NaN the sign does not count: adding 0.0 makes -0.0 into 0.0.
    left, right = np.nan_to_num(left.numpy() + 0.0, nan=7e33), np.nan_to_num(right.numpy() + 0.0, nan=7e33)
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


# --- order statistics ------------------------------------------------------------------------------------------------

VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e200, -1e200, 1e-300, np.inf, -np.inf, np.nan])


@st.composite
def messages(draw):
    """(R, N, D) with ties, huge, infinite and missing values, in either precision."""
    runs, devices, dimension = draw(st.integers(1, 2)), draw(st.integers(1, 40)), draw(st.integers(1, 40))
    values = np.random.default_rng(draw(st.integers(0, 2**32))).standard_normal((runs, devices, dimension))
    for _ in range(draw(st.integers(0, 6))):
        place = tuple(draw(st.integers(0, size - 1)) for size in values.shape)
        values[place] = draw(VALUES)
    if draw(st.booleans()):
        values = values.round()
    with np.errstate(over="ignore"):
        return torch.from_numpy(values).to(draw(TYPES))


STATISTICS = {
    "sort_devices": lambda told, f: order.sort_devices(told),
    "median": lambda told, f: order.median(told),
    "trimmed_mean": order.trimmed_mean,
    "mean_near_median": order.mean_near_median,
    "mean_near_trimmed_mean": order.mean_near_trimmed_mean,
}


@needs_compiler
@pytest.mark.parametrize("name", STATISTICS)
def test_a_compiled_statistic_has_the_bits_of_its_plain_body(name, plain):
    @settings(max_examples=300, deadline=None)
    @given(messages(), st.floats(0, 0.499))
    def check(told, share):
        f = int(share * told.shape[-2])
        with np.errstate(all="ignore"):
            expected = plain(STATISTICS[name], told, f)
        assert same_bits(STATISTICS[name](told, f), expected)

    check()


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 9, 17])
@pytest.mark.parametrize("runs", [1, 3])
def test_compiled_and_plain_kernels_agree_for_any_number_of_devices(dimension, runs, dtype, plain, rng):
    """All statistics and distances, 1 to 200 devices, from no liar to the most, also of messages in other layouts."""
    for devices in [*range(1, 20), 33, 64, 65, 100, 200]:
        told = torch.from_numpy(rng.standard_normal((runs, devices, dimension))).to(dtype)
        for layout in (told, told.mT.contiguous().mT, told.transpose(0, 1).contiguous().transpose(0, 1)):
            for f in {0, (devices - 1) // 4, (devices - 1) // 2}:
                for name, statistic in STATISTICS.items():
                    assert same_bits(statistic(layout, f), plain(statistic, layout, f)), (name, devices, f)
            assert same_bits(squared_distances(layout), plain(squared_distances, layout)), devices


@needs_compiler
@pytest.mark.parametrize("dimension", [1, 2, 3, 8, 31])
@pytest.mark.parametrize("name", [*RULES, "nnm"])
def test_rules_have_the_same_bits_with_and_without_compiled_kernels(name, dimension, plain, rng):
    for devices in [*range(1, 16), 50, 101, 200]:
        told = torch.from_numpy(rng.standard_normal((2, devices, dimension)))
        most = min(RULES[name].most_liars(devices), devices - 1) if name in RULES else (devices - 1) // 2
        for f in {0, most // 2, most}:
            rule = RULES[name] if name in RULES else partial(PRE_AGGREGATORS[name], draws=None)
            assert same_bits(rule(told, f), plain(rule, told, f)), (devices, f)


@needs_compiler
def test_compiled_distances_have_the_bits_of_their_plain_body(plain):
    @settings(max_examples=200, deadline=None)
    @given(messages())
    def check(told):
        assert same_bits(squared_distances(told), plain(squared_distances, told))

    check()


@needs_compiler
def test_compiled_means_of_chosen_messages_have_the_bits_of_their_plain_body(plain, rng):
    for devices, dimension in itertools.product([1, 2, 3, 4, 5, 8, 37, 100], [1, 7, 8, 9, 100]):
        told = torch.from_numpy(rng.standard_normal((2, devices, dimension)))
        taken = torch.from_numpy(rng.random((2, devices, devices)) < 0.7)
        case = (taken, told, told[:, :1].clone(), max(1, devices // 2))
        means = mean_of(*case)
        assert same_bits(means, plain(mean_of, *case)), (devices, dimension)
        expected = (taken.double() @ told) / case[3] + case[2]
        torch.testing.assert_close(means, expected, rtol=1e-13, atol=1e-13)
        assert same_bits(means[1:], mean_of(taken[1:], told[1:], case[2][1:], case[3])), (devices, dimension)


@needs_compiler
@pytest.mark.parametrize("dimension", [1, 8, 30, 101])
@pytest.mark.parametrize(("devices", "liars"), [(5, 0), (5, 2), (20, 5), (101, 50)])
def test_a_compiled_attempt_to_decode_has_the_bits_of_its_plain_body(devices, liars, dimension, plain, rng):
    """Without lies, with some of any size, with messages that are no numbers, and with too many of these."""
    code = cyclic_code(devices, liars)
    attempt = Eraser(code.phases, code.real_checks, dimension, 1e-6, 1e-12)
    assigned = ALLOCATIONS["cyclic"](devices, devices, 2 * liars + 1, None)
    weights = ENCODERS["draco_cyclic"](assigned, devices)
    gradients = rng.standard_normal((7, devices, dimension))
    honest = np.einsum("ns,rnsd->rnd", weights, gradients[:, assigned])
    told = np.concatenate([honest.real, honest.imag], axis=-1)
    told[2, :liars] *= 10 ** rng.uniform(-5, 5, (liars, 1))
    told[3, :liars] = math.nan
    told[4, : liars + 1] = math.inf
    told[5:, :liars] += rng.standard_normal((2, liars, 2 * dimension))
    told[6] *= 1e-300
    gradient, doubt = attempt(torch.from_numpy(told))
    expected = plain(attempt, torch.from_numpy(told))
    assert same_bits(gradient, expected[0])
    assert same_bits(doubt, expected[1])
    assert doubt[4] == math.inf
    solved = doubt.numpy() <= 1
    assert solved[:2].all()
    if dimension > liars:
        assert solved[[3, 5, 6]].all()
    truth = gradients.mean(axis=1) * np.where(np.arange(7) == 6, 1e-300, 1.0)[:, None]
    scale = np.abs(told[0]).max() * np.where(np.arange(7) == 6, 1e-300, 1.0)
    assert (np.abs(gradient.numpy() - truth).max(axis=-1) <= 1e-6 * scale)[solved].all()


@needs_compiler
@pytest.mark.parametrize("dimension", [1, 30, 1500])
def test_rough_distances_are_as_near_as_they_say(dimension, rng):
    told = torch.from_numpy(rng.standard_normal((2, 23, dimension))).float()
    told[1] = 1e3 + 1e-2 * told[1]
    told[0, 0], told[1, 3] = math.inf, math.nan
    found = rough_distances(told)
    assert found is not None
    unit = (told[:, 9] / (told.double() / _units(largest(told.double())))[:, 9]).double()[:, :1, None] ** 2
    expected = (told.double().unsqueeze(-2) - told.double().unsqueeze(-3)).square().sum(dim=-1) / unit
    expected = expected.nan_to_num(nan=math.inf, posinf=math.inf)
    expected.diagonal(dim1=-2, dim2=-1).zero_()
    finite = expected.isfinite()
    assert (found[0].isfinite() == finite).all()
    assert ((found[0] - expected).abs()[finite] <= ROUGH * expected[finite]).all()
    assert found[1].all()
    told[1, 5] = 1e30
    assert rough_distances(told)[1].tolist() == [True, False]
    assert rough_distances(told.double()) is None


HOSTILE = {
    "plain": lambda x, f, rng: x,
    "huge": lambda x, f, rng: x * np.where(np.arange(len(x)) < f, 1e38, 1.0)[:, None],
    "infinite": lambda x, f, rng: np.where((np.arange(len(x)) < f)[:, None], math.inf, x),
    "NaN": lambda x, f, rng: np.where((np.arange(len(x)) < f)[:, None], math.nan, x),
    "ties": lambda x, f, rng: x.round(),
    "equal": lambda x, f, rng: x[np.arange(len(x)) % 3],
    "far from zero": lambda x, f, rng: 1e6 + 1e-2 * x,
    "of all sizes": lambda x, f, rng: x * 10 ** rng.uniform(-10, 20, (len(x), 1)) ** (np.arange(len(x)) < f)[:, None],
    "tiny": lambda x, f, rng: 1e-35 * x,
    "nearly equal": lambda x, f, rng: x[:1] * (1 + 1e-7 * x),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_krum_chooses_in_single_precision_what_it_chooses_in_double(hostile, rng):
    """From the same messages, whose distances single precision alone might order otherwise."""
    for devices, dimension in ((5, 1), (7, 3), (11, 20), (30, 40)):
        f = (devices - 3) // 2
        for _ in range(10):
            with np.errstate(all="ignore"):
                told = HOSTILE[hostile](rng.standard_normal((devices, dimension)), f, rng).astype(np.float32)
            told = torch.from_numpy(told).unsqueeze(0)
            if rough_distances(told) is None:
                pytest.skip("byzcode was installed without a compiler")
            for neighbours, kept in itertools.product(("n-f-2", "n-f-1"), (1, devices // 2, devices - f)):
                chosen, expected = (best(each, f, neighbours, kept) for each in (told, told.double()))
                assert chosen.sort().values.tolist() == expected.sort().values.tolist()


@pytest.mark.parametrize("dimension", [1, 7, 8, 255, 256, 257, 700])
def test_distances_are_what_they_say_and_do_not_depend_on_places(dimension, rng):
    told = torch.from_numpy(rng.standard_normal((2, 23, dimension)))
    told[:, 11:22] = told[:, :11]
    unit = (told[:, 0] / in_units(told)[:, 0])[:, 0] ** 2
    distances = squared_distances(told)
    expected = (told.unsqueeze(-2) - told.unsqueeze(-3)).square().sum(dim=-1)
    torch.testing.assert_close(unit[:, None, None] * distances, expected, rtol=1e-14, atol=0)
    assert (distances[:, :11, 11:22].diagonal(dim1=-2, dim2=-1) == 0).all()
    order = torch.from_numpy(rng.permutation(23))
    assert same_bits(squared_distances(told[:, order]), distances[:, order][:, :, order])


def test_powers_of_two(rng):
    for dtype in (torch.float64, torch.float32):
        kind = torch.finfo(dtype)
        powers = torch.tensor([2.0**power for power in range(-1022, 1024)], dtype=torch.float64)
        powers = powers[(powers >= kind.tiny) & (powers <= kind.max)].to(dtype)
        sizes = powers * (1 + torch.from_numpy(rng.random(len(powers))).to(dtype) * 0.99)
        assert torch.equal(power_of_two(sizes), powers)
        assert torch.equal(power_of_two(powers), powers)
        assert power_of_two(torch.tensor([0.0, math.inf], dtype=dtype)).tolist() == [kind.tiny, powers[-1].item()]


def test_statistics_are_what_they_say(rng):
    told = rng.standard_normal((3, 11, 5))
    tensor, ordered = torch.from_numpy(told), np.sort(told, axis=1)
    np.testing.assert_array_equal(order.sort_devices(tensor), ordered)
    np.testing.assert_array_equal(order.median(tensor), np.median(told, axis=1))
    np.testing.assert_allclose(order.trimmed_mean(tensor, 4), ordered[:, 4:7].mean(axis=1), rtol=1e-14)
    for name, centre in (("mean_near_median", ordered[:, 5]), ("mean_near_trimmed_mean", ordered[:, 4:7].mean(axis=1))):
        nearest = np.argsort(np.abs(told - centre[:, None]), axis=1)[:, :7]
        expected = np.take_along_axis(told, nearest, axis=1).mean(axis=1)
        np.testing.assert_allclose(STATISTICS[name](tensor, 4), expected, rtol=1e-13)


def test_messages_need_not_be_contiguous(rng):
    told = torch.from_numpy(rng.standard_normal((4, 9, 6)))
    turned = told.transpose(0, 2)
    assert same_bits(order.median(turned), order.median(turned.contiguous()))


@pytest.mark.parametrize("size", range(1, 13))
def test_a_network_sorts_all_patterns_of_zeros_and_ones(size):
    """Knuth's 0-1 principle: it then sorts everything; what is pruned for some places is right there."""
    patterns = np.array(list(itertools.product([0, 1], repeat=size)))
    for first, last in itertools.combinations(range(size + 1), 2):
        values = patterns.copy()
        for low, high in order.network(size, first, last):
            values[:, low], values[:, high] = values[:, [low, high]].min(axis=1), values[:, [low, high]].max(axis=1)
        np.testing.assert_array_equal(values[:, first:last], np.sort(patterns, axis=1)[:, first:last])


def test_a_network_for_the_median_is_smaller():
    assert len(order.network(100, 49, 51)) < len(order.network(100, 20, 80)) < len(order.network(100, 0, 100)) <= 1077


def test_beyond_the_widest_network_numpy_sorts(monkeypatch, rng):
    told = torch.from_numpy(rng.standard_normal((1, 30, 3)))
    expected = order.sort_devices(told)
    monkeypatch.setattr(order, "WIDEST", 29)
    monkeypatch.setattr(order, "network", None)
    assert same_bits(order.sort_devices(told), expected)


def test_devices_are_taken_and_put(rng):
    told, others = torch.from_numpy(rng.standard_normal((2, 5, 3))), torch.from_numpy(rng.standard_normal((2, 1, 3)))
    chosen = torch.tensor([[4, 0], [2, 3]])
    assert same_bits(order.take_devices(told, chosen), torch.stack([told[0, [4, 0]], told[1, [2, 3]]]))
    expected = told.clone()
    expected[0, [4, 0]], expected[1, [2, 3]] = others[0], others[1]
    before = told.clone()
    assert same_bits(order.put_devices(told, chosen, others), expected)
    assert same_bits(told, before)


# --- coded gradients -------------------------------------------------------------------------------------------------


@st.composite
def codes(draw):
    """Rows, factors, a code with or without permutations, and samples a subset."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    runs, devices, subsets = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 30))
    slots, samples, dimension = draw(st.integers(1, subsets)), draw(st.integers(1, 3)), draw(st.integers(1, 130))
    dtype = draw(TYPES)
    rows = torch.from_numpy(rng.standard_normal((runs, subsets * samples, dimension))).to(dtype)
    factor = torch.from_numpy(rng.standard_normal((runs, subsets * samples))).to(dtype)
    assigned = torch.from_numpy(rng.integers(0, subsets, (runs, devices, slots)))
    weight = torch.from_numpy(rng.standard_normal((runs, devices, slots))).to(dtype)
    redrawn = draw(st.booleans())
    orders = [
        torch.from_numpy(np.stack([rng.permutation(size) for _ in range(runs)])) if redrawn else None
        for size in (devices, subsets)
    ]
    return rows, factor, Code(assigned, weight, *orders), samples


def summed(rows, factor, code, samples):
    """The same by loops."""
    runs, devices, slots = code.assigned.shape
    out = torch.zeros(runs, devices, rows.shape[-1], dtype=rows.dtype)
    for run, device, slot in itertools.product(range(runs), range(devices), range(slots)):
        row = device if code.devices is None else code.devices[run, device]
        subset = code.assigned[run, row, slot]
        subset = subset if code.names is None else code.names[run, subset]
        for sample in range(samples):
            k = subset * samples + sample
            out[run, device] += code.weight[run, row, slot] * factor[run, k] * rows[run, k]
    return out


@settings(max_examples=150, deadline=None)
@given(codes())
def test_coded_rows_are_what_they_say(case):
    rounding = 1e-12 if case[0].dtype == torch.float64 else 1e-4
    torch.testing.assert_close(coded_rows(*case), summed(*case), rtol=rounding, atol=rounding)


@needs_compiler
def test_compiled_coded_rows_have_the_bits_of_their_plain_body(plain):
    """In single precision torch's body fuses multiplications and additions: to rounding only."""

    @settings(max_examples=300, deadline=None)
    @given(codes())
    def check(case):
        compiled, expected = coded_rows(*case), plain(coded_rows, *case)
        if compiled.dtype == torch.float64:
            assert same_bits(compiled, expected)
        torch.testing.assert_close(compiled, expected, rtol=1e-5, atol=1e-5)

    check()


def test_a_run_of_a_batch_has_the_bits_that_it_has_alone(rng):
    for dimension in (1, 7, 8, 100):
        matrices = torch.from_numpy(rng.standard_normal((3, 33, dimension)))
        vectors = torch.from_numpy(rng.standard_normal((3, dimension)))
        together = times(matrices, vectors)
        for run in range(3):
            assert same_bits(together[run : run + 1], times(matrices[run : run + 1].clone(), vectors[run : run + 1]))


@pytest.mark.parametrize("size", [(7, 33), (20, 37), (21, 301), (100, 100), (33, 8)])
def test_a_product_of_a_batch_has_the_bits_that_it_has_alone(size, rng):
    """Also where matrices of a batch start at odd addresses, and of a matrix with itself, for which MKL has a way."""
    left = torch.from_numpy(rng.standard_normal((3, *size))).clone()
    right = torch.from_numpy(rng.standard_normal((3, size[1], 11)))
    mixed, squares = product(left, right), product(left, left.mT)
    torch.testing.assert_close(mixed, left @ right, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(squares, left @ left.mT, rtol=1e-12, atol=1e-12)
    for run in range(3):
        alone = left[run : run + 1].clone()
        assert same_bits(mixed[run : run + 1], product(alone, right[run : run + 1].clone()))
        assert same_bits(squares[run : run + 1], product(alone, alone.mT))


@pytest.fixture
def small(rng):
    """Rows, factors and a code of 4 devices with 2 of 9 subsets each."""
    rows, factor = torch.from_numpy(rng.standard_normal((1, 9, 12))), torch.from_numpy(rng.standard_normal((1, 9)))
    return (
        rows,
        factor,
        Code(torch.tensor([[[0, 8], [3, 3], [7, 1], [2, 5]]]), torch.from_numpy(rng.random((1, 4, 2)))),
    )


def test_what_compiled_code_does_not_take_goes_the_plain_way(small, plain):
    """Of other strides, types and shapes: right, or refused, and never read as what it is not."""
    rows, factor, code = small
    expected = summed(*small, 1)
    strided = torch.stack([factor, factor], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    torch.testing.assert_close(coded_rows(rows, strided, code), expected)
    torch.testing.assert_close(coded_rows(rows.mT.contiguous().mT, factor, code), expected)
    torch.testing.assert_close(
        coded_rows(rows, factor, Code(code.assigned[..., :1], code.weight[..., :1])),
        summed(rows, factor, Code(code.assigned[..., :1], code.weight[..., :1]), 1),
    )
    for odd in (
        (rows, factor[:, :5].clone(), code),
        (rows, factor, Code(code.assigned, code.weight[..., :1].clone())),
        (rows, factor.float(), code),
        (rows, factor, Code(code.assigned.int(), code.weight)),
    ):
        try:
            told = plain(coded_rows, *odd)
        except RuntimeError:
            with pytest.raises(RuntimeError):
                coded_rows(*odd)
        else:  # spread or converted, as torch has it
            assert same_bits(coded_rows(*odd), told)


def test_the_widest_network(monkeypatch, rng):
    """Up to 512 devices a network, beyond numpy: both sort."""
    for devices in (511, 512, 513):
        told = torch.from_numpy(rng.standard_normal((1, devices, 3)))
        np.testing.assert_array_equal(order.sort_devices(told), np.sort(told, axis=1))
        np.testing.assert_array_equal(order.median(told), np.median(told, axis=1))
    monkeypatch.setattr(order, "_network", None)
    order.median(told)
    if native.library() is not None:
        with pytest.raises(TypeError):
            order.median(told[:, :512])
