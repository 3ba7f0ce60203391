"""Streams: what each number depends on, and on nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from byzcode import randomness
from byzcode.attacks import Attack
from byzcode.problems import PROBLEMS
from byzcode.randomness import BLOCK, Draws, Orders, Stream
from byzcode.storage.allocations import draw
from byzcode.training import workers


def numbers(seed, purpose, iteration, count=6):
    return Stream(seed, purpose).at(iteration).random(count)


@given(order=st.permutations(list(range(6))), wasted=st.lists(st.integers(0, 7), min_size=6, max_size=6))
def test_draws_do_not_depend_on_the_order_of_calls(order, wasted):
    stream = Stream(3, "attack")
    for iteration, count in zip(order, wasted, strict=True):
        np.testing.assert_array_equal(stream.at(iteration).random(6), numbers(3, "attack", iteration))
        stream.at(iteration).integers(5, size=count, dtype=np.uint32)  # leaves a half-used word behind
        stream.at(iteration).standard_normal(count)


def test_seed_purpose_and_iteration_all_matter():
    drawn = [
        tuple(numbers(seed, purpose, iteration))
        for seed in (0, 1, 11)
        for purpose in ("attack", "byzantine", "1/attack")
        for iteration in (0, 1, 2**40)
    ]
    assert len(set(drawn)) == len(drawn)


def test_iterations_do_not_overlap():
    """An iteration may draw much: its numbers are not those of the next one, shifted."""
    stream = Stream(0, "attack")
    first = stream.at(0).random(10_000)
    assert not np.isin(stream.at(1).random(100), first).any()


def test_two_streams_do_not_disturb_each_other():
    plain, moved = Stream(0, "attack"), Stream(1, "attack")
    generator = plain.at(4)
    head = generator.random(3)
    moved.at(9).random(5)
    np.testing.assert_array_equal(np.concatenate([head, generator.random(3)]), numbers(0, "attack", 4))


# Frozen on the day the streams were made. If these change, every published number does: bump the spec's version.
GOLDEN = {
    (0, "attack", 0): [0.012517968649766842, 0.4126449792982162, 0.6840927449379768],
    (3, "byzantine", 7): [0.6540890547478021, 0.2346819009179052, 0.3782045592573743],
    (12, "linear_regression/features", 0): [0.43856246987362957, 0.28713248749036757, 0.8766955821789213],
}
GOLDEN_SETS = {0: [3, 0, 9, 7], 1: [8, 3, 4, 0], 63: [8, 7, 1, 6], 64: [4, 2, 1, 7], 1000: [8, 1, 2, 9]}
GOLDEN_NORMAL = [0.7902113468006213, -0.9170752559969331, -1.5121311286662786]


@pytest.mark.parametrize("key", GOLDEN)
def test_streams_are_the_frozen_ones(key):
    assert numbers(*key, count=3).tolist() == GOLDEN[key]


def test_normal_numbers_are_the_frozen_ones():
    np.testing.assert_allclose(Stream(0, "attack").at(5).standard_normal(3), GOLDEN_NORMAL, rtol=1e-14)


def test_byzantine_sets_are_the_frozen_ones():
    sets = Orders((3,), 10, "byzantine", redrawn=True)
    assert {iteration: sets.at(iteration)[0, :4].tolist() for iteration in GOLDEN_SETS} == GOLDEN_SETS


def test_draws_have_a_leading_axis_of_seeds_and_the_type_asked_for():
    streams = [Stream(seed, "attack") for seed in (4, 9)]
    for dtype in (torch.float32, torch.float64):
        draws = Draws(streams, 3, like=torch.zeros(1, dtype=dtype))
        normal, uniform, none = draws.normal(5, 2), draws.uniform(7), draws.normal(0, 3)
        assert (normal.shape, uniform.shape, none.shape) == ((2, 5, 2), (2, 7), (2, 0, 3))
        assert normal.dtype == uniform.dtype == dtype
        assert ((uniform >= 0) & (uniform < 1)).all()
    generator = Stream(9, "attack").at(3)
    expected = generator.standard_normal((5, 2)), generator.random(7)
    draws = Draws(streams, 3, like=torch.zeros(1, dtype=torch.float64))
    np.testing.assert_array_equal(draws.normal(5, 2)[1].numpy(), expected[0])
    np.testing.assert_array_equal(draws.uniform(7)[1].numpy(), expected[1])
    alone = Draws(streams[1:], 3, like=torch.zeros(1, dtype=torch.float64))
    np.testing.assert_array_equal(alone.normal(5, 2)[0].numpy(), expected[0])


# --- Byzantine sets --------------------------------------------------------------------------------------------------


def sets_of(seeds, f, iterations, redrawn=True, devices=20):
    sets = Orders(seeds, devices, "byzantine", redrawn=redrawn)
    return np.stack([sets.at(iteration) for iteration in iterations], axis=1)  # (R, T, N)


def test_each_row_is_an_order_of_all_devices():
    assert (np.sort(sets_of((3, 4), 5, range(2 * BLOCK + 3)), axis=-1) == np.arange(20)).all()


def test_the_sets_of_a_seed_do_not_depend_on_other_seeds_nor_on_f():
    iterations = range(BLOCK + 5)
    alone = sets_of((3,), 4, iterations)[0]
    np.testing.assert_array_equal(alone, sets_of((0, 3, 8), 4, iterations)[1])
    for f in range(11):  # the order is the same, so the sets are nested in f
        np.testing.assert_array_equal(alone, sets_of((3,), f, iterations)[0])


def test_the_sets_do_not_depend_on_the_order_of_iterations():
    forward = sets_of((3,), 4, range(2 * BLOCK))[0]
    jumping = Orders((3,), 20, "byzantine", redrawn=True)
    for iteration in (BLOCK + 3, 2, 2 * BLOCK - 1, 0, BLOCK, BLOCK - 1):
        np.testing.assert_array_equal(jumping.at(iteration)[0], forward[iteration])


def test_redrawn_sets_change_and_persistent_ones_do_not():
    redrawn = np.sort(sets_of((3,), 4, range(3 * BLOCK))[0][:, :4], axis=-1)
    assert len(np.unique(redrawn, axis=0)) > 2.5 * BLOCK  # 192 draws among 4845 sets: about 4 repeat
    persistent = sets_of((3, 5), 4, range(3 * BLOCK), redrawn=False)
    assert (persistent == persistent[:, :1]).all()
    assert (persistent[0, 0] != persistent[1, 0]).any()


def test_every_device_lies_equally_often():
    rounds, devices, f = 64 * 100, 20, 4
    lies = sets_of((0, 1), f, range(rounds), devices=devices)[..., :f]
    share = f / devices
    for lie in lies:
        frequency = np.bincount(lie.ravel(), minlength=devices) / rounds
        assert np.abs(frequency - share).max() < 5 * np.sqrt(share * (1 - share) / rounds)
    # Two devices lie together as often as a uniform set has it, and consecutive sets share f^2 / N devices.
    together = np.mean([{0, 7} <= set(row) for row in lies[0].tolist()])
    pair = f * (f - 1) / (devices * (devices - 1))
    assert abs(together - pair) < 5 * np.sqrt(pair * (1 - pair) / rounds)
    shared = [len(set(a) & set(b)) for a, b in zip(lies[0][:-1].tolist(), lies[0][1:].tolist(), strict=True)]
    assert abs(np.mean(shared) - f * f / devices) < 5 * np.std(shared) / np.sqrt(len(shared))


# --- paired runs: two methods compared at one seed meet the same data and the same liars -----------------------------


VARIANTS = [
    {},
    {"method": "cra_dl_corrected"},
    {"redundancy": 30},
    {"aggregation": "phocas"},
    {"aggregation": {"name": "trimmed_mean"}},
    {"seeds": [0, 9, 3]},
    {"step_size": 0.1, "dtype": "float32"},
    {"method": "ma", "redundancy": None, "aggregation": None},
    {"method": "sgc_dl", "aggregation": None},
    {"problem": {"sigma_h": 0.0}},
    {"attack": {"name": "sign_flip", "coefficient": -1.0}},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_a_seed_meets_the_same_liars_in_every_run(changes, make_spec, monkeypatch):
    met = []

    def spy(messages, threat, draws, **options):
        met.append((threat.liars.tolist(), draws.uniform(3).double()))
        return messages

    monkeypatch.setattr("byzcode.attacks.sign_flip.ENTRY", Attack(spy, frozenset()))
    spec = make_spec(**{"seeds": [3], "iterations": 5, "record": {"step": 5}, **changes})
    workers.train_together([spec], [draw(spec.allocation_spec)], device="cpu")
    place = spec.seeds.index(3)
    liars = [liars_of_iteration[place] for liars_of_iteration, _ in met]
    sets = Orders((3,), 20, "byzantine", redrawn=True)
    assert liars == [sets.at(iteration)[0, :4].tolist() for iteration in range(6)]
    for iteration, (_, drawn) in enumerate(met):
        np.testing.assert_allclose(drawn[place].numpy(), Stream(3, "attack").at(iteration).random(3), rtol=1e-7)


def test_a_seed_meets_the_same_data_beside_any_others():
    build = PROBLEMS["linear_regression"]
    options = {"subsets": 31, "dimension": 5}  # the second data of a batch start at an odd address
    alone, beside = build((3,), "cpu", "float64", **options), build((0, 3), "cpu", "float64", **options)
    assert torch.equal(alone.features[0], beside.features[1])
    assert torch.equal(alone.labels[0], beside.labels[1])
    assert torch.equal(alone.optimum[0], beside.optimum[1])
    assert torch.equal(alone.smoothness[0], beside.smoothness[1])
    plain = build((3,), "cpu", "float64", **options, sigma_h=0.0)
    assert torch.equal(alone.features, plain.features)  # paired over sigma_H too
    assert not torch.equal(alone.labels, plain.labels)
    for other in (build((4,), "cpu", "float64", **options), build((0,), "cpu", "float64", **options)):
        assert not torch.equal(alone.features[0], other.features[0])


# --- on their way to a GPU -------------------------------------------------------------------------------------------


@pytest.fixture
def uploaded(monkeypatch):
    """What goes to a GPU, and to which."""
    met = []
    monkeypatch.setattr(randomness, "_uploaded", lambda tensor, device: met.append((tensor, str(device))) or tensor)
    return met


def test_draws_go_to_a_gpu_in_the_type_asked_for_and_are_not_waited_for(uploaded):
    gpu = SimpleNamespace(is_cuda=True, dtype=torch.float32, device="cuda:1")
    streams = [Stream(seed, "attack") for seed in (0, 7)]
    drawn = Draws(streams, 3, like=gpu).normal(4)
    assert [(tensor is drawn, device) for tensor, device in uploaded] == [(True, "cuda:1")]
    assert torch.equal(drawn, Draws(streams, 3, like=torch.zeros(1, dtype=torch.float32)).normal(4))


def test_orders_go_to_a_gpu_a_block_at_a_time_and_are_not_waited_for(uploaded):
    local, there = (
        Orders((0, 7), 9, "byzantine", redrawn=True, device=device, first=2) for device in ("cpu", "cuda:1")
    )
    for iteration in range(2 * BLOCK):
        assert torch.equal(local.at(iteration), there.at(iteration))
    assert [device for _, device in uploaded] == ["cuda:1"] * 2
