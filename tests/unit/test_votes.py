"""Votes on copies of files: DETOX, ByzShield, Aspis and s + 1 copies, on constructed cases and against plain loops."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from unit.tables import sizes_of

from byzcode.aggregation import RULES
from byzcode.allocation import ALLOCATIONS
from byzcode.coding import VOTES
from byzcode.coding.agreement import agreements, most_frequent
from byzcode.coding.clique_search import only_maximum_clique
from byzcode.coding.harm import most_harmful
from byzcode.coding.vote import holders_of, majority_of
from byzcode.errors import UserError
from byzcode.problems import PROBLEMS
from byzcode.randomness import Orders
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.batch import Part, assemble, shape_of
from byzcode.training.devices import Devices
from byzcode.training.liars import Liars
from byzcode.training.workers import train

RUNS, DIMENSION = 3, 4
DETOX = {"method": "detox", "devices": 15, "redundancy": 4, "problem": {"subsets": 12, "dimension": 5}}
NET = {"devices": 15, "redundancy": 5, "problem": {"subsets": 25, "dimension": 5}}


def spec(**values):
    problem = {"name": "linear_regression", **values.pop("problem", {})}
    return RunSpec.parse({"iterations": 8, "record": {"step": 1}, "seeds": 2, "problem": problem, **values}, "test")


def copies_of(files, copies, seed=0):
    """Equal copies of random vectors, (RUNS, F, c, D)."""
    vectors = np.random.default_rng(seed).normal(size=(RUNS, files, 1, DIMENSION))
    return np.repeat(vectors, copies, axis=2)


def decided(name, holders, devices, f, copies, honest):
    voted = VOTES[name].prepare(np.asarray(holders), devices, f)(torch.from_numpy(copies), torch.from_numpy(honest))
    return voted.vectors.numpy(), None if voted.known is None else voted.known.tolist()


# --- every vote ------------------------------------------------------------------------------------------------------

LIES = {
    "equal": lambda true, dice: -2 * true,
    "different": lambda true, dice: 100 * dice.normal(size=true.shape),
    "near": lambda true, dice: true + 1e-3 * dice.normal(size=true.shape),
    "huge": lambda true, dice: np.full_like(true, 1e300),
    "infinite": lambda true, dice: np.full_like(true, np.inf),
    "not a number": lambda true, dice: np.full_like(true, np.nan),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", VOTES)
def test_a_minority_of_lies_on_each_file_does_no_harm(name, lie):
    for copies, files in ((1, 3), (3, 4), (4, 2), (5, 3)):
        honest, dice = copies_of(files, copies), np.random.default_rng(copies)
        holders, lying = np.arange(files * copies).reshape(files, copies), (copies - 1) // 2
        sent = honest.copy()
        for run, file in itertools.product(range(RUNS), range(files)):
            liars = dice.permutation(copies)[:lying]
            sent[run, file, liars] = LIES[lie](sent[run, file, liars], dice)
        got, _ = decided(name, holders, files * copies, files * lying, sent, honest)
        np.testing.assert_allclose(got, honest[:, :, 0], rtol=1e-9)
        for run in range(RUNS):  # to the bit, alone and beside others
            alone, _ = decided(name, holders, files * copies, files * lying, sent[run : run + 1], honest[run : run + 1])
            np.testing.assert_array_equal(alone[0], got[run])


@pytest.mark.parametrize("name", VOTES)
def test_what_is_lost_is_a_number_of_files_and_grows_with_the_liars(name):
    lost = [VOTES[name].files_lost(20, 1, 5, f) for f in range(101)]
    assert lost[0] == 0
    assert lost == sorted(lost)
    assert lost[-1] == 20


# --- majority --------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(-2, 2), min_size=2, max_size=2), min_size=1, max_size=7))
def test_the_vote_is_the_most_frequent_vector(votes):
    both = [torch.tensor([each], dtype=torch.float64) for each in (votes, votes[::-1])]
    counts = Counter(map(tuple, votes)).most_common()
    got, turned = (most_frequent(each, agreements(each))[0][0].tolist() for each in both)
    most = [vector for vector, count in counts if count == counts[0][1]]
    winners = sorted(most * counts[0][1])
    lower = [sorted(vector[place] for vector in winners)[(len(winners) - 1) // 2] for place in range(2)]
    assert got == (list(most[0]) if len(most) == 1 else lower)
    assert turned == got


def test_where_more_than_half_agree_the_vote_is_that_of_boyer_and_moore():
    dice = np.random.default_rng(0)
    for _ in range(50):
        votes = dice.permutation([*[0.0] * 3, *dice.integers(1, 3, size=2).tolist()])
        leader, count = 0.0, 0
        for vote in votes:
            if not count:
                leader = vote
            count += 1 if vote == leader else -1
        copies = torch.from_numpy(votes[:, None] + np.ones(3))
        assert (most_frequent(copies, agreements(copies))[0] == leader + 1).all()


def test_a_majority_of_liars_that_agree_wins_its_group():
    honest = copies_of(2, 3)
    sent = honest.copy()
    sent[0, 0, :2] = 7.0
    got, known = decided("majority", [[0, 1, 2], [3, 4, 5]], 6, 2, sent, honest)
    assert (got[0, 0] == 7).all()
    np.testing.assert_array_equal(got[1:], honest[1:, :, 0])
    assert known is None


def test_files_lost():
    lost = VOTES["majority"].files_lost
    assert lost(20, 1, 5, 20) == 6  # groups of five of a hundred devices: three liars each
    assert lost(25, 5, 3, 2) == 5  # of ByzShield's 25 files with three copies; two liars share one at most
    assert VOTES["recomputation"].files_lost(20, 1, 5, 20) == 4


# --- cliques ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(0, 2**32 - 1), st.floats(0.2, 0.95))
def test_the_search_finds_what_all_subsets_show(devices, seed, density):
    dice = np.random.default_rng(seed)
    joined = np.triu(dice.random((devices, devices)) < density, 1)
    joined |= joined.T
    among = dice.random(devices) < 0.9
    cliques = [
        set(chosen)
        for size in range(devices + 1)
        for chosen in itertools.combinations(np.flatnonzero(among), size)
        if all(joined[one, other] for one, other in itertools.combinations(chosen, 2))
    ]
    largest = [clique for clique in cliques if len(clique) == max(map(len, cliques))]
    got = only_maximum_clique(joined, among)
    if len(largest) > 1:
        assert got is None
    else:
        assert got is not None
        assert set(np.flatnonzero(got)) == largest[0]


def test_a_search_that_takes_too_long_finds_nothing():
    joined = np.kron(~np.eye(14, dtype=bool), np.ones((3, 3), dtype=bool))  # 3^14 cliques of 14 vertices
    assert only_maximum_clique(joined, np.ones(len(joined), dtype=bool)) is None


#: Aspis' assignment: each three of six devices have a file.
TRIPLES = list(itertools.combinations(range(6), 3))


def of_triples(lies):
    """Copies of files on triples, where ``lies`` are pairs of a device and a file on which it lies."""
    honest = copies_of(len(TRIPLES), 3)
    sent = honest.copy()
    for device, file in lies:
        sent[0, TRIPLES.index(file), file.index(device)] = 9.0
    vectors, known = decided("cliques", TRIPLES, 6, 2, sent, honest)
    np.testing.assert_array_equal(vectors[1:], honest[1:, :, 0])
    return vectors[0], honest[0, :, 0], known


def test_liars_who_lie_to_all_are_found_and_their_copies_do_not_count():
    got, true, known = of_triples([(device, file) for file in TRIPLES for device in (0, 1) if device in file])
    np.testing.assert_array_equal(got, true)  # though two of three copies of four files are lies
    assert known == [True, False, False]  # in the other runs nobody lies, so fewer than f are found


def test_liars_who_lie_to_one_device_pass_for_honest():
    got, true, known = of_triples([(0, (0, 1, 5)), (1, (0, 1, 5))])
    assert (got[TRIPLES.index((0, 1, 5))] == 9).all()  # the clique 0 to 4 is larger than that of 2 to 5
    assert (got == true).all(axis=1).sum() == len(TRIPLES) - 1
    assert known == [False] * 3


def test_liars_who_lie_to_no_more_devices_than_may_lie_are_found_by_the_search():
    """Devices 0 and 1 of seven lie to 2, 3 and 4, and three may lie; the honest 2 to 6 are the largest clique."""
    files = list(itertools.combinations(range(7), 3))
    honest = copies_of(len(files), 3)
    sent = honest.copy()
    for other in (2, 3, 4):
        sent[:, files.index((0, 1, other)), :2] = 9.0  # two of three copies
    got, known = decided("cliques", files, 7, 3, sent, honest)
    np.testing.assert_array_equal(got, honest[:, :, 0])
    assert known == [False] * RUNS  # two are found, and not three


def test_with_two_largest_cliques_the_majority_decides():
    got, true, known = of_triples([(device, (0, 1, other)) for device in (0, 1) for other in (4, 5)])
    lost = [TRIPLES.index((0, 1, other)) for other in (4, 5)]
    assert (got[lost] == 9).all()
    assert (got == true).all(axis=1).sum() == len(TRIPLES) - 2
    assert known == [False] * 3


def test_a_file_that_only_liars_hold_is_left_out():
    holders = ALLOCATIONS["block_design"](13, 13, 4, np.random.default_rng(0))
    rows = holders_of(holders.ravel().astype(np.int64))
    honest = copies_of(13, 4)
    liars = rows[5] // 4  # all devices of a file
    sent = np.where(np.isin(rows // 4, liars)[None, ..., None], -honest, honest)
    got, known = decided("cliques", rows // 4, 13, 4, sent, honest)
    others = np.arange(13) != 5
    np.testing.assert_array_equal(got[:, others], honest[:, others, 0])
    np.testing.assert_allclose(got[:, 5], honest[:, others, 0].mean(axis=1), rtol=1e-12)
    assert known == [True] * RUNS


def test_the_quick_removal_finds_what_a_search_of_all_cliques_finds():
    """Liars who lie on some files at random: the vectors are those of the public code's procedure, by brute force."""
    for seed in range(30):
        dice = np.random.default_rng(seed)
        honest, liars = copies_of(len(TRIPLES), 3, seed), dice.permutation(6)[:2]
        sent = honest.copy()
        apart = np.zeros((RUNS, 6, 6), dtype=bool)
        for run, (number, file) in itertools.product(range(RUNS), enumerate(TRIPLES)):
            if dice.random() < 0.4:
                sent[run, number, np.isin(file, liars)] = 9.0
            for one, other in itertools.permutations(range(3), 2):
                apart[run, file[one], file[other]] |= (sent[run, number, one] != sent[run, number, other]).any()
        got, _ = decided("cliques", TRIPLES, 6, 2, sent, honest)
        for run in range(RUNS):
            clique = only_maximum_clique(~apart[run], np.ones(6, dtype=bool))
            trusted = np.ones(6, dtype=bool) if clique is None else clique
            for number, file in enumerate(TRIPLES):
                shown = [tuple(sent[run, number, place]) for place in range(3) if trusted[file[place]]]
                if shown:
                    assert tuple(got[run, number]) == Counter(shown).most_common(1)[0][0]


