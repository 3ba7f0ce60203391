"""Every compressor of the table: what any must do, and what its formula says, in expectation and in bits."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from unit.tables import cases

from byzcode.compression import COMPRESSORS
from byzcode.kernels.order import take_devices
from byzcode.kernels.select import smallest
from byzcode.randomness import Draws, Stream
from byzcode.specs.components import Choice, Component

SEEDS = (5, 6, 7)
DEVICES, DIMENSION, NUMBER_BITS = 6, 20, 32

CHOICE: TypeAdapter[Component] = TypeAdapter(Annotated[Component, Choice(COMPRESSORS, "compressor")])

#: Every compressor as it is by default, and some otherwise: name and all options.
CASES = {
    str(choice): CHOICE.validate_python(choice)
    for choice in [
        *COMPRESSORS,
        *({"name": name, **options} for name, options in cases(COMPRESSORS).values() if options),
        {"name": "random_k", "share": 0.37},
        {"name": "bernoulli", "share": 0.6},
        {"name": "top_k", "share": 0.5},
        {"name": "qsgd", "levels": 1},
        {"name": "qsgd", "levels": 30},
    ]
}
BIASED = [name for name, compressor in COMPRESSORS.items() if not compressor.unbiased]
#: E ||C(x) - x||^2 is delta ||x||^2 for every x.
EXACT = {"identity", "random_k", "bernoulli"}


def messages_of(seeds=SEEDS, devices=DEVICES, dimension=DIMENSION, dtype=torch.float64):
    rows = [np.random.default_rng(seed).normal(size=(devices, dimension)) for seed in seeds]
    return torch.from_numpy(np.stack(rows)).to(dtype)


def draws_nothing(case):
    """Whether a compressor asks for no random numbers."""
    try:
        COMPRESSORS[case.name](messages_of(), None, NUMBER_BITS, **case.options)
    except AttributeError:
        return False
    return True


every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
RANDOM = {label: case for label, case in CASES.items() if not draws_nothing(case)}
random_ones = pytest.mark.parametrize("case", RANDOM.values(), ids=RANDOM)


def compress(case, messages, seeds=SEEDS, iteration=0, number_bits=NUMBER_BITS):
    draws = Draws([Stream(seed, "compression") for seed in seeds], iteration, like=messages)
    return COMPRESSORS[case.name](messages, draws, number_bits, **case.options)


def of(name, **options):
    return CHOICE.validate_python({"name": name, **options})


def compressed(case, x, **rest):
    """What one device's message x (D,) becomes."""
    return compress(case, torch.tensor([[x]], dtype=torch.float64), seeds=(1,), **rest).messages[0, 0]


class Given:
    """Draws of given uniform numbers."""

    def __init__(self, values):
        self._values = values

    def for_messages(self, messages, *, shared=False):
        return self._values.expand(1, 1 if shared else messages.shape[-2], messages.shape[-1])


# --- what any compressor must do ---------------------------------------------------------------------------------


@every
def test_some_devices_compress_with_the_random_numbers_that_they_have_among_all(case):
    """So only the liars compress their lies, with the bits that they would have if all devices compressed again."""
    messages, chosen = messages_of(), torch.tensor([[3, 1], [0, 3], [5, 0]])
    draws = Draws([Stream(seed, "compression") for seed in SEEDS], 5, like=messages)
    rows, of_chosen = take_devices(messages, chosen), draws.of_devices(chosen, DEVICES)
    whole = COMPRESSORS[case.name](messages, draws, NUMBER_BITS, **case.options).messages
    some = COMPRESSORS[case.name](rows, of_chosen, NUMBER_BITS, **case.options).messages
    assert some.equal(take_devices(whole, chosen))


@every
def test_what_is_lossless_is_what_leaves_messages_as_they_are(case):
    messages = messages_of()
    assert COMPRESSORS[case.name].lossless == torch.equal(compress(case, messages).messages, messages)


