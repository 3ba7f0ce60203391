"""Attacks that know the allocation, the rule, the spread or the time: known answers, and against sign flipping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS, Threat
from byzcode.attacks.perturbation import DIRECTIONS
from byzcode.attacks.search import harm


def threat_of(messages, f, rule="median", exclusive=None, iteration=0):
    """The first f devices of messages (R, N, D) lie, and know the rule."""
    order = torch.arange(messages.shape[1]).expand(len(messages), -1)
    more = {} if exclusive is None else {"exclusive": lambda: exclusive}
    return Threat(order[:, :f], order[:, f:], lambda sent: RULES[rule](sent, f), iteration=iteration, **more)


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)[None]


def harm_of(name, messages, threat, **options):
    """How far the rule's answer is from the honest mean, (R,)."""
    return harm(messages, threat)(ATTACKS[name](messages, threat, None, **options))


# --- exclusive gradients, negated ------------------------------------------------------------------------------------


def test_only_the_exclusive_part_of_a_lie_is_changed():
    """The liars' messages are 1 + 2 and 5 + 0, of which the first terms are theirs alone."""
    messages, exclusive = tensor([[3.0], [5.0], [4.0], [4.5]]), tensor([[1.0], [5.0], [0.0], [0.0]])
    sent = ATTACKS["negate_exclusive"](messages, threat_of(messages, 2, exclusive=exclusive), None)
    assert sent[0, :, 0].tolist() == [2.0 - 1.0, 0.0 - 5.0, 4.0, 4.5]
    tenfold = ATTACKS["negate_exclusive"](messages, threat_of(messages, 2, exclusive=exclusive), None, coefficient=-10)
    assert tenfold[0, :, 0].tolist() == [2.0 - 10.0, 0.0 - 50.0, 4.0, 4.5]


def test_liars_who_hold_all_alone_flip_signs_and_those_who_hold_nothing_alone_are_honest():
    messages = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 9, 4)))
    flipped = ATTACKS["sign_flip"](messages, threat_of(messages, 3), None, coefficient=-2)
    alone = ATTACKS["negate_exclusive"](messages, threat_of(messages, 3, exclusive=messages), None, coefficient=-2)
    torch.testing.assert_close(alone, flipped, rtol=1e-14, atol=1e-14)
    shared = threat_of(messages, 3, exclusive=torch.zeros_like(messages))
    assert torch.equal(ATTACKS["negate_exclusive"](messages, shared, None), messages)


def test_a_rule_that_drops_long_messages_keeps_the_negated_ones():
    """Of 1, 1.1, 1.2, 1.3 the first lies: -1 in place of 1.3 counts; -5 does not."""
    messages = tensor([[1.0], [1.1], [1.2], [1.3]])
    threat = threat_of(messages, 1, "norm_trimming", exclusive=messages)
    assert harm_of("negate_exclusive", messages, threat).item() == pytest.approx(1.2 - (1.1 + 1.2 - 1.0) / 3)
    assert harm_of("sign_flip", messages, threat).item() == pytest.approx(0, abs=1e-12)


# --- the top direction -----------------------------------------------------------------------------------------------

#: Six honest messages around (0, 10), farthest from each other along the first axis, and one around that lies.
CROSS = [[7.0, 7.0], [-3, 10], [4, 10], [-2, 10], [1, 10], [0, 9], [0, 11]]


def test_a_lie_is_as_far_out_as_the_farthest_honest_message_on_its_side():
    """The mean is at (1, 10), right of zero, so the lie is on the left, where the farthest message is at -2."""
    messages = tensor(CROSS) + tensor([[1.0, 0.0]])
    lie = ATTACKS["top_direction"](messages, threat_of(messages, 1), None)[0, 0]
    np.testing.assert_allclose(lie, [1.0 - 3.0, 10.0], atol=1e-9)
    mirrored = messages * tensor([[-1.0, 1.0]])
    lie = ATTACKS["top_direction"](mirrored, threat_of(mirrored, 1), None)[0, 0]
    np.testing.assert_allclose(lie, [-1.0 + 3.0, 10.0], atol=1e-9)


def test_or_so_many_standard_deviations():
    messages = tensor(CROSS) + tensor([[1.0, 0.0]])
    lie = ATTACKS["top_direction"](messages, threat_of(messages, 1), None, factor=2.0)[0, 0]
    np.testing.assert_allclose(lie, [1.0 - 2.0 * np.sqrt((9 + 16 + 4 + 1) / 5), 10.0], atol=1e-9)


@given(seed=st.integers(0, 10**6), devices=st.integers(3, 9), dimension=st.integers(1, 6))
def test_no_other_direction_has_more_variance(seed, devices, dimension):
    """Where the two greatest variances are not nearly equal, the direction is the eigenvector, against the mean."""
    honest = np.random.default_rng(seed).normal(size=(devices, dimension)) + 0.3
    values, vectors = np.linalg.eigh(np.cov(honest.T).reshape(dimension, dimension))
    if dimension > 1 and values[-2] > 0.9 * values[-1]:
        return
    messages = torch.from_numpy(np.concatenate([np.zeros((1, dimension)), honest]))[None]
    lie = ATTACKS["top_direction"](messages, threat_of(messages, 1), None)[0, 0].numpy()
    mean, along = honest.mean(axis=0), vectors[:, -1] * -np.sign(vectors[:, -1] @ honest.mean(axis=0))
    np.testing.assert_allclose(lie, mean + ((honest - mean) @ along).max() * along, atol=1e-6)


