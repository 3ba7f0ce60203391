"""Sealed files that this program never wrote: refused in one line, before any of their numbers is read."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from resealed import Parts, change, numbers, parts, store, stretch

from byzcode.allocation import EMPTY
from byzcode.errors import UserError
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, netcdf, trajectories
from byzcode.training.workers import train

COSTS = {"device": "cpu", "threads": 1, "wall_seconds": 1.5, "cpu_seconds": 1.25}
HUGE = 2 * 10**9

Edit = Callable[[Parts], object]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSpec, Path, Path]:
    """A run, its trajectory and its allocation."""
    spec = RunSpec.parse(
        {
            "method": "cra_dl",
            "problem": {"name": "linear_regression", "subsets": 12, "dimension": 3},
            "devices": 6,
            "redundancy": 4,
            "aggregation": "median",
            "iterations": 8,
            "record": {"step": 2},
            "seeds": [3, 0],
        },
        "test",
    )
    folder = tmp_path_factory.mktemp("kept")
    assigned = allocations.draw(spec.allocation_spec)
    trajectories.write(folder / f"{spec.run_id}.nc", spec, train(spec, assigned), assigned, **COSTS)
    allocations.write(spec.allocation_spec, folder / "held.nc")
    return spec, folder / f"{spec.run_id}.nc", folder / "held.nc"


@pytest.fixture
def run(kept: tuple[RunSpec, Path, Path], tmp_path: Path) -> tuple[RunSpec, Path]:
    """A trajectory, to be changed."""
    return kept[0], Path(shutil.copy(kept[1], tmp_path))


@pytest.fixture
def assigned(kept: tuple[RunSpec, Path, Path], tmp_path: Path) -> tuple[AllocationSpec, Path]:
    """An allocation, to be changed."""
    return kept[0].allocation_spec, Path(shutil.copy(kept[2], tmp_path))


@contextmanager
def little_memory() -> Iterator[None]:
    """No more than 300 MB beside what is there: an array that takes more ends in a MemoryError."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(status["VmSize"].split()[0]) * 1024 + 300 * 2**20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refusals(path: Path, *readers: Callable[[], object]) -> set[str]:
    """What each reader says of a file."""
    messages = set()
    for read in readers:
        with little_memory(), pytest.raises(UserError) as caught:
            read()
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        messages.add(message.removeprefix(f"{path}: "))
    return messages


def of_run(spec: RunSpec, path: Path) -> set[str]:
    assigned = allocations.draw(spec.allocation_spec)
    with little_memory():
        assert not trajectories.agrees(path, spec, assigned, "cpu")
    return refusals(
        path,
        lambda: trajectories.open(path),
        lambda: trajectories.open(path, spec.run_id),
        lambda: trajectories.load(path),
        lambda: trajectories.load(path, spec.run_id),
    )


def of_held(spec: AllocationSpec, path: Path) -> set[str]:
    name = spec.allocation_id
    return refusals(
        path,
        lambda: allocations.read(path, spec),
        lambda: allocations.read(path, name),
        lambda: allocations.open(path),
        lambda: allocations.load(path, name),
    )


def test_a_file_put_together_again_is_the_same(
    run: tuple[RunSpec, Path], assigned: tuple[AllocationSpec, Path], kept: tuple[RunSpec, Path, Path]
) -> None:
    for (_, path), before, read in ((run, kept[1], trajectories.open), (assigned, kept[2], allocations.open)):
        change(path, lambda _: None)
        assert read(path).identical(read(before))


def declared(name: str, *dimensions: str, kind: Any = "f8") -> Edit:
    """A variable that is declared and never written, of a huge dimension."""

    def edit(content: Parts) -> None:
        content.dimensions["huge"] = HUGE
        content.variables[name] = (dimensions or ("huge",), kind)

    return edit


def label(name: str, **labels: Any) -> Edit:
    return lambda content: content.labels[name].update(labels)


def attribute(**attributes: Any) -> Edit:
    return lambda content: content.attributes.update(attributes)


def stored(name: str, **how: Any) -> Edit:
    return lambda content: content.how.update({name: how})


def more(edit: Callable[[Any], object]) -> Edit:
    return lambda content: setattr(content, "more", edit)