@every
def test_the_bits_of_every_message_are_those_of_the_entry(case):
    bits = COMPRESSORS[case.name].bits
    for dimension in (1, 2, DIMENSION):
        sent = compress(case, messages_of(dimension=dimension)).bits
        assert isinstance(sent, int) == (bits is not None)
        assert bits is None or sent == bits(dimension, NUMBER_BITS, **case.options)


@pytest.mark.parametrize("name", [name for name, compressor in COMPRESSORS.items() if compressor.bits is not None])
def test_the_options_to_choose_from_are_valid(name):
    for most in (NUMBER_BITS, 10 * NUMBER_BITS, math.inf):
        for options in COMPRESSORS[name].choices(DIMENSION, NUMBER_BITS, most):
            assert CHOICE.validate_python({"name": name, **options})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@every
def test_shape_and_dtype_stay_and_the_input_is_left_alone(case, dtype):
    for dimension in (1, 2, DIMENSION):
        messages = messages_of(dimension=dimension, dtype=dtype)
        before = messages.clone()
        got = compress(case, messages)
        assert got.messages.shape == messages.shape
        assert got.messages.dtype == dtype
        assert torch.equal(messages, before)
        if isinstance(got.bits, int):
            assert got.bits > 0
        else:
            assert got.bits.shape == messages.shape[:-1]
            assert got.bits.dtype == torch.int64
            assert (got.bits >= 0).all()


@every
def test_zero_stays_zero(case):
    messages = messages_of()
    messages[1, 2], messages[0, 0] = 0.0, -0.0
    got = compress(case, messages).messages
    assert (got[1, 2] == 0).all()
    assert (got[0, 0] == 0).all()


@every
def test_the_same_draws_give_the_same_messages(case):
    first, again = compress(case, messages_of(), iteration=4), compress(case, messages_of(), iteration=4)
    assert torch.equal(first.messages, again.messages)
    assert torch.equal(torch.as_tensor(first.bits), torch.as_tensor(again.bits))


@random_ones
def test_each_iteration_and_each_run_draws_anew(case):
    messages = messages_of(seeds=(1, 1, 1))
    now, then = compress(case, messages, iteration=4).messages, compress(case, messages, iteration=5).messages
    for run in range(3):
        assert not torch.equal(now[run], then[run])
    assert not torch.equal(now[0], now[1])
    assert not torch.equal(now[1], now[2])


@pytest.mark.parametrize("case", [case for case in RANDOM.values() if COMPRESSORS[case.name].unbiased], ids=str)
def test_devices_draw_apart_unless_they_share_a_mask(case):
    got = compress(case, messages_of(devices=1).expand(-1, DEVICES, -1)).messages
    same = {torch.equal(got[run, 0], got[run, device]) for run in range(len(SEEDS)) for device in range(1, DEVICES)}
    assert same == {COMPRESSORS[case.name].shared(**case.options)}


@every
def test_a_seed_is_compressed_the_same_alone_and_beside_others(case):
    messages = messages_of(dimension=101)
    together = compress(case, messages, iteration=9)
    for place, seed in enumerate(SEEDS):
        alone = compress(case, messages_of((seed,), dimension=101), seeds=(seed,), iteration=9)
        assert torch.equal(alone.messages[0], together.messages[place])
        bits = together.bits if isinstance(together.bits, int) else together.bits[place]
        assert torch.equal(torch.as_tensor(alone.bits).squeeze(0), torch.as_tensor(bits))


EXTREMES = {
    "huge": [1e300, -1e300],
    "tiny": [1e-300, -3e-320],
    "smallest": [5e-324, -5e-324],
    "largest": [1.7e308, -1.7e308],
    "infinite": [math.inf, -math.inf],
    "nan": [math.nan, 1.0],
    "all": [math.nan, math.inf, -math.inf, 1e300, 1e-300, 5e-324, 0.0, -0.0, 1.0, -1.7e308],
}


