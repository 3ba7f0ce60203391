"""Every attack of the table: what it may not touch, what it may not know, and what its formula says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from unit.tables import cases

from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS, Threat
from byzcode.attacks.alie import mean_and_std, paper_factor
from byzcode.errors import UserError
from byzcode.randomness import Draws, Orders, Stream

SEEDS = (5, 6, 7)
DEVICES, LIARS, DIMENSION = 12, 4, 5


def messages_of(seeds=SEEDS, dimension=DIMENSION):
    rows = [np.random.default_rng(seed).normal(size=(DEVICES, dimension)) for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def threat_of(seeds=SEEDS, f=LIARS, iteration=0, rule="median", dimension=DIMENSION):
    """All that a threat can hold, so that attacks added tomorrow find what they need."""
    order = Orders(seeds, DEVICES, "byzantine", redrawn=True).at(iteration)
    shape = (DEVICES, dimension)
    poisoned, alone = ([np.random.default_rng(k + seed).normal(size=shape) for seed in seeds] for k in (1000, 2000))
    return Threat(
        liars=order[:, :f],
        honest=order[:, f:],
        aggregate=lambda messages: RULES[rule](messages, f),
        relabelled=lambda: torch.from_numpy(np.stack(poisoned)),
        exclusive=lambda: torch.from_numpy(np.stack(alone)),
        iteration=iteration,
    )


def draws_of(messages, seeds=SEEDS, iteration=0):
    return Draws([Stream(seed, "attack") for seed in seeds], iteration, like=messages)


def run(name, iteration=0, seeds=SEEDS, f=LIARS, dimension=DIMENSION, rule="median", **options):
    messages, threat = messages_of(seeds, dimension), threat_of(seeds, f, iteration, rule, dimension)
    return messages, threat, ATTACKS[name](messages, threat, draws_of(messages, seeds, iteration), **options)


def same(got, expected):
    """Equal to the last bit; NaN is NaN."""
    return np.array_equal(got.numpy(), expected.numpy(), equal_nan=True)


CASES = cases(ATTACKS)
every = pytest.mark.parametrize(("name", "options"), CASES.values(), ids=CASES)


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


@every
def test_honest_rows_and_the_input_are_left_alone(name, options):
    messages = messages_of()
    before, threat = messages.clone(), threat_of()
    got = ATTACKS[name](messages, threat, draws_of(messages), **options)
    assert got.shape == messages.shape
    assert got.dtype == messages.dtype
    assert torch.equal(messages, before)
    assert torch.equal(got[~threat.mask], before[~threat.mask])


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "none"])
def test_liars_lie(name):
    messages, threat, got = run(name)
    true = torch.isclose(got[threat.mask], messages[threat.mask]).all(dim=-1)
    assert not true.all()


def rows(messages, threat, got):
    """Per run, in numpy: the liars' own messages, those of the honest, and what the liars send."""
    for run_ in range(len(messages)):
        liars, honest = threat.liars[run_].numpy(), threat.honest[run_].numpy()
        yield messages[run_].numpy()[liars], messages[run_].numpy()[honest], got[run_].numpy()[liars]


def assert_all(lies, expected):
    np.testing.assert_allclose(lies, np.stack(expected), rtol=1e-12, atol=1e-12)


def test_none_changes_nothing():
    messages, _, got = run("none")
    assert torch.equal(got, messages)


@every
def test_no_liars_no_lies(name, options):
    messages, _, got = run(name, f=0, **options)
    assert torch.equal(got, messages)


@every
def test_the_same_draws_give_the_same_lies(name, options):
    assert same(run(name, **options)[2], run(name, **options)[2])


@pytest.mark.parametrize("dimension", [1, 5, 67])
@every
def test_a_seed_is_attacked_the_same_alone_and_beside_others(name, options, dimension):
    together = run(name, iteration=9, dimension=dimension, **options)[2]
    for place, seed in enumerate(SEEDS):
        alone = run(name, iteration=9, seeds=(seed,), dimension=dimension, **options)[2]
        assert same(alone[0], together[place])


@every
def test_single_precision_stays_single(name, options):
    messages, threat = messages_of().float(), threat_of()
    threat = replace(threat, relabelled=lambda: messages.neg(), exclusive=lambda: messages / 2)
    assert ATTACKS[name](messages, threat, draws_of(messages), **options).dtype == torch.float32


@every
def test_one_honest_device_is_enough(name, options):
    """What is finite among several honest devices is finite with one of them."""
    usual, got = run(name, rule="mean", **options)[2], run(name, f=DEVICES - 1, rule="mean", **options)[2]
    assert got.isfinite().all() or not usual.isfinite().all()