def test_a_rule_that_drops_far_messages_keeps_those_in_the_top_direction():
    """Sign flipping is dropped as a whole, and the honest messages at the rim are dropped for the lies."""
    messages = tensor([[0.0, 10.0]] * 3 + [[x, 10.0] for x in (-4, -3, -2, -1, 0, 1, 2, 3, 4.5)])
    threat = threat_of(messages, 3, "multi_krum")
    assert harm_of("top_direction", messages, threat) > 1.0 > harm_of("sign_flip", messages, threat)


# --- tailored to the rule --------------------------------------------------------------------------------------------


def test_against_the_mean_the_longest_lie_is_best():
    """Honest messages at 9 and 11 are 1 from their mean on average: of 1/4 ... 4, a lie at 10 - 4 harms most."""
    messages = tensor([[0.0], [9.0], [11.0]])
    sent = ATTACKS["tailored"](messages, threat_of(messages, 1, "mean"), None, strengths=5)
    assert sent[0, :, 0].tolist() == [pytest.approx(6.0), 9.0, 11.0]


def test_against_a_rule_that_drops_far_messages_a_short_lie_is_best():
    """Multi-Krum with f = 1 drops what is farthest: lies of 1/4 to 1 spread stay in, and longer ones do not."""
    honest = [[9.0], [10.0], [11.0], [9.5], [10.5]]
    spread = np.sqrt((1 + 0 + 1 + 0.25 + 0.25) / 5)
    messages = tensor([[0.0], *honest])
    threat = threat_of(messages, 1, "multi_krum")
    sent = ATTACKS["tailored"](messages, threat, None)[0, 0, 0].item()

    def harmed(strength):
        received = tensor([[10.0 - strength * spread], *honest])
        return abs(float(RULES["multi_krum"](received, 1)) - 10.0)

    tried = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0]
    best = max(tried, key=harmed)
    assert sent == pytest.approx(10.0 - best * spread)
    assert 0 < best < 4


@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "phocas", "krum", "geometric_median"])
def test_it_keeps_the_most_harmful_of_all_directions(rule):
    messages = torch.from_numpy(np.random.default_rng(3).normal(size=(20, 11, 5))) + 1
    threat = threat_of(messages, 3, rule)
    each = torch.stack([harm_of("tailored", messages, threat, direction=direction) for direction in DIRECTIONS])
    assert torch.equal(harm_of("tailored", messages, threat), each.amax(dim=0))
    assert len(set(each.argmax(dim=0).tolist())) > 1  # runs go different ways


@pytest.mark.parametrize("rule", ["phocas", "meamed", "krum", "multi_krum", "norm_trimming"])
def test_it_harms_more_than_flipped_messages_that_are_dropped(rule):
    """Messages far from zero, so that flipped ones are easy to tell."""
    messages = torch.from_numpy(np.random.default_rng(4).normal(size=(50, 12, 5))) + 10
    threat = threat_of(messages, 3, rule)
    tailored, flipped, opposite = (harm_of(name, messages, threat) for name in ("tailored", "sign_flip", "ipm"))
    assert (tailored >= torch.maximum(flipped, opposite)).all()
    assert tailored.mean() > 1.2 * flipped.mean()


@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "geometric_median"])
def test_it_harms_as_much_as_flipped_messages_that_are_not_dropped(rule):
    """Where only the side counts, or the direction, a grid of four directions may miss a little."""
    messages = torch.from_numpy(np.random.default_rng(4).normal(size=(50, 12, 5))) + 10
    threat = threat_of(messages, 3, rule)
    assert (harm_of("tailored", messages, threat) > 0.97 * harm_of("sign_flip", messages, threat)).all()


# --- slow drift ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("iteration", "moved"), [(0, 0.02), (9, 0.2), (74, 1.5), (75, 1.5), (10**6, 1.5)])
def test_a_drifting_liar_leaves_its_own_message_by_so_many_standard_deviations(iteration, moved):
    """Honest messages 1, 3 and 5 have the standard deviation 2."""
    messages = tensor([[7.0], [8.0], [1.0], [3.0], [5.0]])
    sent = ATTACKS["drift"](messages, threat_of(messages, 2, iteration=iteration), None)
    np.testing.assert_allclose(sent[0, :, 0], [7.0 - 2 * moved, 8.0 - 2 * moved, 1.0, 3.0, 5.0])


def test_a_rule_that_drops_far_messages_keeps_those_that_drift():
    messages = torch.from_numpy(np.random.default_rng(5).normal(size=(20, 12, 5))) + 10
    for rule in ("multi_krum", "phocas", "norm_trimming"):
        threat = threat_of(messages, 3, rule, iteration=100)
        drifted, flipped = (harm_of(name, messages, threat) for name in ("drift", "sign_flip"))
        assert drifted.mean() > flipped.mean(), rule
