"""Allocations: who holds what, how that is counted, and the file that stores it."""

from __future__ import annotations

import itertools
import re

import netCDF4
import numpy as np
import pytest
from unit.tables import SIZES, cases, sizes_of

from byzcode.allocation import ALLOCATIONS, EMPTY
from byzcode.allocation.scheme import from_matrix
from byzcode.allocation.statistics import incidence, overlaps, replications
from byzcode.coding import ENCODERS
from byzcode.errors import UserError
from byzcode.randomness import Stream
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage import allocations, seal


def lists_of(name, devices, subsets, redundancy, seed=0, **options):
    return ALLOCATIONS[name](devices, subsets, redundancy, Stream(seed, "test").at(0), **options)


def sets_of(assigned):
    return [set(row[row != EMPTY].tolist()) for row in assigned]


def spec_of(**changes):
    values = {"allocation": "random", "devices": 20, "subsets": 60, "redundancy": 12, "seeds": [3, 0, 8], **changes}
    return AllocationSpec.parse(values, "test")


SERVED = [(name, *size) for name in ALLOCATIONS for size in sizes_of(name)]
CASES = [(name, options, *size) for name, options in cases(ALLOCATIONS).values() for size in sizes_of(name)]


@pytest.mark.parametrize(("name", "options", "devices", "subsets", "redundancy"), CASES)
def test_lists_are_sorted_and_each_subset_is_in_once(name, options, devices, subsets, redundancy):
    assigned = lists_of(name, devices, subsets, redundancy, **options)
    assert assigned.dtype == np.int32
    assert len(assigned) == devices
    for row in assigned:
        kept = row[row != EMPTY]
        assert (row[len(kept) :] == EMPTY).all()  # empty slots come last
        assert (np.diff(kept) > 0).all()
        assert ((kept >= 0) & (kept < subsets)).all()
    assert (assigned != EMPTY).any(axis=0).all()  # as many slots as the device with most subsets needs
    np.testing.assert_array_equal(
        assigned, lists_of(name, devices, subsets, redundancy, **options)
    )  # of the same draws


def test_every_allocation_serves_one_of_the_sizes():
    assert {name for name, *_ in SERVED} == set(ALLOCATIONS)


@pytest.mark.parametrize(("name", "options", "devices", "subsets", "redundancy"), CASES)
def test_every_device_holds_exactly_r_where_the_entry_says_so(name, options, devices, subsets, redundancy):
    assigned = lists_of(name, devices, subsets, redundancy, **options)
    spec = spec_of(allocation={"name": name, **options}, devices=devices, subsets=subsets, redundancy=redundancy)
    if ALLOCATIONS[name].exact(**spec.allocation.options):
        assert assigned.shape == (devices, redundancy)
        assert (assigned != EMPTY).all()


@pytest.mark.parametrize(("name", "options", "devices", "subsets", "redundancy"), CASES)
def test_laws_and_spectra_are_those_of_what_is_drawn(name, options, devices, subsets, redundancy):
    """A law gives every count that occurs a probability; a pairwise balanced allocation has one overlap."""
    scheme = ALLOCATIONS[name]
    assigned = lists_of(name, devices, subsets, redundancy, **options)
    spec = spec_of(allocation={"name": name, **options}, devices=devices, subsets=subsets, redundancy=redundancy)
    shared, copies = set(overlaps(assigned, subsets).tolist()), set(replications(assigned, subsets).tolist())
    if scheme.pairwise:
        assert len(shared) <= 1
    if scheme.laws is not None:
        known = scheme.laws(devices, subsets, redundancy, **spec.allocation.options)
        assert all(known.overlap(count) > 0 for count in shared)
        assert all(known.replication(count) > 0 for count in copies)
    if scheme.spectral is not None:
        weights = incidence(assigned, subsets) / redundancy
        centred = weights - weights.mean(axis=1, keepdims=True)
        largest = subsets * np.linalg.norm(centred, 2) ** 2
        assert scheme.spectral(devices, subsets, redundancy) == pytest.approx(largest, abs=1e-9)


@pytest.mark.parametrize("name", ALLOCATIONS)
def test_a_size_that_is_refused_is_refused_with_a_reason_and_not_drawn(name):
    refused = [(5, 7, 0), (5, 7, 8), (3, 5, 2), (20, 60, 61), (100, 1000, 40), (7, 8, 3)]
    for size in refused:
        reason = ALLOCATIONS[name].refuses(*size)
        if reason is not None:
            assert reason
            assert reason.isprintable()
            with pytest.raises(ValueError, match=re.escape(reason)):
                lists_of(name, *size)
    assert ALLOCATIONS[name].refuses(5, 7, 8), "no device can hold more subsets than there are"
    assert ALLOCATIONS[name].refuses(5, 7, 0)