# --- s + 1 copies ----------------------------------------------------------------------------------------------------


def test_one_honest_copy_is_enough_if_the_server_computes():
    honest, dice = copies_of(4, 3), np.random.default_rng(0)
    for lie in LIES.values():
        sent = honest.copy()
        sent[:, :, 1:] = lie(sent[:, :, 1:], dice)
        got, _ = decided("recomputation", np.arange(12).reshape(4, 3), 12, 8, sent, honest)
        np.testing.assert_array_equal(got, honest[:, :, 0])


def test_without_an_honest_copy_equal_lies_pass_and_others_are_left_out():
    honest = copies_of(3, 2)
    sent = honest.copy()
    sent[:, 0], sent[:, 1, 0], sent[:, 1, 1] = 5.0, 6.0, 7.0
    got, _ = decided("recomputation", [[0, 1], [2, 3], [4, 5]], 6, 4, sent, honest)
    assert (got[:, 0] == 5).all()
    np.testing.assert_allclose(got[:, 1], (got[:, 0] + got[:, 2]) / 2)
    np.testing.assert_array_equal(got[:, 2], honest[:, 2, 0])


# --- allocations -----------------------------------------------------------------------------------------------------


def held(name, *size):
    return ALLOCATIONS[name](*size, np.random.default_rng(0))