@pytest.mark.parametrize("lie", EXTREMES.values(), ids=EXTREMES.keys())
@every
def test_no_message_changes_those_of_other_devices(case, lie):
    messages = messages_of()
    before = compress(case, messages)
    messages[:, 2] = torch.tensor(lie, dtype=torch.float64).repeat(DIMENSION)[:DIMENSION]
    after = compress(case, messages)
    others = [device for device in range(DEVICES) if device != 2]
    assert torch.equal(after.messages[:, others], before.messages[:, others])
    if not isinstance(before.bits, int):
        assert torch.equal(after.bits[:, others], before.bits[:, others])


@pytest.mark.parametrize("exponent", [-1000, -3, 1, 1000])
@every
def test_a_power_of_two_goes_through(case, exponent):
    """So nothing overflows or vanishes on the way at 1e301 or 1e-301."""
    messages = messages_of()
    once, scaled = compress(case, messages), compress(case, messages * 2.0**exponent)
    assert once.messages.count_nonzero() > 0
    assert torch.equal(scaled.messages, once.messages * 2.0**exponent)
    assert torch.equal(torch.as_tensor(scaled.bits), torch.as_tensor(once.bits))


@every
def test_finite_messages_stay_finite(case):
    for lie in ([1e300, -1e300], [1e300, 1e-300], [5e-324, -1e-320], [1.0, 1e300, 0.0]):
        messages = torch.tensor(lie, dtype=torch.float64).repeat(DIMENSION)[:DIMENSION].expand(3, DEVICES, -1)
        assert compress(case, messages).messages.isfinite().all()


# --- delta and bias, by Monte Carlo: many devices hold one message -----------------------------------------------

SAMPLES = 20_000
RNG = np.random.default_rng(2024)
VECTORS = {
    "gaussian": RNG.normal(size=DIMENSION),
    "one-hot": np.eye(DIMENSION)[3] * -1.7,
    "constant": np.full(DIMENSION, 4 / 3),  # the worst for natural compression
    "heavy-tailed": np.tan(np.pi * ((np.arange(DIMENSION) + 0.5) / DIMENSION - 0.5)),  # quantiles of Cauchy's
    "half zero": np.where(np.arange(DIMENSION) % 2, 0.0, RNG.normal(size=DIMENSION)),
}
vectors = pytest.mark.parametrize("x", VECTORS.values(), ids=VECTORS.keys())


def samples(case, x, count=SAMPLES):
    """Independent results for one message, (count, D); with a shared mask, one from each iteration."""
    message = torch.from_numpy(x)
    if case.options.get("mask") == "shared":
        seeds = range(count // 5)
        return compress(case, message.expand(len(seeds), 1, -1), seeds=seeds).messages[:, 0].numpy()
    return compress(case, message.expand(1, count, -1), seeds=(11,)).messages[0].numpy()


def assert_mean(values, expected, *, at_most=False):
    """The mean of samples (K, ...) is what is expected, to 5 standard errors."""
    mean, error = values.mean(axis=0), values.std(axis=0) / math.sqrt(len(values))
    slack = 5 * error + 1e-12 * (1 + np.abs(expected))
    assert (mean <= expected + slack).all(), (mean, expected, error)
    assert at_most or (mean >= expected - slack).all(), (mean, expected, error)


def rounding_variance(magnitude, unit):
    """Variance of rounding at random to multiples of a unit."""
    part = magnitude / unit - np.floor(magnitude / unit)
    return unit**2 * part * (1 - part)


#: E ||C(x) - x||^2 of those whose error depends on more than ||x||.
ERRORS = {
    "top_k": lambda x, share: (np.sort(x**2)[: len(x) - round(share * len(x))]).sum(),
    "scaled_sign": lambda x: (x**2).sum() - np.abs(x).sum() ** 2 / len(x),
    "qsgd": lambda x, levels: rounding_variance(np.abs(x), np.sqrt((x**2).sum()) / levels).sum(),
    "natural": lambda x: sum(rounding_variance(abs(v), 2.0 ** math.floor(math.log2(abs(v)))) for v in x if v),
}


@vectors
@every
def test_the_error_is_within_delta(case, x):
    square = (x**2).sum()
    errors = ((samples(case, x) - x) ** 2).sum(axis=-1) / square
    assert_mean(errors, COMPRESSORS[case.name].delta(DIMENSION, **case.options), at_most=case.name not in EXACT)
    if case.name in ERRORS:
        assert_mean(errors, ERRORS[case.name](x, **case.options) / square)


@vectors
@pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.name not in BIASED],
    ids=[label for label, case in CASES.items() if case.name not in BIASED],
)
def test_unbiased(case, x):
    assert_mean(samples(case, x), x)


