"""Liars who know the allocation: which devices they choose, which gradients only they hold, and what both do."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from byzcode.allocation import ALLOCATIONS, EMPTY
from byzcode.attacks import Attack
from byzcode.attacks.chosen import centred, chosen
from byzcode.coding import ENCODERS
from byzcode.problems import PROBLEMS
from byzcode.storage import allocations
from byzcode.theory import bounds, expectations
from byzcode.training.batch import Part, assemble
from byzcode.training.devices import Devices
from byzcode.training.liars import Liars
from byzcode.training.records import join
from byzcode.training.workers import train, train_together


def run(spec):
    return train(spec, allocations.draw(spec.allocation_spec))


def copies(holds, liars):
    """The honest copies of each subset, for an incidence matrix (N, M)."""
    return np.delete(holds, list(liars), axis=0).sum(axis=0)


def first(holds, f):
    """The liars that are chosen against an allocation with weights 1/r."""
    around = centred(holds / np.maximum(holds.sum(axis=1, keepdims=True), 1))
    return sorted(chosen(around @ around.T, f)[:f].tolist())


# --- the search ------------------------------------------------------------------------------------------------------


def test_liars_cover_the_least_replicated_subset():
    """Devices 1 and 4 hold subset 0, which no other has; the other four subsets are on three or four devices."""
    lists = [(1, 2), (0, 1), (2, 3), (3, 4), (0, 4), (1, 2), (1, 3), (2, 4), (3, 4)]
    holds = np.array([[subset in held for subset in range(5)] for held in lists])
    assert first(holds, 2) == [1, 4]
    assert copies(holds, first(holds, 2))[0] == 0


@pytest.mark.parametrize("tasks", [2, 5, 8])
def test_in_a_cyclic_allocation_neighbours_lie(tasks):
    """They share the most tasks; those within their windows nobody else holds."""
    devices, f = 24, 6
    holds = np.zeros((devices, devices))
    for device in range(devices):
        holds[device, (device + np.arange(tasks)) % devices] = 1
    liars = first(holds, f)
    gaps = np.diff([*liars, liars[0] + devices])
    assert sorted(gaps.tolist()) == [1] * (f - 1) + [devices - f + 1]
    assert (copies(holds, liars) == 0).sum() == max(0, f - tasks + 1)


def test_in_a_repetition_allocation_a_group_lies():
    holds = np.kron(np.eye(4), np.ones((5, 3)))  # 4 groups of 5 devices with 3 subsets each
    assert first(holds, 5) in [list(range(5 * group, 5 * group + 5)) for group in range(4)]


@pytest.mark.parametrize(("encoding", "least", "often"), [("uniform", 0.94, 0.8), ("replication", 0.85, 0.4)])
def test_small_sets_are_nearly_the_worst_of_all(encoding, least, often):
    """Against all sets of 4 of 12: seldom below the worst, and never far."""
    parts = []
    for seed in range(40):
        dice = np.random.default_rng(seed)
        assigned = ALLOCATIONS["random"](12, 30, 6, dice)
        weights = np.zeros((12, 30))
        np.put_along_axis(weights, assigned.astype(np.int64), ENCODERS[encoding](assigned, 30), axis=1)
        around = centred(weights)

        def size(liars, around=around):
            return np.square(np.delete(around, list(liars), axis=0).sum(axis=0)).sum()

        found = size(chosen(around @ around.T, 4)[:4])
        parts.append(found / max(map(size, combinations(range(12), 4))))
    assert min(parts) > least
    assert max(parts) == pytest.approx(1, rel=1e-12)
    assert np.mean(np.array(parts) > 1 - 1e-12) > often


def test_what_they_maximise_is_the_expected_bias():
    """Over permutations of the labels, the mean squared distance of the honest mean from the gradient, by sampling."""
    dice = np.random.default_rng(0)
    weights = dice.dirichlet(np.ones(20), size=8)
    gradients = dice.normal(size=(20, 3))
    away = gradients - gradients.mean(axis=0)
    around = centred(weights)[2:].mean(axis=0)  # of the honest devices 2 to 7
    sampled = [np.square(weights[2:].mean(axis=0) @ away[dice.permutation(20)]).sum() for _ in range(20000)]
    expected = np.square(around).sum() * np.square(away).sum() / 19
    assert np.mean(sampled) == pytest.approx(expected, rel=5 * np.std(sampled) / expected / len(sampled) ** 0.5)


def test_all_devices_are_in_the_order_and_ties_go_to_the_lower_number():
    gram = centred(np.eye(7)) @ centred(np.eye(7)).T
    assert chosen(gram, 3)[:3].tolist() == chosen(gram + 1e-13 * np.diag(np.arange(7)), 3)[:3].tolist() == [0, 1, 2]
    for f in (0, 3, 6):
        assert sorted(chosen(gram, f).tolist()) == list(range(7))


def test_an_exchange_leaves_a_dead_end():
    """Device 0 is the worst liar alone; 1 and 2 are better alone, and the worst together. No other is worth it."""
    gram = 50.0 * np.eye(6)
    gram[:3, :3] = [[1, 0, 0], [0, 4, 3], [0, 3, 4]]
    gram[0, 3] = gram[3, 0] = -0.5
    gram[1:3, 3:] = gram[3:, 1:3] = -1.5
    left = {liars: np.delete(np.delete(gram, liars, 0), liars, 1).sum() for f in (1, 2) for liars in sets_of(f)}
    assert max(sets_of(1), key=left.get) == (0,)
    assert max(sets_of(2), key=left.get) == (1, 2)
    assert chosen(gram, 1)[:1].tolist() == [0]
    assert sorted(chosen(gram, 2)[:2].tolist()) == [1, 2]


def sets_of(f):
    return list(combinations(range(6), f))


# --- in a training ---------------------------------------------------------------------------------------------------

CHOSEN = {"alpha": 0.2, "identities": "chosen"}
CODES = {
    "sampled": {},
    "corrected": {"method": "cra_dl_corrected"},
    "sampled, redrawn": {"assignment": "redrawn"},
    "lists of different lengths": {"allocation": {"name": "random", "side": "subset"}},
    "LAD": {"method": "lad"},
    "LAD, labels redrawn": {"method": "lad", "assignment": "subsets_redrawn"},
    "LAD, rows redrawn": {"method": "lad", "assignment": "devices_redrawn"},
    "disjoint": {"method": "rba_dl", "redundancy": 3},
    "samples": {"method": "lad", "problem": {"samples_per_subset": 2}},
    "cyclic code": {"method": "draco_cyclic", "redundancy": 9, "aggregation": None},
    "repetition": {"method": "draco_repetition", "aggregation": None},
}
codes = pytest.mark.parametrize("changes", CODES.values(), ids=CODES)


def who_lies(spec, monkeypatch):
    """The threats of a run, and the messages if all are honest, by iteration."""
    met = []

    def spy(messages, threat, draws):
        met.append((threat, messages.clone(), threat.exclusive()))
        return messages

    monkeypatch.setattr("byzcode.attacks.none.ENTRY", Attack(spy, frozenset()))
    train_together([spec], [allocations.draw(spec.allocation_spec)], device="cpu")
    return met


def held_by(spec, seed_place, iteration):
    """Which device holds which subsets in an iteration, and its weights, (N, M)."""
    assigned = allocations.draw(spec.allocation_spec)
    devices = Devices(
        torch.zeros(1, dtype=torch.float64),
        assigned,
        np.stack([ENCODERS[spec.encoding.name](lists, spec.subsets) for lists in assigned]).real,
        spec.seeds,
        spec.subsets,
        assignment=spec.assignment,
    )
    places, weight = (each[seed_place].numpy() for each in devices.codes(iteration).parts[0].settled)
    matrix = np.zeros((spec.devices, spec.subsets))
    for row, slots, weights in zip(matrix, places, weight, strict=True):
        np.add.at(row, slots, weights)
    return matrix


@codes
@pytest.mark.parametrize("identities", ["redrawn", "chosen"])
def test_the_exclusive_part_is_that_of_a_plain_loop(changes, identities, make_spec, monkeypatch):
    byzantine = {"alpha": 0.2, "identities": identities}
    spec = make_spec(**{"attack": "none", "byzantine": byzantine, "iterations": 4, **changes})
    found = 0
    for iteration, (threat, messages, exclusive) in enumerate(who_lies(spec, monkeypatch)):
        for place in range(len(spec.seeds)):
            weights = held_by(spec, place, iteration)
            liars = threat.liars[place].tolist()
            alone = copies(weights != 0, liars) == 0
            part = np.where((weights * alone != 0).any(axis=1))[0].tolist()
            assert set(part) <= set(liars)
            whole = np.where((weights * ~alone != 0).any(axis=1))[0].tolist()
            for device in range(spec.devices):
                sent, of_alone = messages[place, device], exclusive[place, device]
                if device not in part:
                    assert not of_alone.any()
                elif device not in whole:
                    torch.testing.assert_close(of_alone, sent, rtol=1e-12, atol=1e-12)
                else:
                    assert not torch.allclose(of_alone, sent)
            found += len(part)
    assert found or identities == "redrawn"


def test_the_exclusive_part_has_the_weights_and_gradients_of_its_subsets(make_spec, monkeypatch):
    spec = make_spec(attack="none", byzantine=CHOSEN, iterations=3, redundancy=4, seeds=[3])
    features = PROBLEMS["linear_regression"]((3,), "cpu", "float64", **spec.problem.options)
    z, y = features.features[0].numpy(), features.labels[0].numpy()
    (threat, _, exclusive), *_ = who_lies(spec, monkeypatch)
    weights = held_by(spec, 0, 0)
    alone = copies(weights != 0, threat.liars[0].tolist()) == 0
    assert 0 < (weights * alone != 0).sum() < (weights != 0).sum()
    expected = (weights * alone) @ (-y[:, None] * z)  # the gradients of the subsets at theta = 0
    np.testing.assert_allclose(exclusive[0].numpy(), expected, rtol=1e-10, atol=1e-12)


@codes
def test_in_each_iteration_those_lie_who_hold_the_chosen_rows(changes, make_spec, monkeypatch):
    spec = make_spec(**{"attack": "none", "byzantine": CHOSEN, "iterations": 6, **changes})
    rows = [held_by(spec.model_copy(update={"assignment": "fixed"}), place, 0) for place in range(len(spec.seeds))]
    sets = []
    for iteration, (threat, _, _) in enumerate(who_lies(spec, monkeypatch)):
        sets.append(tuple(sorted(threat.liars[0].tolist())))
        for place in range(len(spec.seeds)):
            together = torch.cat([threat.liars[place], threat.honest[place]])
            assert sorted(together.tolist()) == list(range(spec.devices))
            if spec.encoding.name == "draco_cyclic":
                continue
            around = centred(rows[place])
            wanted = chosen(around @ around.T, spec.f)[: spec.f]
            now = held_by(spec, place, iteration)[threat.liars[place].numpy()]
            worst = np.square(np.delete(around, wanted, axis=0).sum(axis=0)).sum()
            around_now = centred(held_by(spec, place, iteration))
            left = np.square(np.delete(around_now, threat.liars[place].numpy(), axis=0).sum(axis=0)).sum()
            assert left == pytest.approx(worst, rel=1e-9)
            assert sorted((now != 0).sum(axis=1)) == sorted((rows[place][wanted] != 0).sum(axis=1))
    permuted = spec.assignment in ("redrawn", "devices_redrawn")
    assert (len(set(sets)) > 3) == permuted


@codes
def test_a_batch_has_the_bits_of_seed_by_seed(changes, make_spec):
    spec = make_spec(**{"attack": "negate_exclusive", "byzantine": CHOSEN, "iterations": 5, **changes})
    assigned = allocations.draw(spec.allocation_spec)
    alone = [spec.model_copy(update={"seeds": (seed,)}) for seed in spec.seeds]
    apart = join(train(each, assigned[place : place + 1]) for place, each in enumerate(alone))
    for name, value in train_together([spec], [assigned], device="cpu")[0].arrays().items():
        np.testing.assert_array_equal(value, apart.arrays()[name], err_msg=name)


@codes
def test_nothing_waits_for_a_gpu(changes, make_spec):
    spec = make_spec(**{"attack": "negate_exclusive", "byzantine": CHOSEN, "iterations": 2, **changes})
    batch = assemble([Part(spec, spec.seeds, allocations.draw(spec.allocation_spec))], "meta")
    liars = Liars(batch, torch.device("meta"))
    devices = Devices(batch.problem.start(), batch.assigned, batch.weights, batch.seeds, 60, assignment=spec.assignment)
    lying, honest = liars.at(1, devices.codes(1))
    assert lying.device.type == honest.device.type == "meta"
    assert (lying.shape[1], honest.shape[1]) == (spec.f, spec.devices - spec.f)


@pytest.mark.parametrize(
    ("changes", "least"),
    [({}, 1.08), ({"method": "lad"}, 2.0), ({"redundancy": 4}, 1.08)],
    ids=["sampled", "LAD", "few copies"],
)
def test_chosen_liars_leave_the_honest_mean_farther_from_the_gradient(changes, least, make_spec):
    """The squared bias in parts of the heterogeneity, over that of random sets."""
    more = {"attack": "none", "iterations": 30, "seeds": 30, **changes}
    drawn, picked = (
        run(make_spec(byzantine={"alpha": 0.2, "identities": who}, **more)) for who in ("redrawn", "chosen")
    )
    ratio = (
        np.square(picked.coding_bias / picked.heterogeneity).mean()
        / np.square(drawn.coding_bias / drawn.heterogeneity).mean()
    )
    assert ratio > least


def test_no_bound_that_always_holds_is_violated_by_chosen_liars(make_spec):
    for changes in ({}, {"method": "lad"}, {"method": "cra_dl_corrected"}):
        for attack in ("negate_exclusive", "tailored"):
            more = {"aggregation": "trimmed_mean", "iterations": 15}
            spec = make_spec(**{"byzantine": CHOSEN, "attack": attack, **more, **changes})
            assigned = allocations.draw(spec.allocation_spec)
            measured = train(spec, assigned).arrays()
            assert expectations.when_expected(spec) == "never"
            for bound in bounds.bounds(spec, measured, assigned).values():
                assert bound.holds != "always" or (measured["aggregation_error"] <= bound.error * (1 + 1e-9)).all()


def test_negating_what_only_liars_hold_harms_more_than_flipping_signs_where_those_are_dropped(make_spec):
    """Flipped messages are five times as long as honest ones, so trimming by norm drops them all."""
    common = {"byzantine": CHOSEN, "aggregation": "norm_trimming", "redundancy": 4, "seeds": 5}
    negated, flipped = (run(make_spec(attack=attack, **common)) for attack in ("negate_exclusive", "sign_flip"))
    assert (negated.excess_loss[:, -10:].mean(axis=1) > 1.5 * flipped.excess_loss[:, -10:].mean(axis=1)).all()


def test_who_lies_does_not_depend_on_empty_slots(make_spec):
    """A batch widens shorter lists."""
    spec = make_spec(byzantine=CHOSEN, iterations=2)
    assigned = allocations.draw(spec.allocation_spec)
    wider = np.pad(assigned, [(0, 0), (0, 0), (0, 3)], constant_values=EMPTY)
    for part in (assigned, wider):
        batch = assemble([Part(spec, spec.seeds, part)], "cpu")
        liars = Liars(batch, torch.device("cpu"))
        devices = Devices(batch.problem.start(), batch.assigned, batch.weights, spec.seeds, 60, assignment="fixed")
        lying, _ = liars.at(0, devices.codes(0))
        if part is assigned:
            expected = lying
    assert torch.equal(lying, expected)