@pytest.mark.parametrize(("devices", "subsets", "redundancy"), SIZES)
def test_random_from_the_devices_side_holds_exactly_r(devices, subsets, redundancy):
    assigned = lists_of("random", devices, subsets, redundancy, side="device")
    assert [len(each) for each in sets_of(assigned)] == [redundancy] * devices


@pytest.mark.parametrize(("devices", "subsets", "redundancy"), SIZES)
def test_random_from_the_subsets_side_replicates_exactly(devices, subsets, redundancy):
    assigned = lists_of("random", devices, subsets, redundancy, side="subset")
    copies = max(1, round(devices * redundancy / subsets))
    assert (replications(assigned, subsets) == copies).all()


def test_random_devices_are_drawn_uniformly():
    """Each subset is on a device with probability r / M."""
    assigned = lists_of("random", 5000, 30, 6)
    share = replications(assigned, 30) / 5000
    assert np.abs(share - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 5000)
    assert len(np.unique(assigned[:100], axis=0)) == 100


def test_random_redundancies_are_nested():
    """A device that holds r subsets holds them too at a greater r: a sweep over r is paired."""
    for small, big in zip(
        sets_of(lists_of("random", 20, 60, 12)), sets_of(lists_of("random", 20, 60, 30)), strict=True
    ):
        assert small <= big


@pytest.mark.parametrize("redundancy", [1, 2, 3])
def test_disjoint_devices_share_nothing(redundancy):
    assigned = lists_of("disjoint", 20, 60, redundancy)
    assert len(np.unique(assigned)) == 20 * redundancy
    assert (overlaps(assigned, 60) == 0).all()
    if redundancy == 3:
        assert (replications(assigned, 60) == 1).all()
    assert not np.array_equal(
        assigned, lists_of("disjoint", 20, 60, redundancy, seed=1)
    )  # shuffled, not dealt in order


@pytest.mark.parametrize("side", ["device", "subset"])
def test_statistics_agree_with_counting(side):
    assigned = lists_of("random", 15, 40, 9, side=side)
    sets = sets_of(assigned)
    assert replications(assigned, 40).tolist() == [sum(k in each for each in sets) for k in range(40)]
    assert overlaps(assigned, 40).tolist() == [len(a & b) for a, b in itertools.combinations(sets, 2)]
    assert [set(np.flatnonzero(row).tolist()) for row in incidence(assigned, 40)] == sets
    np.testing.assert_array_equal(from_matrix(incidence(assigned, 40)), assigned)


def test_a_device_without_subsets_is_all_empty():
    holds = np.zeros((3, 5), dtype=bool)
    holds[0, [1, 4]] = True
    np.testing.assert_array_equal(from_matrix(holds), [[1, 4], [EMPTY, EMPTY], [EMPTY, EMPTY]])
    assert replications(from_matrix(holds), 5).tolist() == [0, 1, 0, 0, 1]
    assert overlaps(from_matrix(holds), 5).tolist() == [0, 0, 0]
    for name in ("uniform", "replication"):
        weights = ENCODERS[name](from_matrix(holds), 5)
        assert np.isfinite(weights).all()
        assert (weights[1:] == 0).all()


def test_weights_are_those_of_the_formulas():
    assigned = np.array([[0, 1, 2], [1, 3, EMPTY], [1, EMPTY, EMPTY]], dtype=np.int32)
    np.testing.assert_allclose(
        ENCODERS["uniform"](assigned, 5), [[1 / 3] * 3, [1 / 2, 1 / 2, 0], [1, 0, 0]], rtol=1e-15
    )
    expected = [[3 / 5, 3 / 15, 3 / 5], [3 / 15, 3 / 5, 0], [3 / 15, 0, 0]]  # N / (M c_k)
    np.testing.assert_allclose(ENCODERS["replication"](assigned, 5), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "devices", "subsets", "redundancy", "bound"),
    [
        ("random", 20, 60, 0, "1 to 60"),
        ("random", 20, 60, 61, "1 to 60"),
        ("random", 20, 60, -1, "1 to 60"),
        ("disjoint", 20, 60, 4, "1 to 3"),
        ("disjoint", 20, 60, 0, "1 to 3"),
        ("disjoint", 20, 59, 3, "1 to 2"),
    ],
)
def test_sizes_that_cannot_be_served_are_refused_with_the_bound(name, devices, subsets, redundancy, bound):
    assert bound in ALLOCATIONS[name].refuses(devices, subsets, redundancy)
    with pytest.raises(ValueError, match=rf"{name}.*{redundancy}.*{bound}"):
        lists_of(name, devices, subsets, redundancy)