def unlimited(dimension: str, chunk: int) -> Edit:
    """Without a limit, in one chunk that is far larger than what is in it."""

    def edit(content: Parts) -> None:
        content.dimensions[dimension] = None
        for name, (dimensions, _) in content.variables.items():
            if dimension in dimensions:
                sizes = [
                    chunk if each == dimension else content.arrays[name].shape[at] for at, each in enumerate(dimensions)
                ]
                content.how[name] = {"compression": "zlib", "chunksizes": sizes}

    return edit


def typed(name: str, kind: str) -> Edit:
    def edit(content: Parts) -> None:
        content.variables[name] = (content.variables[name][0], np.dtype(kind))
        content.arrays[name] = content.arrays[name].astype(kind)

    return edit


#: What holds for every file, with a variable and a dimension of each.
ANY: dict[str, Callable[[str, str], Edit]] = {
    "a huge variable": lambda _, __: declared("extra"),
    "a huge variable of two dimensions": lambda _, dimension: declared("extra", "huge", dimension),
    "a huge text": lambda _, __: declared("extra", kind="S1"),
    "a huge dimension": lambda _, __: lambda content: content.dimensions.update(huge=HUGE),
    "a dimension that nothing has": lambda _, __: lambda content: content.dimensions.update(small=3),
    "a small variable": lambda _, dimension: lambda content: content.variables.update(extra=((dimension,), "f8")),
    "a scalar": lambda _, __: lambda content: content.variables.update(extra=((), "f8")),
    "far too many": lambda _, dimension: lambda content: stretch(content, dimension, 10**9),
    "a few too many": lambda _, dimension: lambda content: stretch(content, dimension, 40),
    "one alone": lambda _, dimension: lambda content: stretch(content, dimension, 1),
    "without a limit": lambda _, dimension: unlimited(dimension, 10**6),
    "a huge attribute": lambda _, __: attribute(history="x" * (3 * 2**20)),
    "a huge label": lambda name, _: label(name, comment="x" * (3 * 2**20)),
    "a group": lambda _, __: more(lambda dataset: dataset.createGroup("inner")),
    "a huge group": lambda _, __: more(lambda dataset: dataset.createGroup("inner").createDimension("huge", HUGE)),
    "a type of its own": lambda _, __: more(lambda dataset: dataset.createVLType("f8", "ragged")),
    "an enumeration": lambda _, __: more(lambda dataset: dataset.createEnumType("i1", "kinds", {"one": 1})),
    "a scale": lambda name, _: label(name, scale_factor=2.0),
    "an offset": lambda name, _: label(name, add_offset=1.0),
    "a fill value": lambda name, _: label(name, _FillValue=np.int8(0)),
    "a missing value": lambda name, _: label(name, missing_value=0),
    "a valid range": lambda name, _: label(name, valid_range=[0, 1]),
    "a time": lambda name, _: label(name, calendar="none"),
    "another checksum": lambda name, _: label(name, **{"own sha256": "0" * 64}),
    "a checksum that is a list": lambda name, _: label(name, **{"own sha256": [1, 2]}),
    "not compressed": lambda name, _: stored(name),
    "another kind of file": lambda _, __: attribute(byzcode_file="other"),
    "a kind that is a list": lambda _, __: attribute(byzcode_file=["trajectory", "trajectory"]),
    "a spec that is a number": lambda _, __: attribute(spec=3),
    "a spec nested too deeply": lambda _, __: attribute(spec='{"a": ' + "[" * 1000 + "]" * 1000 + "}"),
    "a spec that is none": lambda _, __: attribute(spec='{"devices": 6}'),
}


@pytest.mark.parametrize("kind", ANY)
@pytest.mark.parametrize("dimension", ["seed", "iteration"])
def test_a_trajectory_that_was_never_written_by_us(kind: str, dimension: str, run: tuple[RunSpec, Path]) -> None:
    spec, path = run
    change(path, ANY[kind]("status", dimension))
    assert of_run(spec, path)


@pytest.mark.parametrize("kind", ANY)
@pytest.mark.parametrize("dimension", ["seed", "device", "slot", "data_subset", "overlap"])
def test_an_allocation_that_was_never_written_by_us(
    kind: str, dimension: str, assigned: tuple[AllocationSpec, Path]
) -> None:
    spec, path = assigned
    change(path, ANY[kind]("subset", dimension))
    assert of_held(spec, path)