@pytest.mark.parametrize("name", [name for name, scheme in ALLOCATIONS.items() if scheme.file])
def test_files_are_whole_on_equally_many_devices(name):
    tried = [size for size in sizes_of(name) if size[0] * size[2] % size[1] == 0]
    assert tried
    for devices, subsets, redundancy in tried:
        assigned, size = held(name, devices, subsets, redundancy), ALLOCATIONS[name].file(devices, subsets, redundancy)
        files = assigned[:, ::size] // size
        np.testing.assert_array_equal(assigned, (files[..., None] * size + np.arange(size)).reshape(devices, -1))
        assert holders_of(files.ravel().astype(np.int64)).shape == (subsets // size, devices * redundancy // subsets)


@pytest.mark.parametrize(("copies", "order", "size"), [(3, 5, 1), (2, 3, 4), (3, 4, 1), (4, 25, 1), (9, 11, 11)])
def test_latin_squares_place_each_file_on_one_device_per_square(copies, order, size):
    devices, subsets, redundancy = copies * order, order**2 * size, order * size
    assigned = held("mols", devices, subsets, redundancy)
    assert ALLOCATIONS["mols"].file(devices, subsets, redundancy) == size
    files = assigned[:, ::size] // size
    np.testing.assert_array_equal(assigned, (files[..., None] * size + np.arange(size)).reshape(devices, -1))
    holders = holders_of(files.ravel().astype(np.int64)) // order // order  # the square of each holder
    np.testing.assert_array_equal(np.sort(holders, axis=1), np.broadcast_to(np.arange(copies), (order**2, copies)))
    for one, other in itertools.combinations(range(devices), 2):
        shared = len(set(files[one]) & set(files[other]))
        assert shared == (one // order != other // order)


def test_latin_squares_of_a_prime_are_those_of_the_formula():
    assigned = held("mols", 21, 49, 7)
    for device in range(21):
        square, symbol = device // 7 + 1, device % 7
        cells = [i * 7 + j for i in range(7) for j in range(7) if (square * i + j) % 7 == symbol]
        assert assigned[device].tolist() == cells


@pytest.mark.parametrize(
    ("prime", "blocks", "size"), [(5, 3, 1), (7, 4, 2), (11, 9, 11), (5, 5, 1), (5, 10, 1), (3, 9, 1)]
)
def test_ramanujan_graphs_are_arrays_of_shifts(prime, blocks, size):
    shift = np.roll(np.eye(prime, dtype=int), -1, axis=1)  # row u has its entry in column u - 1
    array = np.block(
        [[np.linalg.matrix_power(shift, row * column) for column in range(blocks)] for row in range(prime)]
    )
    holds = array if blocks >= prime else array.T
    devices, files = holds.shape
    assigned = held("ramanujan", devices, files * size, int(holds[0].sum()) * size)
    np.testing.assert_array_equal(assigned[:, ::size] // size, [np.flatnonzero(row) for row in holds])
    values = np.linalg.svd(array)[1]
    assert values[1] == pytest.approx(np.sqrt(max(prime, blocks) if blocks >= prime else prime))


# --- liars who know who holds what ------------------------------------------------------------------------------------

#: The most files that so many liars win, from ByzShield's public code, by allocation and size.
MOST_LOST = {
    ("mols", 15, 25, 5): {0: 0, 1: 0, 2: 1, 3: 3, 4: 5, 5: 8, 6: 12, 7: 14, 8: 17},
    ("mols", 35, 49, 7): {3: 1, 4: 1, 5: 2, 6: 4, 7: 5, 8: 8, 9: 10, 10: 11, 11: 14, 12: 16, 13: 20},
    ("ramanujan", 25, 25, 5): {3: 1, 4: 1, 5: 2, 6: 4, 7: 5, 8: 7, 9: 9, 10: 12, 11: 14, 12: 17},
}


def won(holders, liars):
    return int((np.isin(holders, liars).sum(axis=1) >= holders.shape[1] // 2 + 1).sum())


@pytest.mark.parametrize("size", MOST_LOST, ids=str)
def test_chosen_liars_win_nearly_as_many_files_as_the_best_can(size):
    _, devices, subsets, redundancy = size
    holders = holders_of(held(*size).ravel().astype(np.int64)) // redundancy
    copies = holders.shape[1]
    for f, most in MOST_LOST[size].items():
        order, bound = most_harmful(holders, devices, f, majority_of(copies)), VOTES["majority"].files_lost
        assert sorted(order) == list(range(devices))
        assert most - 2 <= won(holders, order[:f]) <= most <= bound(subsets, redundancy, copies, f)
        if devices == 15 and f < 5:  # and these numbers are right
            sets = itertools.combinations(range(devices), f)
            assert won(holders, order[:f]) == max(won(holders, liars) for liars in sets)


def test_chosen_liars_fill_groups():
    holders = np.arange(85).reshape(17, 5)
    assert [won(holders, most_harmful(holders, 85, f, 3)[:f]) for f in (2, 3, 9, 17, 26, 85)] == [0, 1, 3, 5, 8, 17]
    for f in (4, 9, 17):  # where every copy must be a lie
        assert np.isin(holders, most_harmful(holders, 85, f, 5)[:f]).all(axis=1).sum() == f // 5


def test_chosen_liars_are_the_same_in_every_iteration_and_seed():
    each = spec(**DETOX, attack="sign_flip", byzantine={"alpha": 0.2, "identities": "chosen"}, aggregation="mean")
    batch = assemble([Part(each, each.seeds, allocations.draw(each.allocation_spec))], "cpu")
    devices = Devices(
        batch.problem.start(), batch.assigned, batch.weights, batch.seeds, each.subsets, assignment="fixed"
    )
    lying, honest = Liars(batch, torch.device("cpu")).at(5, devices.codes(5))
    assert lying.tolist() == [[0, 1, 2]] * 2  # most of the first of three groups
    assert sorted(honest[0].tolist()) == list(range(3, 15))


def test_a_server_that_votes_waits_for_all_devices():
    with pytest.raises(UserError, match=r"absence = .*leave it out: the server of method detox votes on the copies"):
        spec(**DETOX, absence={"name": "slowest", "share": 0.1})


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_device_pays_for_each_vector_that_it_sends():
    groups = spec(**DETOX)
    files = spec(method="byzshield", **NET)
    assert (groups.vectors, groups.rows, groups.compared, groups.copies) == (1, 15, 3, 5)
    assert (files.vectors, files.rows, files.compared, files.copies) == (5, 75, 25, 3)
    for each in (groups, files):
        measured = train(each, allocations.draw(each.allocation_spec))
        assert measured.bits_sent[0, -1] == each.rows * 5 * 32 * each.iterations


@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "mean"])
@pytest.mark.parametrize("method", ["detox", "byzshield"])
def test_an_iteration_is_that_of_a_plain_loop(method, rule):
    """The aggregate at theta = 0, from the errors that are recorded: gradients by hand, votes by counting."""
    sizes = (
        DETOX if method == "detox" else {"devices": 15, "redundancy": 10, "problem": {"subsets": 50, "dimension": 5}}
    )
    each = spec(**{**sizes, "method": method}, attack="sign_flip", byzantine={"alpha": 0.2}, aggregation=rule, seeds=4)
    assigned = allocations.draw(each.allocation_spec)
    measured = train(each, assigned)
    problem = PROBLEMS["linear_regression"](each.seeds, "cpu", "float64", **each.problem.options)
    theta = problem.start()
    liars = Orders(each.seeds, each.devices, "byzantine", redrawn=True, first=each.f).parts(0)[0]
    for seed in range(4):
        slopes = problem.features[seed].numpy() * -problem.labels[seed].numpy()[:, None]  # theta = 0
        holders = {}
        for device, subsets in enumerate(assigned[seed]):
            for subset in subsets:
                holders.setdefault(int(subset), []).append(device)
        files = {}
        for subset, on in holders.items():
            files.setdefault((tuple(on), subset // 2 if method == "byzshield" else 0), []).append(subset)
        votes = []
        for (on, _), subsets in files.items():
            true = slopes[subsets].mean(axis=0)
            lying = len(set(on) & set(liars[seed].tolist()))
            votes.append(-5 * true if lying > len(on) / 2 else true)
        want = RULES[rule](torch.from_numpy(np.array(votes)), each.lost)
        error = np.linalg.norm(want.numpy() - slopes.mean(axis=0))
        assert measured.aggregation_error[seed, 0] == pytest.approx(error, rel=1e-9, abs=1e-12)
    assert theta.abs().sum() == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"method": "byzshield", "allocation": "random"}, ["allocation", "repetition", "mols"]),
        ({"method": "aspis", "allocation": "mols", **NET}, ["allocation", "block_design"]),
        ({"method": "detox", "allocation": "random"}, ["allocation", "fixes"]),
        ({"method": "detox", "devices": 16}, ["redundancy", "N r / M"]),
        ({"method": "detox", "compression": "random_k"}, ["compression", "fixes"]),
        ({"method": "detox", "estimation": "near_scores"}, ["estimation"]),
    ],
)
def test_what_does_not_fit_is_refused(values, words):
    with pytest.raises(UserError) as caught:
        spec(**{**DETOX, **values})
    assert all(word in str(caught.value) for word in words)


def test_a_rule_is_told_of_the_votes_that_may_be_lost_and_of_no_more_lies_than_it_tolerates():
    told = [spec(**DETOX, byzantine={"alpha": f / 15}, aggregation="trimmed_mean").lost for f in range(8)]
    assert told == [0, 0, 0, 1, 1, 1, 1, 1]  # three of five devices win a group; of three groups one may be trimmed
    assert spec(**DETOX, byzantine={"alpha": 0.45}, aggregation="trimmed_mean").undefined is None
    assert spec(**DETOX, byzantine={"alpha": 0.45}, aggregation="mean").lost == 2


def test_runs_that_hold_copies_differently_are_not_one_batch():
    assert shape_of(spec(method="byzshield", **NET)) != shape_of(
        spec(method="byzshield", allocation="ramanujan", **NET)
    )