# --- what liars know -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTACKS)
def test_a_lie_depends_on_what_its_liar_knows_and_on_nothing_else(name):
    with_options = [options for other, options in CASES.values() if other == name]
    assert set().union(*(dependence(name, options) for options in with_options)) == ATTACKS[name].knows


@pytest.mark.parametrize(
    ("name", "options", "knows"),
    [
        ("sign_flip", {"of": "own"}, {"own"}),
        ("sign_flip", {"of": "honest_mean"}, {"honest"}),
        ("sign_flip", {"of": "first_honest"}, {"honest"}),
        ("gaussian", {}, set()),
        ("gaussian", {"shared": True}, set()),
        ("alie", {"factor": 1.5}, {"honest"}),
    ],
)
def test_with_some_options_it_depends_on_less(name, options, knows):
    assert dependence(name, options) == knows


def dependence(name, options):
    """What changes the lie of the first liar."""
    messages, threat = messages_of(seeds=(5,)), threat_of(seeds=(5,), rule="trimmed_mean")
    liar, other = threat.liars[0, 0], threat.liars[0, 1]

    def changed(rows):
        moved = messages.clone()
        moved[:, rows] = 3 - 2 * moved[:, rows]
        return moved

    changes = {
        "own": (changed(liar), threat),
        "others": (changed(other), threat),
        "honest": (changed(threat.honest[0]), threat),
        "rule": (messages, threat_of(seeds=(5,), rule="mean")),
        "labels": (messages, replace(threat, relabelled=lambda: 3 - threat.relabelled())),
        "allocation": (messages, replace(threat, exclusive=lambda: 3 - threat.exclusive())),
        "time": (messages, replace(threat, iteration=1)),
    }

    def lie(messages, threat):
        return ATTACKS[name](messages, threat, draws_of(messages, seeds=(5,)), **options)[0, liar]

    before = lie(messages, threat)
    return {change_name for change_name, change in changes.items() if not same(lie(*change), before)}


# --- formulas --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coefficient", [-1.0, -2.0, -5.0])
def test_sign_flip_multiplies_the_liars_own_message(coefficient):
    messages, threat, got = run("sign_flip", coefficient=coefficient)
    assert torch.equal(got[threat.mask], coefficient * messages[threat.mask])


def test_sign_flip_flips_by_five_unless_told_otherwise():
    messages, threat, got = run("sign_flip")
    assert torch.equal(got[threat.mask], -5.0 * messages[threat.mask])


@pytest.mark.parametrize("coefficient", [-1.0, -5.0])
def test_sign_flip_multiplies_the_honest_mean_if_told(coefficient):
    for mine, honest, lies in rows(*run("sign_flip", of="honest_mean", coefficient=coefficient)):
        assert_all(lies, [coefficient * honest.sum(axis=0) / len(honest)] * len(mine))


def first_honest(messages, threat, seed):
    """The message of the honest device of the lowest number."""
    return messages[seed, int((~threat.mask[seed]).nonzero()[0])]


def test_sign_flip_multiplies_the_first_honest_message_if_told():
    for iteration in range(4):
        messages, threat, got = run("sign_flip", iteration=iteration, of="first_honest", coefficient=-3.0)
        for seed in range(len(SEEDS)):
            assert (got[seed][threat.mask[seed]] == -3.0 * first_honest(messages, threat, seed)).all()


@pytest.mark.parametrize("shared", [False, True])
def test_gaussian_lies_may_lie_around_the_honest_mean(shared):
    """They are those around zero, moved by that mean."""
    moved = rows(*run("gaussian", scale=3.0, around="honest_mean", shared=shared))
    usual = rows(*run("gaussian", scale=3.0, shared=shared))
    for (_, honest, lies), (_, _, around_zero) in zip(moved, usual, strict=True):
        assert_all(lies, around_zero + honest.sum(axis=0) / len(honest))


def test_gaussian_liars_may_share_one_draw():
    _, threat, got = run("gaussian", dimension=4000, scale=3.0, shared=True)
    lies = threat.of_liars(got)
    assert (lies == lies[:, :1]).all()
    drawn = lies[:, 0].numpy()
    assert len(np.unique(drawn)) == drawn.size  # every seed and entry has its own draw
    assert abs(drawn.std() / 3 - 1) < 5 / np.sqrt(2 * drawn.size)


def test_sample_duplicating_may_copy_the_honest_mean():
    """The mean of all received messages is then that of the honest ones."""
    messages, threat, got = run("sample_duplicating", copied="honest_mean")
    for mine, honest, lies in rows(messages, threat, got):
        assert_all(lies, [honest.sum(axis=0) / len(honest)] * len(mine))
    torch.testing.assert_close(got.mean(dim=1), threat.of_honest(messages).mean(dim=1), rtol=1e-12, atol=1e-12)


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


