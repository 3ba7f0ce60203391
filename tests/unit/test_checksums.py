"""Checksums: of the numbers in a file, of the whole file, and of tables by a list beside them."""

from __future__ import annotations

import os
import shutil
import subprocess

import netCDF4
import numpy as np
import pytest
import xarray
from typer.testing import CliRunner
from vouched import vouched

from byzcode.cli import app
from byzcode.errors import UserError
from byzcode.provenance.content import canonical, short_hash
from byzcode.storage import allocations, checksums, netcdf, seal, trajectories
from byzcode.storage.layout import STAGES
from byzcode.training.workers import train

COSTS = {"device": "cpu", "threads": 1, "wall_seconds": 1.5, "cpu_seconds": 1.25}


@pytest.fixture
def run(make_spec, tmp_path):
    """A stored run."""
    spec = make_spec(iterations=20)
    path = tmp_path / "trajectories" / f"{spec.run_id}.nc"
    assigned = allocations.draw(spec.allocation_spec)
    trajectories.write(path, spec, train(spec, assigned), assigned, **COSTS)
    return path


@pytest.fixture
def assigned(make_spec, tmp_path):
    """A stored allocation."""
    spec = make_spec().allocation_spec
    path = tmp_path / "allocations" / f"{spec.allocation_id}.nc"
    allocations.write(spec, path)
    return path


