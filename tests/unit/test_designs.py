"""Exact allocations: every size that is served has its property, and what is refused is refused for a reason."""

from __future__ import annotations

import re
import subprocess
import sys
from math import comb

import numpy as np
import pytest
from typer.testing import CliRunner

from byzcode.allocation import ALLOCATIONS, block_design, difference_set, field, sizes
from byzcode.allocation.serving import serving
from byzcode.allocation.statistics import incidence, overlaps, replications
from byzcode.cli import app
from byzcode.randomness import Stream

LEAD = {
    "orthogonal_array": (100, 1331, 121),
    "block_design": (100, 825, 33),
    "difference_set": (91, 91, 10),
}


#: Every two devices share the same number of subsets.
EXACT = [name for name, scheme in ALLOCATIONS.items() if scheme.pairwise]


def draw(name, devices, subsets, redundancy, seed=0):
    return ALLOCATIONS[name](devices, subsets, redundancy, Stream(seed, "test designs").at(0))


def assert_lists(assigned, devices, subsets, redundancy):
    assert assigned.shape == (devices, redundancy)
    assert assigned.dtype == np.int32
    assert assigned.min() >= 0
    assert assigned.max() < subsets
    assert (np.diff(assigned) > 0).all()


def assert_orthogonal(devices, subsets, redundancy, seed=0):
    """Property A: r subsets each, overlap r^2 / M; with F6, what that implies for replications."""
    assigned = draw("orthogonal_array", devices, subsets, redundancy, seed)
    assert_lists(assigned, devices, subsets, redundancy)
    assert (overlaps(assigned, subsets) * subsets == redundancy**2).all()
    off = replications(assigned, subsets) - devices * redundancy / subsets
    assert (off**2).sum() == pytest.approx(devices * redundancy * (1 - redundancy / subsets), rel=1e-12)
    assert devices <= subsets - 1


def assert_balanced(name, devices, subsets, redundancy):
    """Property B: c and lambda are whole, every subset is on c devices, every two devices share lambda."""
    assigned = draw(name, devices, subsets, redundancy)
    assert_lists(assigned, devices, subsets, redundancy)
    copies, rest = divmod(devices * redundancy, subsets)
    pairs, left = divmod(redundancy * (copies - 1), devices - 1)
    assert (rest, left) == (0, 0)
    assert pairs >= 1
    assert (replications(assigned, subsets) == copies).all()
    assert (overlaps(assigned, subsets) == pairs).all()


# --- A: orthogonal arrays --------------------------------------------------------------------------------------------

SPACES = [(q, m) for q in (2, 3, 4, 5, 7, 8, 9, 11) for m in range(2, 10) if q**m <= 800]