@pytest.mark.parametrize("name", BIASED)
def test_the_biased_ones_are_biased(name):
    """Otherwise its entry says ``unbiased=True``."""
    x = VECTORS["gaussian"]
    drawn = samples(of(name), x, count=2000)
    off, error = np.abs(drawn.mean(axis=0) - x), drawn.std(axis=0) / math.sqrt(len(drawn))
    assert (off > 5 * error + 1e-12).any()


@pytest.mark.parametrize("name", ["identity", "top_k", "scaled_sign"])
def test_the_deterministic_ones_draw_nothing(name):
    messages = messages_of()
    got = COMPRESSORS[name](messages, None, NUMBER_BITS)
    assert torch.equal(got.messages, compress(of(name), messages).messages)


def test_delta_is_reached_where_the_docstrings_say_so():
    constant = VECTORS["constant"]
    square = (constant**2).sum()
    assert ERRORS["natural"](constant) / square == pytest.approx(COMPRESSORS["natural"].delta(DIMENSION))
    assert ERRORS["top_k"](constant, 0.5) / square == pytest.approx(COMPRESSORS["top_k"].delta(DIMENSION, 0.5))
    assert ERRORS["scaled_sign"](VECTORS["one-hot"]) / 1.7**2 == pytest.approx(
        COMPRESSORS["scaled_sign"].delta(DIMENSION)
    )


# --- F9: what compression does to the dispersion of honest messages and to their mean ----------------------------


def honest_rounds(case, rounds=4000, honest=7, dimension=12):
    """Messages of H honest devices, (H, D), and what they become in many independent runs, (rounds, H, D)."""
    rng = np.random.default_rng(3)
    sent = rng.normal(size=dimension) + 0.7 * rng.normal(size=(honest, dimension))
    got = compress(case, torch.from_numpy(sent).expand(rounds, -1, -1), seeds=range(rounds)).messages.numpy()
    return sent, got


def dispersion(messages):
    centre = messages.mean(axis=-2, keepdims=True)
    return ((messages - centre) ** 2).sum(axis=-1).mean(axis=-1)


@pytest.mark.parametrize(
    "case", [of("random_k", share=0.25), of("bernoulli", share=0.25)], ids=["random_k", "bernoulli"]
)
def test_independent_masks_add_to_the_dispersion(case):
    sent, got = honest_rounds(case)
    honest, dimension = sent.shape
    delta, square = COMPRESSORS[case.name].delta(dimension, **case.options), (sent**2).sum(axis=-1).mean()
    assert delta == 3
    assert_mean(got.mean(axis=-2), sent.mean(axis=0))
    assert_mean(dispersion(got), dispersion(sent) + delta * (1 - 1 / honest) * square)
    assert_mean(((got.mean(axis=-2) - sent.mean(axis=0)) ** 2).sum(axis=-1), delta / honest * square)


