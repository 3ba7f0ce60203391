"""DRACO's two codes and their decoders: exact up to s liars, whoever they are and whatever they send."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from byzcode.allocation import ALLOCATIONS
from byzcode.allocation.repetition import groups_of
from byzcode.coding import DECODERS, ENCODERS
from byzcode.coding.cyclic_code import cyclic_code
from byzcode.kernels.gather import coded_rows
from byzcode.training.devices import Devices, messages
from byzcode.training.iterate import Iterate

SMALL = [(3, 1), (5, 1), (5, 2), (6, 2), (7, 2), (7, 3), (9, 3), (11, 3)]  # N, s of cyclic codes
GROUPED = [(3, 1), (5, 1), (7, 1), (9, 3), (9, 2), (11, 2)]  # N devices in so many groups

#: What all liars of a run send instead of their messages m, (R, s, K), given the scale of the honest ones.
LIES = {
    "negated": lambda m, scale, rng: -2 * m,
    "zero": lambda m, scale, rng: 0 * m,
    "noise": lambda m, scale, rng: 200 * scale * rng.standard_normal(m.shape),
    "constant": lambda m, scale, rng: np.ones_like(m),
    "last entry": lambda m, scale, rng: m + scale * (np.arange(m.shape[-1]) == m.shape[-1] - 1),
    "parallel": lambda m, scale, rng: m + scale * rng.standard_normal((*m.shape[:-1], 1)) * np.ones(m.shape[-1]),
    "near": lambda m, scale, rng: m + 1e-3 * scale * rng.standard_normal(m.shape),
    "nearer": lambda m, scale, rng: m + 1e-8 * scale * rng.standard_normal(m.shape),
    "below rounding": lambda m, scale, rng: m * (1 + 1e-16),
    "of all sizes": lambda m, scale, rng: (
        m + 10 ** rng.uniform(-8, 5, (*m.shape[:-1], 1)) * scale * rng.standard_normal(m.shape)
    ),
    "huge": lambda m, scale, rng: 1e300 * rng.choice([-1, 1], m.shape),
    "tiny": lambda m, scale, rng: 1e-300 * rng.standard_normal(m.shape),
    "infinite": lambda m, scale, rng: math.inf * rng.choice([-1, 1], m.shape),
    "NaN": lambda m, scale, rng: np.full_like(m, math.nan),
    "NaN or infinite or huge or zero": lambda m, scale, rng: rng.choice([math.nan, math.inf, 1e300, 0.0], m.shape),
}


class Coded:
    """R runs of a code with gradients of M subsets, (R, M, D), and what honest devices send."""

    def __init__(self, code, devices, subsets, redundancy, runs=1, dimension=4, seed=0, gradients=None):
        self.rng = np.random.default_rng(seed)
        allocation, encoder = {"repetition": ("repetition", "uniform"), "draco_cyclic": ("cyclic", "draco_cyclic")}[
            code
        ]
        self.assigned = ALLOCATIONS[allocation](devices, subsets, redundancy, None)
        self.weights = ENCODERS[encoder](self.assigned, subsets)
        self.liars = DECODERS[code].most_liars(devices, subsets, redundancy)
        self.decode = DECODERS[code].prepare(devices, subsets, redundancy)
        if gradients is None:
            gradients = self.rng.standard_normal((runs, subsets, dimension))
        self.gradients, self.truth = gradients, gradients.mean(axis=1)
        self.messages = self.sent(gradients)
        self.scale = np.abs(self.messages).mean()

    def sent(self, gradients):
        combined = np.einsum("ns,rnsd->rnd", self.weights, gradients[:, self.assigned])
        return np.concatenate([combined.real, combined.imag], axis=-1) if np.iscomplexobj(combined) else combined

    def lied(self, liars, lie):
        """The messages with those of the liars, (R, f), replaced."""
        at = np.arange(len(liars))[:, None], liars
        messages = self.messages.copy()
        messages[at] = LIES[lie](messages[at], self.scale, self.rng)
        return messages

    def decoded(self, messages, dtype=torch.float64):
        with np.errstate(over="ignore"):
            gradient, failed = self.decode(torch.from_numpy(messages).to(dtype))
        assert gradient.dtype == dtype
        assert failed.dtype == torch.bool
        assert (gradient[failed] == 0).all()
        return gradient.numpy(), failed.numpy()

    def errors(self, gradient):
        """The largest of a run's coordinates, in parts of the largest entry of its honest messages."""
        return np.abs(gradient - self.truth).max(axis=-1) / np.abs(self.messages).max(axis=(1, 2))