@pytest.mark.parametrize("kind", ["f4", "f8", "u4", "i8", "u8", "S1"])
def test_a_type_that_is_not_ours(kind: str, run: tuple[RunSpec, Path], assigned: tuple[AllocationSpec, Path]) -> None:
    """NaN and fractions among subsets come with it."""
    change(run[1], typed("status_at" if kind == "f8" else "loss", kind))
    change(assigned[1], typed("subset", kind))
    assert all("is of type" in line for line in of_run(*run) | of_held(*assigned))


def test_the_numbers_of_a_machine_that_turns_bytes_round_are_the_same(
    run: tuple[RunSpec, Path], kept: tuple[RunSpec, Path, Path]
) -> None:
    def turn(content: Parts) -> None:
        for name in ("loss", "status_at"):
            content.how[name] = {"compression": "zlib", "endian": "big"}
            content.variables[name] = (content.variables[name][0], content.variables[name][1].newbyteorder(">"))

    change(run[1], turn)
    content = trajectories.open(run[1])
    assert content.identical(trajectories.open(kept[1]))
    assert all(content[name].dtype.isnative for name in content.variables)


def test_a_spec_of_another_size_is_no_leave_to_read_as_much(run: tuple[RunSpec, Path]) -> None:
    """The file says it is a huge run, and has its sizes: who asks for another run reads none of its numbers."""
    spec, path = run
    huge = spec.model_copy(update={"iterations": 10**6, "record": spec.record.model_copy(update={"step": 1})})

    def pretend(content: Parts) -> None:
        content.attributes |= {"spec": huge.canonical(), "run_id": huge.run_id}
        stretch(content, "iteration", 10**6 + 1)

    change(path, pretend)
    [message] = refusals(
        path, lambda: trajectories.open(path, spec.run_id), lambda: trajectories.load(path, spec.run_id)
    )
    assert message == f"holds run {huge.run_id}; expected {spec.run_id}"


def filled(value: float) -> Callable[[NDArray[Any]], None]:
    def fill(array: NDArray[Any]) -> None:
        array[...] = value

    return fill


def first(value: float) -> Callable[[NDArray[Any]], None]:
    def put(array: NDArray[Any]) -> None:
        array.flat[0] = value

    return put


RUNS: dict[str, tuple[str, Callable[[NDArray[Any]], object]]] = {
    "other seeds": ("seed", first(7)),
    "seeds in another order": ("seed", lambda array: array[::-1]),
    "other iterations": ("iteration", first(1)),
    "iterations that fall": ("iteration", lambda array: array[::-1]),
    "an unknown status": ("status", first(9)),
    "a negative status": ("status", first(-1)),
    "ended, and finished": ("status_at", first(4)),
    "ended between two records": ("status_at", first(3)),
    "not ended, and diverged": ("status", filled(1)),
    "no decoding failures at all": ("decoding_failures", filled(np.nan)),
    "infinitely many errors": ("decoding_errors", filled(np.inf)),
    "fewer errors than none": ("decoding_errors", filled(-1)),
}


@pytest.mark.parametrize("kind", RUNS)
def test_numbers_that_no_run_has(kind: str, run: tuple[RunSpec, Path]) -> None:
    spec, path = run
    name, edit = RUNS[kind]
    change(path, numbers(name, edit))
    assert all(line.startswith("foreign: its ") for line in of_run(spec, path))


def twice(array: NDArray[Any]) -> None:
    array[0, 0, 1] = array[0, 0, 0]


def downwards(array: NDArray[Any]) -> NDArray[Any]:
    return array[..., ::-1]


def gap(array: NDArray[Any]) -> None:
    array[0, 0, 0] = EMPTY


def last_gap(array: NDArray[Any]) -> None:
    array[0, 0, -1] = EMPTY


HELD: dict[str, tuple[str, Callable[[NDArray[Any]], object]]] = {
    "beyond the last subset": ("subset", lambda array: array + 11),
    "the number of subsets": ("subset", lambda array: np.where(array == array.max(), 12, array)),
    "negative": ("subset", first(-2)),
    "the least number": ("subset", first(-(2**31))),
    "all empty": ("subset", filled(EMPTY)),
    "twice in a list": ("subset", twice),
    "downwards": ("subset", downwards),
    "a gap": ("subset", gap),
    "fewer than r": ("subset", last_gap),
    "lists of another": ("subset", lambda array: (array + 1) % 12),
    "other seeds": ("seed", first(7)),
    "seeds in another order": ("seed", lambda array: array[::-1]),
    "other replications": ("replication", first(9)),
    "negative replications": ("replication", filled(-1)),
    "a mean that is none": ("replication_mean", filled(np.nan)),
    "another spread": ("replication_std", filled(9.0)),
    "other uncovered": ("uncovered", filled(3)),
    "other overlaps": ("overlap_count", first(99)),
    "negative overlaps": ("overlap_count", filled(-1)),
    "overlaps of other pairs": ("overlap_count", lambda array: array[:, ::-1]),
    "another mean overlap": ("overlap_mean", filled(3.0)),
    "an infinite overlap": ("overlap_std", filled(np.inf)),
    "other counts": ("overlap", lambda array: array + 1),
}