def test_a_shared_mask_trades_dispersion_for_an_error_of_the_mean():
    sent, got = honest_rounds(of("random_k", share=0.25, mask="shared"))
    mean = sent.mean(axis=0)
    assert_mean(got.mean(axis=-2), mean)
    assert_mean(dispersion(got), 4 * dispersion(sent))
    assert_mean(((got.mean(axis=-2) - mean) ** 2).sum(axis=-1), 3 * (mean**2).sum())


# --- bits --------------------------------------------------------------------------------------------------------

DIMENSIONS = (1, 2, 3, 7, 8, 9, 100, 128, 129)

#: Bits of one message of which ``sent`` entries are sent.
BITS = {
    "identity": lambda dimension, b, sent: dimension * b,
    "random_k": lambda dimension, b, sent, share, mask: (
        sent * (b + (math.ceil(math.log2(dimension)) if mask == "independent" else 0))
    ),
    "bernoulli": lambda dimension, b, sent, share: sent * (b + math.ceil(math.log2(dimension))),
    "top_k": lambda dimension, b, sent, share: sent * (b + math.ceil(math.log2(dimension))),
    "qsgd": lambda dimension, b, sent, levels: b + dimension * (1 + math.ceil(math.log2(levels + 1))),
    "scaled_sign": lambda dimension, b, sent: dimension + b,
    "natural": lambda dimension, b, sent: dimension * 9,
}


@every
def test_longer_numbers_take_no_fewer_bits(case):
    for dimension in DIMENSIONS:
        messages = messages_of(dimension=dimension)
        few, many = (torch.as_tensor(compress(case, messages, number_bits=bits).bits) for bits in (32, 64))
        assert (few <= many).all()
        assert (few >= 0).all()


@pytest.mark.parametrize("number_bits", [32, 64])
@every
def test_bits_are_those_of_the_formula_and_of_what_is_sent(case, number_bits):
    if case.name not in BITS:  # an added compressor may do without
        pytest.skip(f"the bits of {case.name} are not compared with a formula: there is none in BITS of {__file__}")
    for dimension in DIMENSIONS:
        messages = messages_of(dimension=dimension)
        got = compress(case, messages, number_bits=number_bits)
        sent = got.messages.count_nonzero(dim=-1)  # no entry of these messages is zero
        expected = [[BITS[case.name](dimension, number_bits, n, **case.options) for n in run] for run in sent.tolist()]
        assert torch.equal(torch.as_tensor(got.bits).expand(sent.shape), torch.tensor(expected))


@pytest.mark.parametrize(("levels", "bits"), [(1, 2), (2, 3), (3, 3), (4, 4), (7, 4), (8, 5), (255, 9), (256, 10)])
def test_bits_of_levels(levels, bits):
    assert compress(of("qsgd", levels=levels), messages_of()).bits == NUMBER_BITS + DIMENSION * bits


# --- the formulas ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.1, 0.37, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("name", ["random_k", "top_k"])
def test_exactly_k_entries_are_kept(name, share):
    k = max(1, math.floor(share * DIMENSION + 0.5))
    for mask in [{"mask": "independent"}, {"mask": "shared"}] if name == "random_k" else [{}]:
        messages = messages_of()
        got = compress(of(name, share=share, **mask), messages).messages
        kept = got != 0
        assert (kept.sum(dim=-1) == k).all()
        scale = DIMENSION / k if name == "random_k" else 1
        assert torch.equal(got[kept], messages[kept] * scale)


def test_random_k_draws_its_subset_uniformly():
    """Each entry with probability k / D, each pair with k (k - 1) / (D (D - 1))."""
    k, dimension = 3, 7
    kept = samples(of("random_k", share=k / dimension), np.ones(dimension)) != 0
    pairs = (kept[:, :, None] & kept[:, None, :]).astype(float)
    together = k * (k - 1) / (dimension * (dimension - 1))
    assert_mean(pairs, np.where(np.eye(dimension), k / dimension, together))