def cyclic(devices, liars, size=1, **options):
    return Coded("draco_cyclic", devices, devices * size, (2 * liars + 1) * size, **options)


def grouped(devices, groups, size=2, **options):
    return Coded("repetition", devices, groups * size, size, **options)


def all_sets(devices, most):
    """Every set of up to ``most`` devices, by its size."""
    return [np.array(list(itertools.combinations(range(devices), f))) for f in range(1, most + 1)]


def on_the_circle(devices, liars):
    """The devices in the order of their nodes."""
    return np.argsort(cyclic_code(devices, liars).step * np.arange(devices) % devices)


# --- the cyclic code --------------------------------------------------------------------------------------------------


def dense(devices, liars):
    """W, from the weights of the encoder (M = N subsets)."""
    assigned = ALLOCATIONS["cyclic"](devices, devices, 2 * liars + 1, None)
    weights = np.zeros((devices, devices), dtype=complex)
    np.put_along_axis(weights, assigned.astype(int), devices * ENCODERS["draco_cyclic"](assigned, devices), axis=1)
    return weights


CODES = [*SMALL, (4, 1), (8, 3), (12, 4), (13, 6), (60, 20), (97, 3), (100, 5), (100, 20), (100, 49), (101, 50)]


@pytest.mark.parametrize(("devices", "liars"), CODES)
def test_the_columns_of_w_are_the_codewords_supported_on_their_windows(devices, liars):
    weights, code = dense(devices, liars), cyclic_code(devices, liars)
    assigned = np.array(
        [[(task - device) % devices <= 2 * liars for task in range(devices)] for device in range(devices)]
    )
    assert ((weights != 0) == assigned).all()
    assert np.abs(weights[assigned]).min() > 0.01 * np.abs(weights).max()
    assert np.abs(code.checks @ weights).max() < 1e-14 * np.abs(weights).max() * devices
    np.testing.assert_allclose(code.leading @ weights, 1, rtol=1e-13)
    np.testing.assert_allclose(code.checks @ code.checks.conj().T, np.eye(2 * liars), atol=1e-13)


@pytest.mark.parametrize(("devices", "liars"), SMALL)
def test_w_is_the_product_over_the_zeros(devices, liars):
    """The closed form against the definition: monic polynomials with their zeros off the window."""
    step = cyclic_code(devices, liars).step
    node = np.exp(2j * np.pi * step * np.arange(devices) / devices)
    for task in range(devices):
        off = [device for device in range(devices) if (task - device) % devices > 2 * liars]
        expected = np.prod(node[:, None] - node[off], axis=1)
        np.testing.assert_allclose(dense(devices, liars)[:, task], expected, atol=1e-13)


