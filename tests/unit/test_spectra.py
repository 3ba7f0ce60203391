"""Spectra and expectations of lists in closed form, beside those of the matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byzcode.allocation import ALLOCATIONS
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage import allocations
from byzcode.theory import expectations, overlaps, worst_case


def weights(allocation, devices, subsets, redundancy):
    """The weights 1/r of the lists that seed 0 draws."""
    asked = {"allocation": allocation, "devices": devices, "subsets": subsets, "redundancy": redundancy, "seeds": [0]}
    found = np.zeros((devices, subsets))
    np.put_along_axis(found, allocations.draw(AllocationSpec.parse(asked, "test"))[0], 1 / redundancy, axis=1)
    return found


def spectral(*size):
    return float(worst_case.spectral(weights(*size)))


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 11))
def test_disjoint_lists(devices, redundancy, left):
    size = devices, devices * redundancy + left, redundancy
    assert overlaps.spectral("disjoint", *size) == pytest.approx(spectral("disjoint", *size), abs=1e-11)
    for f in range((devices + 1) // 2):
        one, other = expectations.disjoint_lists(*size, f), expectations.random_labels(weights("disjoint", *size), f)
        np.testing.assert_allclose(one.dispersion, other.dispersion, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.bias, other.bias, rtol=1e-9, atol=1e-12)


@given(st.integers(1, 25), st.integers(1, 4), st.data())
def test_cyclic_lists(devices, task, data):
    tasks = data.draw(st.integers(1, devices))
    size = devices, devices * task, tasks * task
    assert overlaps.spectral("cyclic", *size) == pytest.approx(spectral("cyclic", *size), abs=1e-11)
    for f in range((devices + 1) // 2):
        one, other = expectations.redrawn_tasks(*size, f), expectations.random_labels(weights("cyclic", *size), f)
        np.testing.assert_allclose(one.dispersion, other.dispersion, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.bias, other.bias, rtol=1e-9, atol=1e-12)


@given(st.integers(1, 30), st.integers(1, 60), st.data())
def test_sampled_lists(devices, subsets, data):
    size = devices, subsets, data.draw(st.integers(1, subsets))
    assert overlaps.spectral("random", *size) == pytest.approx(spectral("random", *size), abs=1e-10)


@pytest.mark.parametrize(
    "size", [(100, 100, 3), (100, 130, 128), (120, 400, 200), (150, 150, 149), (100, 101, 1), (64, 64, 32)]
)
def test_sampled_lists_of_many_devices_need_no_eigenvalues(size, monkeypatch):
    expected = spectral("random", *size)
    overlaps.sampled.cache_clear()
    monkeypatch.setattr(overlaps, "_FEW", 50)
    monkeypatch.setattr(np.linalg, "eigvalsh", None)
    assert overlaps.spectral("random", *size) == pytest.approx(expected, rel=1e-9)
    overlaps.sampled.cache_clear()


def test_overlaps_are_counted_in_parts(monkeypatch):
    overlaps.sampled.cache_clear()
    monkeypatch.setattr(overlaps, "_EXACT", 7)
    assert overlaps.spectral("random", 9, 50, 20) == pytest.approx(spectral("random", 9, 50, 20))
    overlaps.sampled.cache_clear()


# --- how sampled lists are drawn -------------------------------------------------------------------------------------


def sorted_out(rows, numbers, chosen, generator):
    """The places of the least numbers, as a stable sort finds them."""
    return np.sort(generator.random((rows, numbers)).argsort(axis=1, kind="stable")[:, :chosen], axis=1)


@given(st.integers(1, 30), st.integers(1, 40), st.data(), st.integers(0, 2**32 - 1), st.sampled_from([1, 64, 2**20]))
def test_the_least_random_numbers_are_those_of_a_stable_sort(devices, subsets, data, seed, block):
    redundancy = data.draw(st.integers(1, subsets))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("byzcode.allocation.random._BLOCK", block)
        assigned = ALLOCATIONS["random"](devices, subsets, redundancy, np.random.default_rng(seed))
        by_subset = ALLOCATIONS["random"](devices, subsets, redundancy, np.random.default_rng(seed), side="subset")
    assert assigned.tolist() == sorted_out(devices, subsets, redundancy, np.random.default_rng(seed)).tolist()
    copies = max(1, round(devices * redundancy / subsets))
    chosen = sorted_out(subsets, devices, copies, np.random.default_rng(seed))
    assert [np.flatnonzero((by_subset == k).any(axis=1)).tolist() for k in range(subsets)] == chosen.tolist()


class _Coarse:
    """Random numbers of which many are equal."""

    def __init__(self, seed):
        self._generator = np.random.default_rng(seed)

    def random(self, shape):
        return self._generator.integers(0, 3, shape) / 3


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_of_equal_random_numbers_the_first_are_taken(seed, redundancy):
    assigned = ALLOCATIONS["random"](5, 12, redundancy, _Coarse(seed))
    assert assigned.tolist() == sorted_out(5, 12, redundancy, _Coarse(seed)).tolist()