def test_sample_duplicating_may_copy_the_first_honest_device():
    """That of lowest number, whoever lies; the stream of the attack is left alone."""
    for iteration in range(4):
        messages, threat, got = run("sample_duplicating", iteration=iteration, copied="first")
        for seed in range(len(SEEDS)):
            first = int((~threat.mask[seed]).nonzero()[0])
            assert (got[seed][threat.mask[seed]] == messages[seed, first]).all()
            assert (got[seed][~threat.mask[seed]] == messages[seed][~threat.mask[seed]]).all()


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


@pytest.mark.parametrize("factor", [1.5, 0.0, -2.0])
def test_alie_stays_some_deviations_below_the_honest_mean(factor):
    for mine, honest, lies in rows(*run("alie", factor=factor)):
        mean = honest.sum(axis=0) / len(honest)
        std = np.sqrt(((honest - mean) ** 2).sum(axis=0) / (len(honest) - 1))
        assert_all(lies, [mean - factor * std] * len(mine))


@pytest.mark.parametrize(("devices", "f"), [(100, 20), (100, 40), (100, 1), (50, 24), (11, 3), (12, 5), (10, 1)])
def test_alie_takes_the_paper_factor_unless_told_otherwise(devices, f):
    supporters = devices // 2 + 1 - f
    assert paper_factor(devices, f) == pytest.approx(norm.ppf((devices - f - supporters) / (devices - f)), rel=1e-9)


def test_alie_uses_that_factor():
    factor = norm.ppf((12 - 4 - 3) / (12 - 4))
    torch.testing.assert_close(run("alie")[2], run("alie", factor=factor)[2], rtol=1e-12, atol=1e-12)
    assert factor > 0


def test_liars_in_the_majority_need_no_supporters():
    assert paper_factor(10, 6) == paper_factor(10, 9) == pytest.approx(6, abs=0.01)


def test_the_deviation_of_a_single_message_is_zero():
    mean, std = mean_and_std(torch.tensor([[[1.0, -2.0]]]))
    assert mean.tolist() == [[[1.0, -2.0]]]
    assert std.tolist() == [[[0.0, 0.0]]]


def test_ipm_sends_the_negative_honest_mean():
    for factor, options in ((2.0, {}), (0.5, {"factor": 0.5})):
        for mine, honest, lies in rows(*run("ipm", **options)):
            assert_all(lies, [-factor * honest.sum(axis=0) / len(honest)] * len(mine))


@pytest.mark.parametrize("victim", [0, 7, 11])
def test_mimic_copies_its_victim(victim):
    messages, threat, got = run("mimic", victim=victim)
    for run_ in range(len(SEEDS)):
        for liar in threat.liars[run_]:
            assert torch.equal(got[run_, liar], messages[run_, victim])


def test_mimic_copies_the_honest_device_that_stands_out_along_the_principal_direction():
    seeds = tuple(range(40))
    messages, threat, got = run("mimic", seeds=seeds)
    victims = set()
    for _, honest, lies in rows(messages, threat, got):
        centred = honest - honest.mean(axis=0)
        direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
        victim = np.abs(centred @ direction).argmax()
        assert (lies == honest[victim]).all()
        victims.add(victim)
    assert len(victims) > 4


def test_mimic_takes_a_victim_where_all_honest_messages_are_equal():
    messages, threat = torch.ones((1, DEVICES, DIMENSION), dtype=torch.float64), threat_of((5,))
    assert torch.equal(ATTACKS["mimic"](messages, threat, draws_of(messages, (5,))), messages)


def test_mimic_names_a_victim_that_is_not_there():
    with pytest.raises(UserError, match=r"victim = 12: allowed: 0 to 11"):
        run("mimic", victim=DEVICES)


def test_label_flip_sends_what_poisoned_data_gives():
    _, threat, got = run("label_flip")
    assert torch.equal(got[threat.mask], threat.relabelled()[threat.mask])


@pytest.mark.parametrize(
    ("name", "options", "value"),
    [("constant", {}, -100.0), ("constant", {"value": 3.5}, 3.5), ("infinite", {}, np.inf), ("nan", {}, np.nan)],
)
def test_these_send_one_value_in_every_entry(name, options, value):
    _, threat, got = run(name, **options)
    lies = threat.of_liars(got)
    assert same(lies, torch.full_like(lies, value))


# --- attacks that search ---------------------------------------------------------------------------------------------

SEARCHES = {"alie_search": "alie", "ipm_search": "ipm"}


def line(name, honest):
    """Where lies start and where they go, for the honest messages (H, D) of one run."""
    mean = honest.mean(axis=0)
    return (mean, -honest.std(axis=0, ddof=1)) if name == "alie_search" else (0 * mean, -mean)