def test_sizes_that_can_be_served_are_not_refused():
    assert ALLOCATIONS["random"].refuses(20, 60, 60) is None
    assert ALLOCATIONS["disjoint"].refuses(20, 60, 3) is None


# --- the file --------------------------------------------------------------------------------------------------------

ASYMMETRIC = {"allocation": {"name": "random", "side": "subset"}}


@pytest.mark.parametrize("changes", [{}, ASYMMETRIC, {"allocation": "disjoint", "redundancy": 3}], ids=str)
def test_what_is_written_is_read_again(changes, tmp_path):
    spec, path = spec_of(**changes), tmp_path / "deep" / "a.nc"
    allocations.write(spec, path)
    assigned = allocations.read(path, spec)
    assert assigned.dtype == np.int32
    np.testing.assert_array_equal(assigned, allocations.draw(spec))
    assert [each.name for each in path.parent.iterdir()] == ["a.nc"]


@pytest.mark.parametrize("changes", [{}, ASYMMETRIC], ids=str)
def test_the_statistics_in_the_file_are_those_of_its_lists(changes, tmp_path):
    spec, path = spec_of(**changes), tmp_path / "a.nc"
    allocations.write(spec, path)
    dataset = allocations.open(path)
    assert dataset.attrs["allocation_id"] == spec.allocation_id
    assert AllocationSpec.from_json(dataset.attrs["spec"], path) == spec
    assert dataset["seed"].values.tolist() == [3, 0, 8]
    for place, assigned in enumerate(allocations.draw(spec)):
        each = dataset.isel(seed=place)
        shared, copies = overlaps(assigned, 60), replications(assigned, 60)
        assert each["replication"].values.tolist() == copies.tolist()
        counted = dict(zip(each["overlap"].values.tolist(), each["overlap_count"].values.tolist(), strict=True))
        assert {k: v for k, v in counted.items() if v} == {k: shared.tolist().count(k) for k in set(shared.tolist())}
        assert float(each["overlap_mean"]) == pytest.approx(shared.mean())
        assert float(each["overlap_std"]) == pytest.approx(shared.std())
        assert float(each["replication_mean"]) == pytest.approx(copies.mean())
        assert float(each["replication_std"]) == pytest.approx(copies.std())
        assert int(each["uncovered"]) == (copies == 0).sum()
    for variable in dataset.variables.values():
        assert variable.attrs["long_name"]
        assert variable.attrs["units"]


def test_one_device_alone_has_no_overlaps(tmp_path):
    spec = spec_of(devices=1)
    allocations.write(spec, tmp_path / "a.nc")
    assert allocations.open(tmp_path / "a.nc")["overlap_mean"].values.tolist() == [0, 0, 0]


def test_a_seeds_lists_do_not_depend_on_other_seeds():
    together = allocations.draw(spec_of())
    for place, seed in enumerate((3, 0, 8)):
        np.testing.assert_array_equal(allocations.draw(spec_of(seeds=[seed]))[0], together[place])
    assert not np.array_equal(together[0], together[1])


def test_shorter_lists_are_filled_up():
    """From the subsets' side the longest list differs from seed to seed."""
    spec = spec_of(**ASYMMETRIC, seeds=list(range(6)))
    lists = allocations.draw(spec)
    alone = [allocations.draw(spec_of(**ASYMMETRIC, seeds=[seed]))[0] for seed in range(6)]
    assert len({each.shape for each in alone}) > 1
    for each, assigned in zip(alone, lists, strict=True):
        np.testing.assert_array_equal(each, assigned[:, : each.shape[1]])
        assert (assigned[:, each.shape[1] :] == EMPTY).all()


@pytest.mark.parametrize(
    "changes", [{"seeds": [3, 0, 9]}, {"seeds": [0, 3, 8]}, {"redundancy": 13}, {"subsets": 61}, ASYMMETRIC], ids=str
)
def test_the_file_of_another_spec_is_refused(changes, tmp_path):
    path = tmp_path / "a.nc"
    allocations.write(spec_of(**changes), path)
    with pytest.raises(UserError, match=rf"^{path}: holds another allocation") as caught:
        allocations.read(path, spec_of())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["missing", "text", "truncated", "incomplete"])
def test_a_bad_file_is_refused(how, tmp_path):
    spec, path = spec_of(), tmp_path / "a.nc"
    if how == "text":
        path.write_text("not NetCDF")
    elif how != "missing":
        allocations.write(spec, path)
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    if how == "incomplete":
        with netCDF4.Dataset(path, "a") as dataset:
            dataset.delncattr("complete")
        seal.seal(path)
    for read in (lambda: allocations.read(path, spec), lambda: allocations.open(path)):
        with pytest.raises(UserError, match=rf"^{path}: ") as caught:
            read()
        assert "\n" not in str(caught.value)