@pytest.mark.parametrize("kind", HELD)
def test_lists_that_no_allocation_has(kind: str, assigned: tuple[AllocationSpec, Path]) -> None:
    spec, path = assigned
    name, edit = HELD[kind]
    change(path, numbers(name, edit))
    assert all(line.startswith("foreign: ") for line in of_held(spec, path))


SERVED: list[dict[str, Any]] = [
    {"allocation": "random", "devices": 6, "subsets": 12, "redundancy": 4},
    {"allocation": {"name": "random", "side": "subset"}, "devices": 6, "subsets": 12, "redundancy": 4},
    {"allocation": {"name": "random", "side": "subset"}, "devices": 9, "subsets": 2, "redundancy": 1},
    {"allocation": "random", "devices": 1, "subsets": 1, "redundancy": 1},
    {"allocation": "disjoint", "devices": 5, "subsets": 12, "redundancy": 2},
    {"allocation": "cyclic", "devices": 6, "subsets": 12, "redundancy": 4},
    {"allocation": "repetition", "devices": 6, "subsets": 12, "redundancy": 4},
    {"allocation": "orthogonal_array", "devices": 3, "subsets": 9, "redundancy": 3},
    {"allocation": "block_design", "devices": 7, "subsets": 7, "redundancy": 3},
    {"allocation": "difference_set", "devices": 7, "subsets": 7, "redundancy": 3},
]


@pytest.mark.parametrize("values", SERVED, ids=str)
def test_every_allocation_that_is_written_is_read(values: dict[str, Any], tmp_path: Path) -> None:
    spec, path = AllocationSpec.parse({**values, "seeds": [0, 5, 2]}, "test"), tmp_path / "a.nc"
    allocations.write(spec, path)
    drawn = allocations.draw(spec)
    np.testing.assert_array_equal(allocations.read(path, spec), drawn)
    np.testing.assert_array_equal(allocations.read(path, spec.allocation_id), drawn)
    np.testing.assert_array_equal(allocations.open(path)["subset"].to_numpy(), drawn)


def test_the_numbers_are_those_of_another_reader(
    run: tuple[RunSpec, Path], assigned: tuple[AllocationSpec, Path]
) -> None:
    import xarray

    for path, ours in ((run[1], trajectories.open(run[1])), (assigned[1], allocations.open(assigned[1]))):
        with xarray.open_dataset(path, engine="netcdf4") as theirs:
            assert ours.identical(theirs.load())


# --- locks -----------------------------------------------------------------------------------------------------------

NO_LOCKS = """
#include <errno.h>
int flock(int file, int how) { errno = ENOLCK; return -1; }
"""
WITHOUT = """
import sys
from pathlib import Path
from byzcode.storage import allocations, trajectories

held, run, out = map(Path, sys.argv[1:])
trajectories.open(run)
spec = allocations.load(held).spec
allocations.open(held)
allocations.write(spec, out)
allocations.read(out, spec)
"""


def test_a_file_system_without_locks_is_good_enough(
    run: tuple[RunSpec, Path], assigned: tuple[AllocationSpec, Path], tmp_path: Path
) -> None:
    """As a network may have it: every flock fails there."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is here")
    (tmp_path / "none.c").write_text(NO_LOCKS)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "none.so", tmp_path / "none.c"], check=True)
    environment = {key: value for key, value in os.environ.items() if key != "HDF5_USE_FILE_LOCKING"}
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT, assigned[1], run[1], tmp_path / "again.nc"],
        env={**environment, "LD_PRELOAD": str(tmp_path / "none.so")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "again.nc").exists()


def test_the_checksums_of_parts_are_ours(kept: tuple[RunSpec, Path, Path], tmp_path: Path) -> None:
    content = parts(kept[1])
    store(tmp_path / "again.nc", content)
    assert content.labels["loss"]["sha256"] == netcdf.digest(content.arrays["loss"])