def searched_by_hand(harm, evaluations):
    """byzfl's scheme, for one run."""
    best, step = 0.0, 10.0
    most, remaining = harm(best), evaluations - 1
    while remaining:
        harmed, remaining = harm(best + step), remaining - 1
        if harmed <= most:
            step *= 0.8
            break
        best, most, step = best + step, harmed, 2 * step
    while remaining:
        harmed, remaining = harm(best + step), remaining - 1
        if harmed > most:
            best, most = best + step, harmed
        step *= 0.8
    return best


@pytest.mark.parametrize("evaluations", [1, 2, 3, 20])
@pytest.mark.parametrize("rule", ["mean", "median", "trimmed_mean", "phocas"])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_goes_its_way_in_each_run(name, rule, evaluations):
    seeds = tuple(range(30))
    messages, threat = messages_of(seeds), threat_of(seeds, rule=rule)
    got = ATTACKS[name](messages, threat, draws_of(messages, seeds), evaluations=evaluations)
    factors = set()
    for mine, honest, lies in rows(messages, threat, got):
        start, way = line(name, honest)

        def harm(factor, mine=mine, honest=honest, start=start, way=way):
            received = np.concatenate([np.tile(start + factor * way, (len(mine), 1)), honest])
            aggregate = RULES[rule](torch.from_numpy(received), len(mine)).numpy()
            return np.linalg.norm(aggregate - honest.mean(axis=0))

        factor = searched_by_hand(harm, evaluations)
        np.testing.assert_allclose(lies, np.tile(start + factor * way, (len(mine), 1)), rtol=1e-9, atol=1e-12)
        factors.add(factor)
    if evaluations == 20 and rule == "phocas":
        assert len(factors) > 3  # runs go different ways: each has its own factor


def harm_of(received, messages, threat):
    return (threat.aggregate(received) - threat.of_honest(messages).mean(dim=-2)).norm(dim=-1)


@pytest.mark.parametrize("evaluations", [1, 7, 20])
@pytest.mark.parametrize("rule", ["mean", "median", "trimmed_mean", "phocas"])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_ends_at_the_most_harmful_lie_that_it_tried(name, rule, evaluations):
    seeds = tuple(range(50))
    messages, threat = messages_of(seeds), threat_of(seeds, rule=rule)
    tries = []

    def watched(received):
        tries.append(harm_of(received, messages, threat))
        return threat.aggregate(received)

    got = ATTACKS[name](
        messages, replace(threat, aggregate=watched), draws_of(messages, seeds), evaluations=evaluations
    )
    assert len(tries) == evaluations
    assert torch.equal(harm_of(got, messages, threat), torch.stack(tries).amax(dim=0))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_aims_away_from_the_honest_answer_where_messages_are_wider_than_answers(name):
    """As those of a complex code are. The sine makes runs go different ways."""
    seeds = tuple(range(50))
    messages, threat, tries = messages_of(seeds), threat_of(seeds), []

    def harm(received):
        return (decoded(received) - decoded(messages)).norm(dim=-1)

    def decoded(received):
        return received[..., :2].mean(dim=-2).sin()

    def watched(received):
        tries.append(harm(received))
        return decoded(received)

    got = ATTACKS[name](messages, replace(threat, aggregate=watched), draws_of(messages, seeds))
    assert torch.equal(harm(got), torch.stack(tries).amax(dim=0))


@pytest.mark.parametrize("rule", ["mean", "median", "trimmed_mean"])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_harms_more_than_the_factor_that_knows_no_rule(name, rule):
    """Measured, of 1200 cases: all, but for IPM against the median 1197.

    Not all: where the rule errs in a coordinate anyway, a lie on the other side makes that error smaller as it moves
    out, so the harm may be greatest at a factor below 10, which the first step strides over. Against Phocas, which
    drops far messages, the searches win 907 (ALIE) and 956 (IPM) only: not asked here.
    """
    wins = 0
    for devices, f, dimension in ((12, 4, 5), (12, 2, 5), (30, 6, 20), (11, 5, 3)):
        for shift in (0, 1, 5):
            random = np.random.default_rng(devices + shift)
            rows = random.normal(size=(100, devices, dimension)) + shift * random.normal(size=(100, 1, dimension))
            messages, devices_of = torch.from_numpy(rows), torch.arange(devices).expand(100, -1)
            threat = Threat(devices_of[:, :f], devices_of[:, f:], aggregate=lambda m, f=f: RULES[rule](m, f))
            searched, plain = (
                harm_of(ATTACKS[attack](messages, threat, draws=None), messages, threat)
                for attack in (name, SEARCHES[name])
            )
            wins += int((searched >= plain).sum())
    assert wins >= 1190
