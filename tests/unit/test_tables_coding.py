"""Every encoder and decoder of the tables: what weights may be, and that liars within the radius do no harm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from unit.tables import cases, decoded_run

from byzcode.allocation import ALLOCATIONS, EMPTY
from byzcode.coding import DECODERS, ENCODERS
from byzcode.randomness import Stream
from byzcode.specs.methods import METHODS
from byzcode.storage import allocations

SIZES = [(20, 60, 12), (20, 60, 3), (15, 30, 10), (5, 5, 3), (7, 7, 3), (8, 28, 7), (4, 4, 1)]
DIMENSION, RUNS = 4, 3


def lists():
    """What devices hold, by every allocation, and the number of subsets."""
    for name, options in cases(ALLOCATIONS).values():
        for devices, subsets, redundancy in SIZES:
            if ALLOCATIONS[name].refuses(devices, subsets, redundancy) is None:
                yield ALLOCATIONS[name](devices, subsets, redundancy, Stream(1, "test").at(0), **options), subsets


@pytest.mark.parametrize(("name", "options"), cases(ENCODERS).values(), ids=cases(ENCODERS))
def test_weights_are_finite_numbers_and_zero_in_empty_slots(name, options):
    encoded = 0
    for assigned, subsets in lists():
        before = assigned.copy()
        try:
            weights = ENCODERS[name](assigned, subsets, **options)
        except ValueError:  # only for some allocations
            continue
        encoded += 1
        np.testing.assert_array_equal(assigned, before)
        assert weights.shape == assigned.shape
        assert weights.dtype in (np.float64, np.complex128)
        assert np.isfinite(weights).all()
        assert (weights[assigned == EMPTY] == 0).all()
        assert (weights != 0).any()
        np.testing.assert_array_equal(weights, ENCODERS[name](assigned, subsets, **options))
    assert encoded, f"{name} encodes none of the allocations that are tried"


#: What liars send, given what they would send and a generator.
LIES = {
    "negated": lambda true, dice: -2 * true,
    "zero": lambda true, dice: 0 * true,
    "constant": lambda true, dice: np.full_like(true, 1e3),
    "noise": lambda true, dice: 100 * dice.normal(size=true.shape),
    "huge": lambda true, dice: np.full_like(true, 1e300),
    "infinite": lambda true, dice: np.full_like(true, np.inf),
    "not a number": lambda true, dice: np.full_like(true, np.nan),
}


def sent(spec, gradients):
    """What honest devices send of the gradients of subsets, (R, M, D)."""
    assigned = allocations.draw(spec.allocation_spec)[0]
    weights = ENCODERS[spec.encoding.name](assigned, spec.subsets, **spec.encoding.options)
    combined = np.einsum("ns,rnsd->rnd", weights, gradients[:, assigned])
    return np.concatenate([combined.real, combined.imag], axis=-1) if np.iscomplexobj(combined) else combined


def runs_of(decoder):
    """Runs of small sizes with a decoder, or a skipped test where no method has it."""
    if decoder not in {method.decoder for method in METHODS.values()}:
        pytest.skip(f"no method has the decoder {decoder}, so what is sent to it is not known")
    runs = [decoded_run(decoder, devices, subsets) for devices, subsets in ((20, 60), (15, 30), (9, 9), (5, 5))]
    return [spec for spec in runs if spec is not None]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", DECODERS)
def test_within_its_radius_a_decoder_gives_the_gradient(name, lie):
    for spec in runs_of(name):
        dice = np.random.default_rng(spec.devices)
        gradients = dice.normal(size=(RUNS, spec.subsets, DIMENSION))
        size = spec.devices, spec.subsets, spec.redundancy
        most, decode = DECODERS[name].most_liars(*size), DECODERS[name].prepare(*size)
        assert 0 <= most < spec.devices / 2
        for f in range(most + 1):
            messages = sent(spec, gradients)
            for run in range(RUNS):
                liars = dice.permutation(spec.devices)[:f]
                messages[run, liars] = LIES[lie](messages[run, liars], dice)
            got = decode(torch.from_numpy(messages))
            assert not got.failed.any()
            np.testing.assert_allclose(got.gradient.numpy(), gradients.mean(axis=1), rtol=0, atol=1e-10)
            for run in range(RUNS):  # to the bit, alone and beside others
                alone = decode(torch.from_numpy(messages[run : run + 1].copy()))
                assert torch.equal(alone.gradient[0], got.gradient[run])


@pytest.mark.parametrize("name", DECODERS)
def test_beyond_its_radius_a_decoder_gives_finite_numbers_or_says_that_it_failed(name):
    for spec in runs_of(name):
        dice = np.random.default_rng(spec.devices)
        decode = DECODERS[name].prepare(spec.devices, spec.subsets, spec.redundancy)
        for lie in LIES.values():
            messages = sent(spec, dice.normal(size=(RUNS, spec.subsets, DIMENSION)))
            messages[0] = lie(messages[0], dice)
            messages[1, ::2] = lie(messages[1, ::2], dice)
            for dtype in (torch.float64, torch.float32):
                got = decode(torch.from_numpy(messages).to(dtype))
                assert got.gradient.dtype == dtype
                assert got.gradient.shape == (RUNS, DIMENSION)
                assert got.failed.dtype == torch.bool
                assert (got.gradient[got.failed] == 0).all()
                assert not got.failed[2]


@pytest.mark.parametrize("name", DECODERS)
def test_a_size_that_a_decoder_refuses_is_refused_with_a_reason(name):
    reasons = [DECODERS[name].refuses(*size) for size in ((5, 7, 8), (20, 60, 7), (7, 6, 5))]
    assert all(reason is None or (reason and reason.isprintable()) for reason in reasons)
    assert any(reasons), "some sizes are served by no code"