def test_no_digits_are_lost_to_the_weights():
    """The ideal weight is N / d; with neighbouring nodes, the order of the devices, the weights span 1e9 at s = 20."""
    worst = [
        np.abs(cyclic_code(devices, liars).modulus).max() * (2 * liars + 1) / devices
        for devices in range(3, 120)
        for liars in range(1, (devices - 1) // 2 + 1)
    ]
    assert max(worst) < 10
    assert np.median(worst) < 2
    code = cyclic_code(100, 20)
    assert np.abs(code.modulus).max() < 2 * np.abs(code.modulus).min()
    assert math.gcd(code.step, 100) == 1


@pytest.mark.parametrize(("devices", "liars"), [(5, 2), (7, 2), (9, 3), (11, 3), (11, 2)])
def test_amplifications_are_those_of_the_worst_set(devices, liars):
    """Over every set of doubtful devices: the least norm of a functional on the others that gives the leading term."""
    code = cyclic_code(devices, liars)
    powers = code.powers(np.arange(devices - 2 * liars))  # a codeword is a combination of these rows
    for expected, doubtful in ((code.unerased, liars), (code.erased, 2 * liars)):
        norms = []
        for others in itertools.combinations(range(devices), devices - doubtful):
            wanted = np.eye(devices - 2 * liars)[-1]
            norms.append(np.linalg.norm(np.linalg.lstsq(powers[:, others], wanted, rcond=None)[0]))
        assert max(norms) == pytest.approx(expected, rel=1e-9)


# --- up to s liars ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("devices", "liars"), CODES)
def test_the_cyclic_code_without_liars(devices, liars, size):
    coded = cyclic(devices, liars, size)
    assert coded.liars == liars
    gradient, failed = coded.decoded(coded.messages)
    assert not failed.any()
    assert coded.errors(gradient) < 1e-12


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("devices", "groups"), [*GROUPED, (4, 4), (100, 2), (100, 7), (100, 1)])
def test_the_repetition_code_without_liars(devices, groups, size):
    coded = grouped(devices, groups, size)
    gradient, failed = coded.decoded(coded.messages)
    assert not failed.any()
    np.testing.assert_allclose(gradient, coded.truth, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize(("devices", "liars"), SMALL)
def test_the_cyclic_code_bears_every_set_of_liars(devices, liars, lie):
    for sets in all_sets(devices, liars):
        coded = cyclic(devices, liars, runs=len(sets))
        gradient, failed = coded.decoded(coded.lied(sets, lie))
        assert not failed.any()
        assert coded.errors(gradient).max() < 5e-7


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize(("devices", "groups"), GROUPED)
def test_the_repetition_code_bears_every_set_of_liars(devices, groups, lie):
    for sets in all_sets(devices, (devices // groups - 1) // 2):
        coded = grouped(devices, groups, runs=len(sets))
        assert coded.liars == (devices // groups - 1) // 2
        gradient, failed = coded.decoded(coded.lied(sets, lie))
        assert not failed.any()
        assert coded.errors(gradient).max() < 1e-8


@pytest.mark.parametrize(
    "gradients",
    [
        np.zeros((6, 7, 3)),
        np.ones((6, 7, 3)),
        1e150 * np.eye(7)[None, :, :3].repeat(6, axis=0),
        np.logspace(0, -12, 7)[:, None] * np.ones((6, 7, 3)),
        np.random.default_rng(1).standard_normal((6, 7, 1)),
    ],
    ids=["zero", "equal", "one task alone", "of all sizes", "one coordinate"],
)
@pytest.mark.parametrize("lie", ["negated", "noise", "huge", "NaN", "constant"])
def test_gradients_of_any_kind(gradients, lie):
    coded = cyclic(7, 2, gradients=gradients)
    sets = coded.rng.permuted(np.tile(np.arange(7), (6, 1)), axis=1)[:, :2]
    gradient, failed = coded.decoded(coded.lied(sets, lie))
    assert not failed.any()
    np.testing.assert_allclose(gradient, coded.truth, atol=5e-7 * np.abs(coded.messages).max())


PATTERNS = ["random", "neighbours on the circle", "neighbours", "two clusters", "two fewer"]


def patterns(name, devices, liars, runs, rng):
    circle = on_the_circle(devices, liars)
    start = rng.integers(devices, size=(runs, 1))
    if name == "random" or name == "two fewer":
        f = liars - 2 * (name == "two fewer")
        return rng.permuted(np.tile(np.arange(devices), (runs, 1)), axis=1)[:, :f]
    if name == "two clusters":
        half = np.arange(liars // 2)
        return circle[(start + np.concatenate([half, half + devices // 2])) % devices]
    near = (start + np.arange(liars)) % devices
    return near if name == "neighbours" else circle[near]


@pytest.mark.parametrize("lie", LIES)
def test_a_hundred_devices_with_twenty_liars(lie):
    """All are decoded, 8 of each pattern, and the others would be flagged; lies that are parallel are the hardest."""
    for name in PATTERNS:
        coded = cyclic(100, 20, runs=8, dimension=30)
        sets = patterns(name, 100, 20, 8, coded.rng)
        gradient, failed = coded.decoded(coded.lied(sets, lie))
        assert coded.errors(gradient)[~failed].max() < 5e-7
        assert not failed.any(), name


def test_lies_of_all_sizes_in_few_dimensions():
    """Lies of rank 6, below s: the windows between those of independent and of parallel lies find most of them."""
    coded = cyclic(100, 20, runs=40, dimension=3)
    sets = patterns("random", 100, 20, 40, coded.rng)
    gradient, failed = coded.decoded(coded.lied(sets, "of all sizes"))
    assert failed.mean() < 0.1
    assert coded.errors(gradient)[~failed].max() < 5e-7


def test_forty_liars_that_are_neighbours_on_the_circle():
    """Most of the digits are gone, but not where the lies are independent: locators of the highest degree keep them."""
    coded = cyclic(100, 40, runs=12, dimension=100)
    sets = patterns("neighbours on the circle", 100, 40, 12, coded.rng)
    gradient, failed = coded.decoded(coded.lied(sets, "negated"))
    assert failed.mean() < 0.2
    assert coded.errors(gradient)[~failed].max() < 5e-7


def test_parallel_lies_of_all_sizes_are_decoded_or_flagged():
    """The hardest lies known: one direction, sizes over 13 decades. Never wrong, and flagged only sometimes."""
    coded = cyclic(100, 20, runs=24, dimension=5)
    sets = patterns("random", 100, 20, 24, coded.rng)
    at = np.arange(24)[:, None], sets
    messages = coded.messages.copy()
    messages[at] += coded.scale * 10 ** coded.rng.uniform(-8, 5, (24, 20, 1)) * coded.rng.standard_normal((24, 1, 10))
    gradient, failed = coded.decoded(messages)
    assert failed.mean() < 0.6
    assert coded.errors(gradient)[~failed].max() < 5e-7


@pytest.mark.parametrize(("groups", "liars"), [(2, 24), (1, 49), (5, 9), (7, 6)])
@pytest.mark.parametrize("lie", LIES)
def test_a_hundred_devices_in_groups(groups, liars, lie):
    """The liars are all in one group, or anywhere."""
    coded = grouped(100, groups, runs=2 * groups)
    assert coded.liars == liars
    group = groups_of(100, 2 * groups, 2)
    sets = [np.flatnonzero(group == each)[:liars] for each in range(groups)]
    sets += [coded.rng.permutation(100)[:liars] for _ in range(groups)]
    gradient, failed = coded.decoded(coded.lied(np.stack(sets), lie))
    assert not failed.any()
    assert coded.errors(gradient).max() < 1e-8


@pytest.mark.parametrize("coded", [cyclic(20, 3, runs=3), grouped(20, 3, runs=3)], ids=["cyclic", "repetition"])
@pytest.mark.parametrize("lie", ["negated", "near", "huge", "NaN"])
def test_single_precision(coded, lie):
    sets = patterns("random", 20, 3, 3, coded.rng)
    gradient, failed = coded.decoded(coded.lied(sets, lie), torch.float32)
    assert not failed.any()
    assert coded.errors(gradient).max() < 2e-3


def test_agreement_within_a_group_is_up_to_rounding():
    coded = grouped(9, 3)
    noise = 1 + 1e-14 * coded.rng.standard_normal(coded.messages.shape)
    gradient, failed = coded.decoded(coded.messages * noise)
    assert not failed.any()
    assert coded.errors(gradient) < 1e-13
    gradient, failed = coded.decoded(coded.messages * (1 + 1e6 * (noise - 1)))
    assert failed.all()


# --- beyond s liars ---------------------------------------------------------------------------------------------------


def test_a_majority_of_a_group_wins():
    coded = grouped(10, 2)  # groups of 5: s = 2
    forged = coded.messages.copy()
    forged[:, :3] = 7.0
    gradient, failed = coded.decoded(forged)
    assert not failed.any()
    np.testing.assert_allclose(gradient, (7.0 + coded.messages[:, 5]) / 2)


@pytest.mark.parametrize(("devices", "groups"), [(5, 1), (10, 2), (8, 2), (100, 2)])
def test_a_group_without_a_majority_is_flagged(devices, groups):
    coded = grouped(devices, groups)
    first = np.flatnonzero(groups_of(devices, 2 * groups, 2) == 0)
    _, failed = coded.decoded(coded.lied(first[None, : (len(first) + 1) // 2], "noise"))
    assert failed.all()
    if len(first) % 2 == 0:  # a tie is no majority
        _, failed = coded.decoded(coded.lied(first[None, : len(first) // 2], "constant"))
        assert failed.all()


@pytest.mark.parametrize(("devices", "liars"), [(5, 1), (7, 2), (11, 3), (20, 5)])
def test_most_holders_of_a_task_agree_on_a_false_gradient_of_it(devices, liars):
    """s + 1 of the 2 s + 1 holders: their codeword is consistent on N - s devices, so no decoder can tell."""
    coded = cyclic(devices, liars)
    false = coded.gradients.copy()
    false[:, 0] += 5.0
    holders = np.flatnonzero((coded.assigned == 0).any(axis=1))[: liars + 1]
    forged = coded.messages.copy()
    forged[:, holders] = coded.sent(false)[:, holders]
    gradient, failed = coded.decoded(forged)
    assert not failed.any()
    np.testing.assert_allclose(gradient, false.mean(axis=1), atol=1e-9)
    forged[:, holders[0]] = coded.messages[:, holders[0]]  # s of them lose
    gradient, failed = coded.decoded(forged)
    assert not failed.any()
    assert coded.errors(gradient) < 1e-9


@pytest.mark.parametrize("lie", ["negated", "noise", "near", "huge", "NaN", "last entry", "constant"])
@pytest.mark.parametrize(("devices", "liars"), [(7, 2), (11, 3), (20, 5), (100, 20)])
def test_more_than_s_independent_liars_are_flagged(devices, liars, lie):
    for more in (1, 2, liars):
        coded = cyclic(devices, liars, runs=4)
        sets = coded.rng.permuted(np.tile(np.arange(devices), (4, 1)), axis=1)[:, : liars + more]
        _, failed = coded.decoded(coded.lied(sets, lie))
        assert failed.all()


def test_more_than_s_messages_that_are_no_numbers_are_flagged():
    """Also where the others would agree with the gradient 0."""
    coded = cyclic(7, 2, gradients=np.zeros((1, 7, 3)))
    _, failed = coded.decoded(coded.lied(np.array([[1, 4, 5]]), "NaN"))
    assert failed.all()
    gradient, failed = coded.decoded(coded.lied(np.array([[1, 4]]), "NaN"))
    assert not failed.any()
    assert (gradient == 0).all()


@pytest.mark.parametrize("share", [slice(None, None, 2), slice(0, 20)], ids=["every other one", "one half"])
def test_a_codeword_forged_to_within_rounding(share):
    """40 neighbours on the circle: a codeword is nearly 0 elsewhere, and 20 liars add it to their messages."""
    code, coded = cyclic_code(100, 20), cyclic(100, 20, runs=6)
    near = on_the_circle(100, 20)[:40]
    powers = code.powers(np.arange(60)).T
    others = np.setdiff1d(np.arange(100), near)
    lower = np.linalg.lstsq(powers[others, :-1], -powers[others, -1], rcond=1e-17)[0]
    codeword = powers @ np.append(lower, 1.0)
    liars = near[share]
    steps = 10.0 ** -np.arange(6)[:, None, None] * coded.scale
    messages = coded.messages.copy()
    messages[:, liars] += steps * np.concatenate([codeword.real, codeword.imag]).reshape(2, 100).T[liars].repeat(4, -1)
    gradient, failed = coded.decoded(messages)
    assert coded.errors(gradient)[~failed].max() < 5e-7
    assert failed.sum() <= 2


# --- sizes, batches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coded", [cyclic(20, 4, runs=5), grouped(20, 3, runs=5)], ids=["cyclic", "repetition"])
def test_a_run_is_decoded_alike_alone_and_beside_others(coded):
    """With the same bits. One of the runs fails, and only that one."""
    sets = coded.rng.permuted(np.tile(np.arange(20), (5, 1)), axis=1)[:, :2]
    messages = coded.lied(sets, "parallel")
    messages[1] = coded.messages[1]
    messages[3] = coded.messages[3]
    messages[3, 5] *= 1 + 1e-9  # not worth a search, which another run needs
    messages[2, :7] = coded.rng.standard_normal(messages[2, :7].shape)
    messages[2, 12:] = math.nan
    together, failed = coded.decoded(messages)
    assert failed.tolist() == [False, False, True, False, False]
    for run in range(5):
        alone, lost = coded.decoded(messages[run : run + 1])
        np.testing.assert_array_equal(alone[0], together[run])
        assert lost[0] == failed[run]


def test_messages_are_left_as_they_are():
    for coded in (cyclic(9, 2), grouped(9, 3)):
        messages = torch.from_numpy(coded.messages)
        before = messages.clone()
        coded.decode(messages)
        assert torch.equal(messages, before)


@pytest.mark.parametrize(
    ("size", "bears", "reason"),
    [
        ((100, 1000, 110), 5, None),
        ((100, 100, 41), 20, None),
        ((100, 1000, 10), 0, None),
        ((7, 7, 7), 3, None),
        ((100, 1000, 100), None, "N r / M = 10 must be odd, 2 s + 1, to tolerate s liars; nearest: 90 or 110"),
        ((8, 8, 8), None, "N r / M = 8 must be odd, 2 s + 1, to tolerate s liars; nearest: 7"),
        ((100, 1001, 11), None, "multiple of the 100 devices"),
        ((100, 1000, 105), None, "multiples of M / N = 10"),
    ],
)
def test_sizes_of_the_cyclic_code(size, bears, reason):
    decoder = DECODERS["draco_cyclic"]
    if reason is None:
        assert decoder.refuses(*size) is None
        assert decoder.most_liars(*size) == bears
    else:
        assert reason in decoder.refuses(*size)


def test_sizes_of_the_repetition_code():
    decoder = DECODERS["repetition"]
    assert decoder.refuses(100, 1000, 500) is None
    assert decoder.most_liars(100, 1000, 500) == 24
    assert decoder.most_liars(100, 1000, 1000) == 49
    assert decoder.most_liars(11, 6, 2) == 1  # groups of 4, 4 and 3
    assert "divisors" in decoder.refuses(100, 1000, 300)


CODES = [[[0, 1], [1, 2], [2, 0]], [[0, 1, 2], [0, 1, 3], [0, 1, 4], [2, 3, 4], [2, 3, 4]]]


@pytest.mark.parametrize("assigned", CODES)
def test_only_cyclic_allocations_are_encoded(assigned):
    with pytest.raises(ValueError, match="cyclic"):
        ENCODERS["draco_cyclic"](np.array(assigned, dtype=np.int32), len(assigned))


def test_a_device_that_holds_one_task_alone():
    """s = 0: the mean of the tasks, and nothing can be noticed but what is no number."""
    coded = cyclic(5, 0)
    gradient, failed = coded.decoded(coded.messages)
    assert not failed.any()
    assert coded.errors(gradient) < 1e-14
    _, failed = coded.decoded(coded.lied(np.array([[2]]), "NaN"))
    assert failed.all()


@pytest.mark.parametrize("assignment", ["fixed", "redrawn", "subsets_redrawn", "devices_redrawn"])
def test_messages_from_sums_of_tasks_are_those_from_single_subsets(assignment):
    """The devices that hold a task of several subsets share the sum of its gradients."""
    seeds, devices, subsets = [0, 1], 7, 21
    assigned = np.stack([ALLOCATIONS["cyclic"](devices, subsets, 9, np.random.default_rng(seed)) for seed in seeds])
    weights = np.stack([ENCODERS["draco_cyclic"](each, subsets) for each in assigned])
    gradients = torch.from_numpy(np.random.default_rng(3).standard_normal((2, subsets, 5)))
    of = Devices(gradients, assigned, weights, seeds, subsets, assignment=assignment)
    mirrored = assigned[..., ::-1].copy(), weights[..., ::-1].copy()
    apart = Devices(gradients, *mirrored, seeds, subsets, assignment=assignment)
    problem = SimpleNamespace(
        forward=lambda theta: theta,
        coded_gradients=lambda rows, code: coded_rows(rows, rows.new_ones(2, subsets), code),
    )
    for iteration in range(3):
        codes, plain = of.codes(iteration), apart.codes(iteration)
        assert codes.tasks is not None
        assert plain.tasks is None
        left, right = (messages(Iterate(problem, gradients), each) for each in (codes, plain))
        assert left.shape == (2, devices, 10)
        torch.testing.assert_close(left, right, rtol=0, atol=1e-14)