def refusal(read) -> str:
    with pytest.raises(UserError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    return message


def flipped(path, bit):
    """One bit turned over."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


# Numbers.


def test_the_checksum_of_numbers_is_of_type_shape_and_bytes():
    """By ``printf '<f8 [2]' ... | sha256sum``: nothing of this library is in it."""
    array = np.array([1.0, -2.5])
    by_hand = b"<f8 [2]" + bytes.fromhex("000000000000f03f" + "00000000000004c0")
    ended = subprocess.run(["sha256sum"], input=by_hand, capture_output=True, check=True)
    assert netcdf.digest(array) == ended.stdout.decode().split()[0]


@pytest.mark.parametrize(
    "other",
    [
        np.array([1.0, 2.0, 3.0, 4.0], "f4"),
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1.0, 2.0, 3.0, 4.0]]),
        np.array([1.0, 2.0, 3.0, np.nextafter(4.0, 5)]),
        np.array([2.0, 1.0, 3.0, 4.0]),
    ],
    ids=["type", "shape", "dimensions", "last bit", "order"],
)
def test_other_numbers_have_another_checksum(other):
    assert netcdf.digest(np.array([1.0, 2.0, 3.0, 4.0])) != netcdf.digest(other)


def test_the_order_in_memory_does_not_matter():
    array = np.arange(6.0).reshape(2, 3)
    assert netcdf.digest(array) == netcdf.digest(np.asfortranarray(array)) == netcdf.digest(array.astype(">f8"))


def test_every_variable_carries_its_checksum(run, assigned):
    for path in (run, assigned):
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            assert dataset.variables
            for variable in dataset.variables.values():
                assert variable.sha256 == netcdf.digest(variable[...])


def test_two_trainings_of_a_run_have_the_same_checksums_of_numbers(make_spec, tmp_path):
    """The files differ in the seconds that they took; the numbers do not."""
    spec = make_spec(iterations=20)
    drawn = allocations.draw(spec.allocation_spec)
    sums = []
    for seconds in (1.0, 2.0):
        trajectories.write(tmp_path / "t.nc", spec, train(spec, drawn), drawn, **COSTS | {"wall_seconds": seconds})
        with netCDF4.Dataset(tmp_path / "t.nc") as dataset:
            sums.append({name: variable.sha256 for name, variable in dataset.variables.items()})
    assert sums[0] == sums[1]


@pytest.mark.parametrize("name", ["loss", "smoothness", "iteration"])
def test_other_numbers_under_a_good_seal_are_refused(name, run):
    """As a library that reads wrongly would give them."""
    with netCDF4.Dataset(run, "a") as dataset:
        dataset[name][-1] = 7
    seal.seal(run)
    message = refusal(lambda: trajectories.open(run))
    assert message == f"{run}: damaged: the numbers of variable {name} do not match their checksum"


def test_numbers_without_a_checksum_are_refused(run):
    with netCDF4.Dataset(run, "a") as dataset:
        dataset["loss"].delncattr("sha256")
    seal.seal(run)
    assert "variable loss" in refusal(lambda: trajectories.open(run))


# The whole file.


def test_a_sealed_file_is_one_for_every_tool(run):
    """xarray, the NetCDF library and its command read it as if there were no seal."""
    assert run.read_bytes()[:4] == b"\x89HDF"
    assert run.read_bytes()[-seal.LENGTH :].startswith(b"\n# sha256 of all before this line: ")
    with xarray.open_dataset(run) as plain:
        assert plain.load().identical(trajectories.open(run))
    if shutil.which("ncdump"):
        assert b"loss" in subprocess.run(["ncdump", "-h", run], capture_output=True, check=True).stdout


def test_the_seal_is_what_sha256sum_says(run, tmp_path):
    content = run.read_bytes()
    (tmp_path / "before").write_bytes(content[: -seal.LENGTH])
    ended = subprocess.run(["sha256sum", tmp_path / "before"], capture_output=True, check=True)
    assert content.decode("latin-1").split()[-1] == ended.stdout.decode().split()[0]


def test_200_flipped_bits_are_all_refused(run, assigned):
    """Wherever they are: in numbers, attributes, the container, its unused bytes, or the seal. HDF5 sees none."""
    for path, read in ((run, lambda: trajectories.open(run)), (assigned, lambda: allocations.open(assigned))):
        original = path.read_bytes()
        bits = np.random.default_rng(0).integers(8 * len(original), size=100)
        for bit in (*bits, 0, 8 * len(original) - 1, 8 * (len(original) - 40), 8 * (len(original) - seal.LENGTH)):
            flipped(path, int(bit))
            message = refusal(read)
            assert message.startswith(f"{path}: ")
            assert "damaged" in message
            path.write_bytes(original)
        read()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda path: path.write_bytes(b""), "truncated: it is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "truncated, damaged or foreign"),
        (lambda path: path.write_bytes(path.read_bytes()[1:]), "damaged: its content"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\n"), "truncated, damaged or foreign"),
        (lambda path: (path.unlink(), path.mkdir()), "a folder, where a file is expected"),
        (lambda path: path.unlink(), "no such file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(change, expected, run):
    change(run)
    assert refusal(lambda: trajectories.open(run)).startswith(f"{run}: {expected}")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("spec", 7, "foreign: its attribute spec is not a text"),
        ("spec", [1, 2], "foreign: its attribute spec is not a text"),
        ("engine_digest", [1.0, 2.0], "foreign: its attribute engine_digest is not a text"),
        ("byzcode_file", [1, 2], "foreign file: its attribute byzcode_file is not 'trajectory'"),
        ("complete", [1, 1], "incomplete: its attribute complete is not 1"),
        ("complete", "1", "incomplete: its attribute complete is not 1"),
    ],
)
def test_attributes_of_other_types_are_refused(name, value, expected, run):
    with netCDF4.Dataset(run, "a") as dataset:
        dataset.setncattr(name, value)
    seal.seal(run)
    assert refusal(lambda: trajectories.load(run)) == f"{run}: {expected}"


def test_a_checksum_that_is_no_text_is_refused(run):
    with netCDF4.Dataset(run, "a") as dataset:
        dataset["loss"].sha256 = [1, 2]
    seal.seal(run)
    assert "the numbers of variable loss do not match" in refusal(lambda: trajectories.load(run))


ODD = {
    "a pipe": (os.mkfifo, "not a regular file"),
    "zeros without end": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "a full device": (lambda path: path.symlink_to("/dev/full"), "not a regular file"),
    "10 TiB of nothing": (
        lambda path: (path.touch(), os.truncate(path, 10 * 2**40)),
        f"{10 * 2**40} bytes; allowed: at most {seal.MOST_BYTES}",
    ),
    "a link to itself": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_or_too_large_is_refused(kind, tmp_path):
    """None of them is waited for, nor read."""
    path = tmp_path / "one.nc"
    make, expected = ODD[kind]
    try:
        make(path)
    except OSError:
        pytest.skip("this file system has no files of 10 TiB")
    assert refusal(lambda: seal.content_of(path)) == f"{path}: cannot be read: {expected}"
    assert refusal(lambda: trajectories.load(path)) == f"{path}: cannot be read: {expected}"
    if kind != "10 TiB of nothing":
        refusal(lambda: seal.checksum_in(path))


@pytest.mark.parametrize("option", ["--request", "--spec"])
def test_a_request_or_spec_out_of_what_is_no_file_is_refused(option, tmp_path):
    path = tmp_path / "asked.json"
    os.mkfifo(path)
    command = {"--request": "summarise", "--spec": "train"}[option]
    given = [option, str(path), "--out", str(tmp_path / "out")]
    folder = ["--results", str(tmp_path)] if option == "--request" else []
    ended = CliRunner().invoke(app, [command, *given, *folder])
    assert isinstance(ended.exception, UserError)
    assert str(ended.exception) == f"{path}: cannot be read: not a regular file"


def test_a_request_nested_too_deeply_is_refused(tmp_path):
    path = tmp_path / "asked.json"
    path.write_text('{"a": ' + "[" * 100_000)
    ended = CliRunner().invoke(
        app, ["summarise", "--request", str(path), "--out", str(tmp_path / "out.csv"), "--results", str(tmp_path)]
    )
    assert isinstance(ended.exception, UserError)
    assert "not valid JSON" in str(ended.exception)


def test_a_file_in_which_another_program_wrote_is_refused(run):
    with netCDF4.Dataset(run, "a") as dataset:
        dataset.history = "edited"
    assert refusal(lambda: trajectories.open(run)).startswith(f"{run}: ")


def test_another_run_than_the_one_asked_for_is_refused(make_spec, tmp_path):
    """Two files exchanged: each is whole and holds a run, and not the one of its name."""
    paths = []
    for step in (0.1, 0.2):
        spec = make_spec(step_size=step, iterations=5)
        paths.append(tmp_path / f"{spec.run_id}.nc")
        drawn = allocations.draw(spec.allocation_spec)
        trajectories.write(paths[-1], spec, train(spec, drawn), drawn, **COSTS)
    first, second = paths
    swap(first, second)
    assert trajectories.open(first).attrs["run_id"] == second.stem  # it was not said which
    for read in (trajectories.open, trajectories.load):
        message = refusal(lambda read=read: read(first, first.stem))
        assert message == f"{first}: holds run {second.stem}; expected {first.stem}"


def test_another_allocation_than_the_one_asked_for_is_refused(make_spec, tmp_path):
    specs = [make_spec(redundancy=r).allocation_spec for r in (6, 12)]
    first, second = paths = [tmp_path / f"{spec.allocation_id}.nc" for spec in specs]
    for spec, path in zip(specs, paths, strict=True):
        allocations.write(spec, path)
    swap(first, second)
    message = refusal(lambda: allocations.open(first, first.stem))
    assert message == f"{first}: holds allocation {second.stem}; expected {first.stem}"
    assert "holds another allocation" in refusal(lambda: allocations.read(first, specs[0]))


def swap(first, second):
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


# Lists beside tables and pictures.


@pytest.fixture
def table(tmp_path):
    """A table with its list."""
    path = tmp_path / "summaries" / "one.csv"
    path.parent.mkdir()
    path.write_text("a,b\n1,2\n")
    return vouched(path)


def test_a_listed_table_is_read_as_it_is(table):
    assert checksums.checked(table, "summarise").read() == b"a,b\n1,2\n"


def test_sha256sum_reads_a_list(table):
    ended = subprocess.run(["sha256sum", "-c", "one.sha256"], cwd=table.parent, capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"one.csv: OK\n", b"")


def test_a_list_says_what_made_its_files(tmp_path):
    files = [tmp_path / "a.csv", tmp_path / "a.svg"]
    for path in files:
        path.write_text(path.suffix)
    checksums.write(tmp_path / "a.sha256", "figure", {"study": "a", "runs": [1]}, files)
    checklist = checksums.Checklist.read(tmp_path / "a.sha256")
    request = short_hash(canonical({"runs": [1], "study": "a"}))
    assert (checklist.stage, checklist.code, checklist.request) == ("figure", STAGES["figure"].digest(), request)
    assert list(checklist.sums) == ["a.csv", "a.svg"]
    assert checklist.content("a.svg") == b".svg"


def test_a_list_says_of_which_files_it_was_made(table, run):
    """Of the table by its list: whichever of them is another, the hash is."""
    read = [checksums.beside(table), run]

    def inputs():
        checksums.write(table.with_name("a.sha256"), "figure", {}, [table], read)
        return checksums.Checklist.read(table.with_name("a.sha256")).inputs

    digests = [inputs()]
    reseal(checksums.beside(table), seal.sealed(checksums.beside(table)).decode() + "\n")
    digests.append(inputs())
    with netCDF4.Dataset(run, "a") as dataset:
        dataset.title = "Another"
    seal.seal(run)
    digests.append(inputs())
    assert len(set(digests)) == 3
    assert inputs() == digests[-1]
    run.write_bytes(run.read_bytes()[:-1])
    assert refusal(inputs) == f"{run}: truncated, damaged or foreign: it does not end with its checksum"
    run.unlink()
    assert refusal(inputs).startswith(f"{run}: ")


def test_every_flipped_bit_of_a_table_or_of_its_list_is_refused(table):
    listed = checksums.beside(table)
    for path in (table, listed):
        original = path.read_bytes()
        for bit in range(8 * len(original)):
            flipped(path, bit)
            assert refusal(lambda: checksums.checked(table, "summarise")).startswith((f"{table}: ", f"{listed}: ")), bit
            path.write_bytes(original)
    checksums.checked(table, "summarise")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda table: table.write_text(""), "{table}: truncated: it is empty"),
        (lambda table: table.write_text("a,b\n1"), "{table}: damaged: its checksum is not the one in one.sha256"),
        (lambda table: (table.unlink(), table.mkdir()), "{table}: a folder, where a file is expected"),
        (lambda table: table.unlink(), "{table}: no such file"),
        (
            lambda table: checksums.beside(table).unlink(),
            "{table}: cannot be checked: one.sha256 is missing; make both again",
        ),
        (lambda table: checksums.beside(table).write_text(""), "{listed}: truncated: it is empty"),
        (
            lambda table: shorten(checksums.beside(table), -1),
            "{listed}: truncated, damaged or foreign: it does not end with its checksum",
        ),
        (
            lambda table: reseal(checksums.beside(table), "a list\nof another kind"),
            "{listed}: foreign: no list of checksums",
        ),
        (
            lambda table: rename_in(checksums.beside(table)),
            "{table}: one.sha256 does not list it; make both again",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_said(change, expected, table):
    change(table)
    message = refusal(lambda: checksums.checked(table, "summarise"))
    assert message == expected.format(table=table, listed=checksums.beside(table))


def shorten(path, at):
    path.write_bytes(path.read_bytes()[:at])


def rename_in(listed):
    """As if the table and the list of another study had been put here together."""
    reseal(listed, seal.sealed(listed).decode().replace("one.csv", "two.csv"))


def reseal(path, text):
    path.write_text(text)
    seal.seal(path)


def test_a_list_of_what_is_not_there_is_not_written(tmp_path):
    assert "no such file" in refusal(lambda: checksums.write(tmp_path / "a.sha256", "figure", {}, [tmp_path / "a.csv"]))
    assert list(tmp_path.iterdir()) == []