@pytest.mark.parametrize("uniform", [0.25, torch.tensor([0.5, 0.1] * 10, dtype=torch.float64)])
def test_random_k_keeps_exactly_k_where_uniform_numbers_tie(uniform):
    messages = messages_of(seeds=(1,))
    got = COMPRESSORS["random_k"](messages, Given(torch.as_tensor(uniform)), NUMBER_BITS, share=0.7).messages
    assert (got.count_nonzero(dim=-1) == 14).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["random_k", "top_k", "bernoulli"])
def test_a_share_of_one_keeps_all(name, dtype):
    messages = messages_of(dtype=dtype)
    assert torch.equal(compress(of(name, share=1), messages).messages, messages)
    most = Given(torch.ones(1, dtype=dtype))  # what a float32 may be rounded up to
    assert torch.equal(COMPRESSORS[name](messages[:1], most, NUMBER_BITS, share=1).messages, messages[:1])


def test_bernoulli_sends_each_entry_by_itself():
    kept = samples(of("bernoulli", share=0.3), np.ones(DIMENSION)) != 0
    assert_mean(kept.astype(float), np.full(DIMENSION, 0.3))
    number = kept.sum(axis=-1)
    assert_mean((number - 0.3 * DIMENSION) ** 2, np.array(DIMENSION * 0.3 * 0.7))  # the variance of a binomial


def test_top_k_keeps_the_first_of_equal_magnitudes():
    assert compressed(of("top_k", share=0.5), [1.0, -2.0, 1.0, -1.0, 1.0, 3.0]).tolist() == [
        1.0,
        -2.0,
        0.0,
        0.0,
        0.0,
        3.0,
    ]
    assert compressed(of("top_k", share=0.5), [-1.0, 1.0, 1.0, 1.0]).tolist() == [-1.0, 1.0, 0.0, 0.0]
    assert compressed(of("top_k", share=0.5), [0.0, 0.0, 0.0, 5.0]).tolist() == [0.0, 0.0, 0.0, 5.0]


def test_top_k_counts_infinities_and_nan_as_largest():
    got = compressed(of("top_k", share=0.5), [1e300, math.nan, -1.0, -math.inf])
    assert got[1].isnan()
    assert got[[0, 2, 3]].tolist() == [0.0, 0.0, -math.inf]


@pytest.mark.parametrize("levels", [1, 3, 4, 1000])
def test_qsgd_rounds_to_the_two_levels_around_an_entry(levels):
    x = VECTORS["gaussian"]
    unit = np.linalg.norm(x) / levels
    got = samples(of("qsgd", levels=levels), x, count=200) / unit
    steps = np.round(got)
    assert np.abs(got - steps).max() < 1e-9
    assert (np.abs(steps) <= levels).all()
    assert (np.abs(steps - x / unit) < 1).all()
    assert (steps * x >= 0).all()


def test_qsgd_has_four_levels_unless_told_otherwise():
    assert of("qsgd").options == {"levels": 4}


def test_qsgd_does_not_overflow_where_the_result_does_not():
    """||x|| = 2.3e308 is no float64, two or three quarters of it are."""
    got = compressed(of("qsgd", levels=4), [1.6e308, -1.6e308, 0.0, 0.0])
    for value in got[:2].abs():
        assert min(abs(value / 1.6e308 - steps / 4 * math.sqrt(2)) for steps in (2, 3)) < 1e-12


def test_scaled_sign_by_hand():
    assert compressed(of("scaled_sign"), [3.0, -1.0, 0.0, 4.0]).tolist() == [2.0, -2.0, 2.0, 2.0]
    assert compressed(of("scaled_sign"), [1.7e308, -1.7e308]).tolist() == [1.7e308, -1.7e308]


