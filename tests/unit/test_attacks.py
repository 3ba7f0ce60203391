"""Every attack of the table: what it may not touch, and what its formula says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from byzcode.attacks import ATTACKS, Threat
from byzcode.randomness import ByzantineSets, Draws, Stream

SEEDS = (5, 6, 7)
DEVICES, LIARS, DIMENSION = 12, 4, 5


def messages_of(seeds=SEEDS, dimension=DIMENSION):
    rows = [np.random.default_rng(seed).normal(size=(DEVICES, dimension)) for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def threat_of(seeds=SEEDS, f=LIARS, iteration=0):
    order = torch.from_numpy(ByzantineSets(seeds, DEVICES, f, redrawn=True).at(iteration))
    return Threat(liars=order[:, :f], honest=order[:, f:])


def draws_of(messages, seeds=SEEDS, iteration=0):
    return Draws([Stream(seed, "attack") for seed in seeds], iteration, like=messages)


def run(name, iteration=0, seeds=SEEDS, f=LIARS, dimension=DIMENSION, **options):
    messages, threat = messages_of(seeds, dimension), threat_of(seeds, f, iteration)
    return messages, threat, ATTACKS[name](messages, threat, draws_of(messages, seeds, iteration), **options)


def test_a_threat_parts_the_devices():
    threat = threat_of()
    assert threat.f == LIARS
    assert threat.mask.shape == (len(SEEDS), DEVICES)
    assert threat.mask.sum(dim=-1).tolist() == [LIARS] * len(SEEDS)
    messages = messages_of()
    for run_, mask in enumerate(threat.mask):
        assert set(threat.liars[run_].tolist()) == set(torch.where(mask)[0].tolist())
        assert sorted(threat.liars[run_].tolist() + threat.honest[run_].tolist()) == list(range(DEVICES))
        assert torch.equal(threat.of_liars(messages)[run_], messages[run_][threat.liars[run_]])
        assert torch.equal(threat.of_honest(messages)[run_], messages[run_][threat.honest[run_]])


def test_replace_puts_each_lie_at_its_liar():
    messages, threat = messages_of(), threat_of()
    lies = torch.arange(len(SEEDS) * LIARS * DIMENSION, dtype=torch.float64).view(len(SEEDS), LIARS, DIMENSION)
    got = threat.replace(messages, lies)
    for seed in range(len(SEEDS)):
        for place, device in enumerate(threat.liars[seed]):
            assert torch.equal(got[seed, device], lies[seed, place])


@pytest.mark.parametrize("name", ATTACKS)
def test_honest_rows_and_the_input_are_left_alone(name):
    messages = messages_of()
    before, threat = messages.clone(), threat_of()
    got = ATTACKS[name](messages, threat, draws_of(messages))
    assert got.shape == messages.shape
    assert got.dtype == messages.dtype
    assert torch.equal(messages, before)
    assert torch.equal(got[~threat.mask], before[~threat.mask])


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "none"])
def test_liars_lie(name):
    messages, threat, got = run(name)
    assert not torch.isclose(got[threat.mask], messages[threat.mask]).all(dim=-1).any()


def test_none_changes_nothing():
    messages, _, got = run("none")
    assert torch.equal(got, messages)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_liars_no_lies(name):
    messages, _, got = run(name, f=0)
    assert torch.equal(got, messages)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_draws_give_the_same_lies(name):
    assert torch.equal(run(name)[2], run(name)[2])


@pytest.mark.parametrize("name", ATTACKS)
def test_a_seed_is_attacked_the_same_alone_and_beside_others(name):
    together = run(name, iteration=9)[2]
    for place, seed in enumerate(SEEDS):
        assert torch.equal(run(name, iteration=9, seeds=(seed,))[2][0], together[place])


@pytest.mark.parametrize("coefficient", [-1.0, -2.0, -5.0])
def test_sign_flip_multiplies_the_liars_own_message(coefficient):
    messages, threat, got = run("sign_flip", coefficient=coefficient)
    assert torch.equal(got[threat.mask], coefficient * messages[threat.mask])


def test_sign_flip_flips_by_five_unless_told_otherwise():
    messages, threat, got = run("sign_flip")
    assert torch.equal(got[threat.mask], -5.0 * messages[threat.mask])


@pytest.mark.parametrize("scale", [0.5, 200.0])
def test_gaussian_lies_are_distinct_draws_of_the_right_spread(scale):
    _, threat, got = run("gaussian", dimension=4000, scale=scale)
    lies = threat.of_liars(got).reshape(-1, 4000).numpy()
    assert len(np.unique(lies)) == lies.size  # every liar, seed and entry its own draw
    count = lies.size
    assert abs(lies.std() / scale - 1) < 5 / np.sqrt(2 * count)
    assert abs(lies.mean() / scale) < 5 / np.sqrt(count)
    correlation = np.corrcoef(lies)[np.triu_indices(len(lies), k=1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def test_gaussian_has_standard_deviation_200_unless_told_otherwise():
    _, threat, got = run("gaussian")
    assert torch.equal(got, run("gaussian", scale=200.0)[2])
    assert got[threat.mask].abs().max() > 100


def test_sample_duplicating_copies_one_honest_message():
    for iteration in range(20):
        messages, threat, got = run("sample_duplicating", iteration=iteration)
        for seed in range(len(SEEDS)):
            lies = threat.of_liars(got)[seed]
            assert (lies == lies[0]).all()
            copied = (messages[seed] == lies[0]).all(dim=-1)
            assert copied.sum() == 1
            assert not threat.mask[seed][copied].any()


def test_sample_duplicating_draws_its_victim_uniformly():
    """Chi-square over 8 honest devices: 7 degrees of freedom, 40 has probability 1e-6."""
    messages = torch.arange(DEVICES, dtype=torch.float64).view(1, DEVICES, 1)
    threat = Threat(liars=torch.tensor([[2, 5, 7, 11]]), honest=torch.tensor([[0, 1, 3, 4, 6, 8, 9, 10]]))
    stream, rounds = [Stream(1, "attack")], 4000
    victims = [
        int(ATTACKS["sample_duplicating"](messages, threat, Draws(stream, iteration, like=messages))[0, 2, 0])
        for iteration in range(rounds)
    ]
    counts = np.bincount(victims, minlength=DEVICES)
    honest = counts[threat.honest[0].numpy()]
    assert honest.sum() == rounds
    expected = rounds / 8
    assert ((honest - expected) ** 2 / expected).sum() < 40
