"""Min-Max and Min-Sum: against the conditions of the paper, written as loops, and its search for gamma."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from byzcode.attacks import ATTACKS, Threat

NAMES, DIRECTIONS = ("min_max", "min_sum"), ("std", "unit", "sign")
both = pytest.mark.parametrize("name", NAMES)
every = pytest.mark.parametrize("direction", DIRECTIONS)


def lie_of(name, honest, **options):
    """What two liars send beside honest messages (H, D)."""
    messages = torch.from_numpy(np.concatenate([np.full((2, honest.shape[1]), 7.0), honest]))[None]
    order = torch.arange(len(honest) + 2)[None]
    sent = ATTACKS[name](messages, Threat(liars=order[:, :2], honest=order[:, 2:]), None, **options)[0].numpy()
    assert np.array_equal(sent[2:], honest)
    assert np.array_equal(sent[0], sent[1])
    return sent[0]


def honest_messages(seed, devices=6, dimension=4):
    dice = np.random.default_rng(seed)
    return dice.normal(size=(devices, dimension)) * dice.uniform(0.1, 3, size=dimension) + dice.normal(size=dimension)


def conspicuous(name, message, honest):
    """What the attack bounds: the largest distance of a message to the honest ones, or the sum of their squares."""
    distances = [np.linalg.norm(message - each) for each in honest]
    return max(distances) if name == "min_max" else sum(distance**2 for distance in distances)


def most_allowed(name, honest):
    return max(conspicuous(name, each, honest) for each in honest)


def direction_of(direction, honest):
    mean = honest.mean(axis=0)
    return -{"std": honest.std(axis=0, ddof=1), "unit": mean / np.linalg.norm(mean), "sign": np.sign(mean)}[direction]


@both
@every
@given(seed=st.integers(0, 10**6), devices=st.integers(2, 8), dimension=st.integers(1, 6))
def test_a_lie_is_as_conspicuous_as_the_most_conspicuous_honest_message(name, direction, seed, devices, dimension):
    honest = honest_messages(seed, devices, dimension)
    lie = lie_of(name, honest, direction=direction)
    assert conspicuous(name, lie, honest) == pytest.approx(most_allowed(name, honest), rel=1e-9)


@both
@every
def test_a_lie_is_the_mean_moved_in_its_direction(name, direction):
    honest = honest_messages(3)
    moved, along = lie_of(name, honest, direction=direction) - honest.mean(axis=0), direction_of(direction, honest)
    assert moved @ along == pytest.approx(np.linalg.norm(moved) * np.linalg.norm(along), rel=1e-12)
    assert np.linalg.norm(moved) > 0


@both
@every
def test_the_paper_finds_the_same_gamma_by_halving_its_step(name, direction):
    honest = honest_messages(5)
    mean, along, most = honest.mean(axis=0), direction_of(direction, honest), most_allowed(name, honest)
    gamma, step, best = 10.0, 10.0, 0.0
    while step > 1e-9:
        step /= 2
        if conspicuous(name, mean + gamma * along, honest) <= most:
            best, gamma = gamma, gamma + step
        else:
            gamma -= step
    np.testing.assert_allclose(lie_of(name, honest, direction=direction), mean + best * along, atol=1e-7)


def test_on_a_line_a_lie_is_known_in_closed_form():
    """Honest messages -1, 0 and 4, with mean 1 and distances up to 5."""
    honest = np.array([[-1.0], [0.0], [4.0]])
    assert lie_of("min_max", honest) == pytest.approx(-1.0)  # 5 from the message 4
    assert lie_of("min_sum", honest) == pytest.approx(-2.0)  # 3 from the mean, as the message 4 is


@both
def test_the_standard_deviations_are_the_default(name):
    honest = honest_messages(8)
    assert np.array_equal(lie_of(name, honest), lie_of(name, honest, direction="std"))


@both
@every
@pytest.mark.parametrize("scale", [2.0**-500, 2.0**500])
def test_lies_scale_with_messages(name, direction, scale):
    honest = honest_messages(9)
    lie = lie_of(name, honest, direction=direction)
    np.testing.assert_allclose(lie_of(name, scale * honest, direction=direction), scale * lie, rtol=1e-12)


@both
@every
def test_equal_messages_are_repeated(name, direction):
    for honest in (np.ones((4, 3)), np.zeros((4, 3)), np.array([[1.0, -2.0, 3.0]])):
        assert np.array_equal(lie_of(name, honest, direction=direction), honest[0])


@both
def test_far_from_zero_the_condition_still_holds(name):
    honest = 1e6 + 1e-3 * honest_messages(1)
    lie = lie_of(name, honest)
    assert conspicuous(name, lie, honest) == pytest.approx(most_allowed(name, honest), rel=1e-6)