def test_natural_rounds_to_the_powers_of_two_around_an_entry():
    x = [1.5, -1.5, 3.1, 0.3, -100.0, 1e-310, 1.5e-323, 1e300]
    got = (
        compress(of("natural"), torch.tensor(x, dtype=torch.float64).expand(1, 400, -1), seeds=(1,)).messages[0].numpy()
    )
    for column, value in zip(got.T, x, strict=True):
        around = {math.copysign(2.0 ** (math.frexp(value)[1] - 1 + up), value) for up in (0, 1)}
        assert set(column.tolist()) == around


def test_natural_leaves_powers_of_two():
    x = torch.tensor(
        [0.0, 1.0, -2.0, 0.125, 2.0**-1074, -(2.0**-1022), 2.0**1023, math.inf, -math.inf], dtype=torch.float64
    )
    messages = x.expand(1, 50, -1)
    assert torch.equal(compress(of("natural"), messages, seeds=(1,)).messages, messages)
    assert compressed(of("natural"), [math.nan, 1.0]).isnan().tolist() == [True, False]


@pytest.mark.parametrize("name", ["qsgd", "natural"])
def test_what_needs_no_rounding_is_not_rounded_up_even_by_a_zero(name):
    messages = torch.tensor([[[0.0, -2.0, 0.0], [0.0, 0.0, 0.0]]], dtype=torch.float64)
    got = COMPRESSORS[name](messages, Given(torch.zeros(1, dtype=torch.float64)), NUMBER_BITS).messages
    assert torch.equal(got, messages)


@pytest.mark.parametrize("name", ["qsgd", "scaled_sign"])
@pytest.mark.parametrize("lie", [math.inf, -math.inf, math.nan])
def test_those_that_send_a_norm_lose_a_message_that_has_none(name, lie):
    assert compressed(of(name), [1.0, lie, 0.0]).isnan().all()


@pytest.mark.parametrize("name", ["random_k", "bernoulli", "top_k"])
def test_an_entry_that_is_not_sent_is_zero_whatever_it_was(name):
    got = compress(
        of(name, share=0.5), torch.full((1, 50, DIMENSION), math.nan, dtype=torch.float64), seeds=(1,)
    ).messages
    assert 0 < got.isnan().sum() < got.numel()
    assert (got[~got.isnan()] == 0).all()


# --- the options -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        *[{"name": name, "share": share} for name in ("random_k", "bernoulli", "top_k") for share in (0, -0.1, 1.01)],
        {"name": "random_k", "share": math.nan},
        {"name": "random_k", "mask": "both"},
        {"name": "bernoulli", "mask": "shared"},
        {"name": "qsgd", "levels": 0},
        {"name": "qsgd", "levels": 1.5},
        {"name": "natural", "levels": 4},
        {"name": "identity", "share": 0.5},
        {"name": "no_such_compressor"},
    ],
    ids=str,
)
def test_what_an_option_may_not_be(options):
    with pytest.raises(ValidationError):
        CHOICE.validate_python(options)


def test_what_an_option_is_by_default():
    assert of("random_k").options == {"share": 0.1, "mask": "independent"}
    assert of("bernoulli").options == of("top_k").options == {"share": 0.1}


@pytest.mark.parametrize("name", ["random_k", "top_k"])
def test_one_entry_at_least_is_kept(name):
    assert (compress(of(name, share=1e-9), messages_of()).messages.count_nonzero(dim=-1) == 1).all()


# --- the kernel --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [2, 5, 1000])
def test_smallest_is_a_stable_sort_cut_off(kinds):
    values = np.random.default_rng(kinds).integers(kinds, size=(3, 4, 40)) - kinds // 2.0
    values[0, 0, ::3], values[1, :, 5:9], values[2, 1] = np.inf, -np.inf, 7.0
    place = np.argsort(np.argsort(values, axis=-1, kind="stable"), axis=-1, kind="stable")
    for k in (1, 2, 17, 39, 40):
        assert np.array_equal(smallest(torch.from_numpy(values), k).numpy(), place < k)