@pytest.mark.parametrize(("order", "dimension"), SPACES)
def test_orthogonal_arrays_of_every_size_share_exactly_what_the_papers_ask(order, dimension):
    subsets = order**dimension
    most = (subsets - 1) // (order - 1)
    for levels in sorted({1, 2, order // 2, order - 1} & set(range(1, order))):
        redundancy = levels * subsets // order
        for devices in (1, 2, most // 2, most):
            assert_orthogonal(devices, subsets, redundancy)


def test_more_devices_than_directions_are_refused():
    """Another q may still serve them: 16 = 4^2 = 2^4."""
    refuses = ALLOCATIONS["orthogonal_array"].refuses
    assert refuses(5, 16, 4) is None
    assert "exceeds (M - 1)/(q - 1) = 5 with q = 4" in refuses(6, 16, 4)
    assert refuses(15, 16, 8) is None
    assert_orthogonal(15, 16, 8)
    assert "exceeds M - 1 = 15" in refuses(16, 16, 8)
    for order, dimension in SPACES:
        most = (order**dimension - 1) // (order - 1)
        reason = refuses(most + 1, order**dimension, order ** (dimension - 1))
        assert "exceeds" in reason
        assert f"N = {most + 1}" in reason


def test_orthogonal_array_at_the_lead_size():
    assert_orthogonal(*LEAD["orthogonal_array"])
    assigned = draw("orthogonal_array", *LEAD["orthogonal_array"])
    assert set(overlaps(assigned, 1331).tolist()) == {11}
    assert replications(assigned, 1331).var() == pytest.approx(100 / 11 * 10 / 11, rel=1e-12)  # F6: 8.2645
    assert not np.array_equal(assigned, draw("orthogonal_array", *LEAD["orthogonal_array"], seed=1))
    np.testing.assert_array_equal(assigned, draw("orthogonal_array", *LEAD["orthogonal_array"]))


def test_a_subset_of_an_orthogonal_array_is_replicated_binomially():
    """Whatever the subset: also the one at 0, which without drawn values would be on all devices or on none."""
    law = ALLOCATIONS["orthogonal_array"].laws(12, 125, 50).replication
    assert law(5) == pytest.approx(comb(12, 5) * 0.4**5 * 0.6**7)
    draws = np.array([replications(draw("orthogonal_array", 12, 125, 50, seed), 125) for seed in range(1500)])
    for sample in (draws[:, 0], draws[:, 1], draws[:, 77]):
        for count in range(2, 9):
            chance = law(count)
            assert abs((sample == count).mean() - chance) < 5 * np.sqrt(chance * (1 - chance) / len(sample))


# --- B: block designs ------------------------------------------------------------------------------------------------

#: Every design of the families with so few blocks is made.
BLOCKS = {"transversal": 1500, "cyclotomic": 1500}
EVERY = {family.__name__: [*family()] for family in block_design.FAMILIES}
EVERY["transversal"] = [*block_design.transversal(design for designs in EVERY.values() for design in designs)]
ALL = {name: [d for d in designs if d.blocks <= BLOCKS.get(name, 300)] for name, designs in EVERY.items()}


@pytest.mark.parametrize("family", ALL)
def test_every_pair_of_points_is_in_equally_many_blocks(family):
    assert ALL[family]
    for points, blocks, size, make in ALL[family]:
        made = make()
        assert made.shape == (blocks, size)
        holds = np.zeros((blocks, points), dtype=int)
        np.put_along_axis(holds, made, 1, axis=1)
        assert (holds.sum(axis=1) == size).all()  # no point twice in a block
        redundancy = blocks * size // points
        pairs = redundancy * (size - 1) // (points - 1)
        assert pairs >= 1
        expected = np.full((points, points), pairs)
        np.fill_diagonal(expected, redundancy)
        np.testing.assert_array_equal(holds.T @ holds, expected, f"{family} {points} {blocks} {size}")
        assert ALLOCATIONS["block_design"].refuses(points, blocks, redundancy) is None


@pytest.mark.parametrize(
    ("family", "number", "some"),
    [
        ("lines", 26, {(81, 90, 9), (121, 132, 11), (91, 91, 10), (40, 130, 4), (13, 13, 4), (27, 117, 3)}),
        ("all_subsets", 35, {(4, 6, 2), (24, 276, 2), (10, 210, 4)}),
        ("triple_systems", 12, {(7, 7, 3), (9, 12, 3), (13, 26, 3), (39, 247, 3)}),
        ("hyperplanes", 9, {(8, 14, 4), (27, 39, 9), (64, 84, 16)}),
        ("symmetric", 106, {(103, 103, 51), (101, 101, 25), (101, 101, 76), (91, 91, 10), (40, 40, 13), (35, 35, 17)}),
        ("cyclotomic", 7, {(41, 82, 5), (97, 776, 4), (109, 981, 4), (181, 1086, 6)}),
        ("of_25_points", 1, {(25, 50, 4)}),
        ("transversal", 5, {(100, 825, 4), (52, 221, 4), (64, 336, 4), (125, 775, 5)}),
    ],
)
def test_the_families_are_not_empty(family, number, some):
    sizes = {(d.points, d.blocks, d.size) for d in ALL[family]}
    assert len(sizes) >= number
    assert some <= sizes


@pytest.mark.parametrize(
    "size",
    [
        LEAD["block_design"],
        (100, 1650, 66),  # the same twice
        (100, 825, 792),  # what its blocks leave
        (81, 90, 10),
        (91, 91, 10),
        (103, 103, 51),
        (100, 4950, 99),
        (97, 776, 32),
        (109, 981, 36),
        (16, 20, 5),
        (16, 60, 15),
        (16, 60, 45),
        (7, 7, 4),
        (13, 52, 16),
        (10, 45, 9),
        (10, 120, 36),
        (25, 50, 8),
    ],
    ids=str,
)
def test_block_designs_are_balanced(size):
    assert_balanced("block_design", *size)


def test_blocks_are_repeated_only_where_they_must_be():
    """All triples of 7 points, not five times a plane; and that where nothing else serves."""
    assert len(np.unique(incidence(draw("block_design", 7, 35, 15), 35), axis=1).T) == 35
    assert len(np.unique(incidence(draw("block_design", 7, 14, 6), 14), axis=1).T) == 7


def test_block_design_at_the_lead_size_is_that_of_the_papers_section():
    assigned = draw("block_design", *LEAD["block_design"])
    assert set(overlaps(assigned, 825).tolist()) == {1}
    assert set(replications(assigned, 825).tolist()) == {4}


# --- C: difference sets ----------------------------------------------------------------------------------------------

SINGER = {
    13: [0, 1, 3, 9],
    31: [1, 5, 11, 24, 25, 27],
    57: [0, 1, 6, 15, 22, 26, 45, 55],
    73: [0, 1, 12, 20, 26, 30, 33, 35, 57],
    91: [0, 1, 3, 9, 27, 49, 56, 61, 77, 81],
    133: [1, 11, 16, 40, 41, 43, 52, 60, 74, 78, 121, 128],
}


@pytest.mark.parametrize(("modulus", "known"), SINGER.items())
def test_singer_sets_are_the_known_ones_up_to_shifts_and_multiples(modulus, known):
    chosen = draw("difference_set", modulus, modulus, len(known))[0]
    multiples = np.arange(1, modulus)
    multiples = multiples[np.gcd(multiples, modulus) == 1]
    alike = np.sort((multiples[:, None, None] * chosen + np.arange(modulus)[:, None]) % modulus, axis=-1)
    assert (alike == np.sort(known)).all(axis=-1).any()


def test_the_developed_lists_are_balanced():
    for modulus, size in difference_set.cyclic_sets():
        if modulus <= 110:
            assert_balanced("difference_set", modulus, modulus, size)
            assigned = draw("difference_set", modulus, modulus, size)
            shifted = np.sort((assigned[0] + np.arange(modulus)[:, None]) % modulus, axis=1)
            np.testing.assert_array_equal(assigned, shifted)


def test_difference_sets_have_every_difference_equally_often():
    sets = difference_set.cyclic_sets()
    assert {(7, 3), (13, 4), (101, 25), (103, 51), (103, 52), (143, 71), (40, 13), (109, 28), (197, 49)} <= sets.keys()
    assert {(4095, 2047), (8011, 90), (1093, 364)} <= sets.keys()
    small = [key for key in sets if key[0] <= 1100]
    assert len(small) > 200
    for modulus, size in [*small, (8011, 90), (2801, 400), (3280, 1093)]:
        chosen = sets[modulus, size]()
        assert len(np.unique(chosen)) == size
        present = np.zeros(modulus)
        present[chosen] = 1
        often = np.fft.irfft(np.abs(np.fft.rfft(present)) ** 2, modulus)[1:]
        np.testing.assert_allclose(often, size * (size - 1) // (modulus - 1), rtol=0, atol=1e-6)
        assert size * (size - 1) % (modulus - 1) == 0


# --- closed forms ----------------------------------------------------------------------------------------------------


def gradient_sets(subsets):
    """Normal, heavy-tailed, one that differs from all others, and labels in order."""
    generator = Stream(7, "test gradients").at(0)
    yield generator.standard_normal((subsets, 4))
    yield generator.standard_normal((subsets, 2)) ** 3
    yield np.eye(subsets)[:, :1]
    yield np.arange(subsets, dtype=float)[:, None] ** 2


def coded(assigned, gradients):
    """Each device's mean, minus the mean of all; and betahat^2."""
    deviation = gradients - gradients.mean(axis=0)
    return deviation[assigned].mean(axis=1), (deviation**2).sum(axis=1).mean()


SYMMETRIC = [
    ("block_design", 91, 10),
    ("difference_set", 91, 10),
    ("difference_set", 57, 8),
    ("block_design", 103, 51),
    ("difference_set", 101, 25),
]


@pytest.mark.parametrize(("name", "size", "redundancy"), SYMMETRIC)
def test_f4_the_variance_is_the_same_for_all_gradients(name, size, redundancy):
    assigned = draw(name, size, size, redundancy)
    for gradients in gradient_sets(size):
        error, spread = coded(assigned, gradients)
        expected = (size - redundancy) / (redundancy * (size - 1))
        assert (error**2).sum(axis=1).mean() / spread == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(error.mean(axis=0), 0, atol=1e-12 * np.abs(gradients).max())  # F1
    if redundancy == 10:
        assert expected == pytest.approx(0.09, rel=1e-14)


def test_f4_does_not_hold_for_a_window():
    """Else the test above would show nothing of the design."""
    assigned = draw("cyclic", 91, 91, 10)
    factors = [(coded(assigned, g)[0] ** 2).sum(axis=1).mean() / coded(assigned, g)[1] for g in gradient_sets(91)]
    assert max(factors) > 2 * min(factors)


@pytest.mark.parametrize("size", [LEAD["block_design"], (81, 90, 10), (25, 50, 8), (10, 45, 9)], ids=str)
def test_f1_the_mean_over_a_block_design_is_exact(size):
    assigned = draw("block_design", *size)
    for gradients in gradient_sets(size[1]):
        error, _ = coded(assigned, gradients)
        np.testing.assert_allclose(error.mean(axis=0), 0, atol=1e-12 * np.abs(gradients).max())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *LEAD.items(),
        ("orthogonal_array", (31, 125, 25)),
        ("orthogonal_array", (31, 125, 75)),
        ("block_design", (16, 20, 5)),
    ],
)
def test_f3_distances(name, size):
    """Deterministic bound for all pairs and gradients; with random labels the mean over pairs, to 5 sigma."""
    devices, subsets, redundancy = size
    assigned = draw(name, *size)
    shared = int(overlaps(assigned, subsets)[0])
    i, j = np.triu_indices(devices, k=1)
    for gradients in gradient_sets(subsets):
        error, spread = coded(assigned, gradients)
        squared = ((error[i] - error[j]) ** 2).sum(axis=1)
        assert squared.max() <= 2 * (redundancy - shared) * subsets * spread / redundancy**2 * (1 + 1e-12)
    gradients = np.abs(next(gradient_sets(subsets)))
    labels = Stream(3, "test labels").at(0)
    sample = []
    for _ in range(200):
        error, spread = coded(assigned, labels.permutation(gradients))
        sample.append(((error[i] - error[j]) ** 2).sum(axis=1).mean() / spread)
    expected = 2 * (redundancy - shared) / redundancy**2 * subsets / (subsets - 1)
    # A symmetric design leaves no spread over labels (F4): then the mean is exact but for rounding.
    assert abs(np.mean(sample) - expected) <= 5 * np.std(sample, ddof=1) / np.sqrt(200) + 1e-12 * expected
    if name == "orthogonal_array":
        assert expected == pytest.approx(2 * (subsets - redundancy) / (redundancy * (subsets - 1)), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "size"), [*LEAD.items(), ("block_design", (81, 90, 10)), ("block_design", (100, 3300, 132))]
)
def test_the_laws_of_exact_designs_are_certain(name, size):
    subsets = size[1]
    known = ALLOCATIONS[name].laws(*size)
    assigned = draw(name, *size)
    (shared,) = set(overlaps(assigned, subsets).tolist())
    assert [known.overlap(count) for count in (shared - 1, shared, shared + 1)] == [0, 1, 0]
    if name != "orthogonal_array":
        (copies,) = set(replications(assigned, subsets).tolist())
        assert [known.replication(count) for count in (0, copies - 1, copies)] == [0, 0, 1]


# --- refusals --------------------------------------------------------------------------------------------------------

REFUSED = [
    ("orthogonal_array", (100, 1000, 40), "r^2/M = 1.6 is not an integer; nearest: N = 100, M = 1331, r = 121"),
    ("orthogonal_array", (100, 1000, 100), "M = 1000 is not a power q^m"),
    ("orthogonal_array", (2, 1009, 1009), "not all"),
    ("orthogonal_array", (2, 1009, 0), "r = 0: "),
    ("orthogonal_array", (3, 32, 8), "r = 8 is not a multiple of M/q = 16"),
    ("orthogonal_array", (134, 1331, 121), "N = 134 exceeds (M - 1)/(q - 1) = 133 with q = 11"),
    ("orthogonal_array", (4, 4, 2), "N = 4 exceeds M - 1 = 3"),  # the example of 4 devices that share 1 of 4 subsets
    (
        "block_design",
        (100, 1000, 40),
        "lambda = r(c-1)/(N-1) = 1.21212 is not an integer; nearest: N = 109, M = 981, r = 36",
    ),
    ("block_design", (100, 1000, 41), "c = N r/M = 4.1 is not an integer"),
    ("block_design", (100, 1000, 10), "c = N r/M = 1: "),
    ("block_design", (100, 1000, 1000), "not all"),
    ("block_design", (16, 8, 2), "lambda = r(c-1)/(N-1) = 0.4 is not an integer"),
    ("block_design", (111, 111, 11), "no plane of order 10 exists (Lam"),
    ("block_design", (100, 110, 11), "no plane of order 10 exists (Lam"),
    ("block_design", (43, 43, 7), "no plane of order 6 exists (Bruck, Ryser)"),
    ("block_design", (36, 42, 7), "no plane of order 6 exists (Bruck, Ryser)"),
    ("block_design", (22, 22, 7), "r - lambda = 5 is not a square (Bruck, Ryser, Chowla)"),
    ("block_design", (16, 16, 6), "no known family has a 2-(16, 6, 2) design with 16 blocks"),  # it exists elsewhere
    ("difference_set", (100, 1000, 40), "N = 100 and M = 1000 differ"),
    ("difference_set", (100, 100, 10), "lambda = r(r-1)/(N-1) = 0.909091 is not an integer"),
    ("difference_set", (22, 22, 7), "r - lambda = 5 is not a square"),
    ("difference_set", (111, 111, 11), "no plane of order 10 exists"),
    ("difference_set", (16, 16, 6), "no known family has a cyclic (16, 6, 2) difference set"),
    ("difference_set", (91, 91, 1), "r = 1: "),
    ("difference_set", (91, 91, 91), "not all"),
]


@pytest.mark.parametrize(("name", "size", "reason"), REFUSED)
def test_refusals_name_the_condition(name, size, reason):
    reason_given = ALLOCATIONS[name].refuses(*size)
    assert reason in reason_given
    assert "\n" not in reason_given
    with pytest.raises(ValueError, match=re.escape(reason)):
        draw(name, *size)


def test_fishers_bound():
    """c and lambda whole with fewer subsets than devices."""
    refused = [
        (v, b, r)
        for v in range(4, 40)
        for b in range(2, v)
        for r in range(2, b)
        if v * r % b == 0 and v * r // b > 1 and r * (v * r // b - 1) % (v - 1) == 0
    ]
    assert refused
    for size in refused:
        assert "(Fisher)" in ALLOCATIONS["block_design"].refuses(*size)


def requests():
    """Sizes at and about served ones, round ones, degenerate ones."""
    generator = Stream(11, "test requests").at(0)
    exact = [(q**m // 2 // (q - 1), q**m, q ** (m - 1)) for q in (2, 3, 5, 7, 11) for m in (2, 3) if q**m < 1400]
    exact += [(d.points, d.blocks, d.redundancy) for designs in ALL.values() for d in designs[::3] if d.points < 130]
    for size in exact:
        yield size
        yield tuple(max(1, int(part) + int(generator.integers(-1, 2))) for part in size)
    for _ in range(100):
        yield tuple(np.exp(generator.uniform(0, np.log([300, 5000, 500]))).astype(int).tolist())
    yield from ((1, 1, 1), (1, 2, 1), (2, 2, 1), (2, 1, 1), (3, 3, 1), (3, 3, 2), (10**6, 1, 1), (1, 10**9, 10**8))


def test_what_is_not_refused_is_drawn_and_what_is_refused_names_a_size_that_is_not():
    served = dict.fromkeys(EXACT, 0)
    for size in dict.fromkeys(requests()):
        for name in EXACT:
            reason = ALLOCATIONS[name].refuses(*size)
            if reason is None:
                served[name] += 1
                if name == "orthogonal_array":
                    assert_orthogonal(*size)
                else:
                    assert_balanced(name, *size)
                continue
            other = re.search(r"; nearest: N = (\d+), M = (\d+), r = (\d+)$", reason)
            assert other, (name, size, reason)
            near = tuple(map(int, other.groups()))
            assert near != size
            assert ALLOCATIONS[name].refuses(*near) is None, (name, size, near)
    assert min(served.values()) > 8


@pytest.mark.parametrize("name", EXACT)
def test_the_nearest_is_nearest(name):
    """Against all sizes within its distance, asked one by one."""
    refuses = ALLOCATIONS[name].refuses
    for asked in ((7, 8, 3), (7, 13, 5), (9, 13, 4), (12, 15, 5)):
        near = tuple(map(int, re.findall(r"\d+", refuses(*asked).rpartition("nearest")[2])))
        served = [
            (n, m, r)
            for n in ([asked[0]] if name == "orthogonal_array" else range(3, 21))
            for m in (range(2, 25) if name != "difference_set" else [n])
            for r in range(1, min(m, 13))
            if (n * r % m == 0 or name == "orthogonal_array") and refuses(n, m, r) is None
        ]
        distances = np.abs(np.log(served) - np.log(asked)).sum(axis=1)
        assert np.abs(np.log(near) - np.log(asked)).sum() == pytest.approx(distances.min(), abs=1e-12)


# --- asking ----------------------------------------------------------------------------------------------------------


def test_serving_answers_for_every_allocation():
    reasons = serving(*LEAD["block_design"])
    assert list(reasons) == list(ALLOCATIONS)
    assert reasons["block_design"] is None
    assert reasons["random"] is None
    assert "r^2/M = 1.32" in reasons["orthogonal_array"]


@pytest.mark.parametrize(
    ("size", "last"),
    [
        ((100, 825, 33), "Exact designs of this size: block_design."),
        ((100, 1000, 40), "Exact designs of this size: none."),
        ((91, 91, 10), "Exact designs of this size: block_design, difference_set."),
    ],
)
def test_the_command_line_answers(size, last):
    options = ("--devices", "--subsets", "--redundancy")
    words = [word for pair in zip(options, map(str, size), strict=True) for word in pair]
    answer = CliRunner().invoke(app, ["allocations", *words])
    assert answer.exit_code == 0
    rows = answer.stdout.splitlines()
    assert rows[-1] == last
    assert len(rows) == len(ALLOCATIONS) + 2
    for row, (name, reason) in zip(rows[1:-1], serving(*size).items(), strict=True):
        assert row.split(maxsplit=1) == [name, f"no: {reason}" if reason else "yes"]


def test_asking_loads_no_finite_fields():
    code = (
        "import sys; from byzcode.allocation.serving import serving; serving(91, 91, 10); serving(100, 1000, 40);"
        "print(*{'galois', 'numba', 'torch._C'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"


# --- fields ----------------------------------------------------------------------------------------------------------


def test_primes_and_their_powers():
    def is_power(number):
        factor = next(f for f in range(2, number + 1) if number % f == 0)
        while number % factor == 0:
            number //= factor
        return number == 1

    assert sizes.primes()[sizes.primes() < 400].tolist() == [
        n for n in range(2, 400) if all(n % f for f in range(2, n))
    ]
    assert list(sizes.prime_powers()) == [n for n in range(2, 363) if is_power(n)]


def test_there_is_no_field_of_another_order():
    with pytest.raises(ValueError, match="6"):
        field.field(6)


@pytest.mark.parametrize("order", [2, 3, 4, 7, 8, 9, 25])
def test_the_tables_are_those_of_a_field(order):
    plus, times = field.field(order)
    numbers = np.arange(order)
    for table in (plus, times):
        np.testing.assert_array_equal(table, table.T)
        np.testing.assert_array_equal(table[table][:, :, numbers], table[numbers][:, table])  # associative
    np.testing.assert_array_equal(plus[0], numbers)
    np.testing.assert_array_equal(times[1], numbers)
    assert (times[0] == 0).all()
    assert (np.sort(plus, axis=1) == numbers).all()
    assert (np.sort(times[1:], axis=1) == numbers).all()
    left = times[:, plus]  # a (b + c)
    right = plus[times[:, :, None], times[:, None, :]]
    np.testing.assert_array_equal(left, right)


def test_lines_are_those_of_the_geometry():
    """Not of any system of triples on 15 points: those of PG(3, 2) alone have the least rank over GF(2), 15 - 4."""

    def rank(matrix):
        rows, count = [int("".join(map(str, row)), 2) for row in matrix], 0
        while rows:
            pivot = rows.pop()
            if pivot:
                count += 1
                lowest = pivot & -pivot
                rows = [row ^ pivot if row & lowest else row for row in rows]
        return count

    assert field.directions(3, 2).tolist() == [3, 4, 5, 1]
    holds = np.zeros((35, 15), dtype=int)
    np.put_along_axis(holds, field.projective_lines(2, 3), 1, axis=1)
    assert rank(holds) == 11
    np.put_along_axis(holds := np.zeros((35, 15), dtype=int), block_design._triples(15), 1, axis=1)
    assert rank(holds) > 11


def test_two_lines_of_a_plane_meet_in_one_point():
    holds = incidence(draw("block_design", 13, 13, 4), 13).astype(int)
    np.testing.assert_array_equal(holds.T @ holds, np.ones((13, 13)) + 3 * np.eye(13))
