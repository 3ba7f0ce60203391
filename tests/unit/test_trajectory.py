"""Trajectory files: what is written is read again, and whatever is in doubt is refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import netCDF4
import numpy as np
import pytest

from byzcode.errors import UserError
from byzcode.specs.quantities import ESTIMATE, QUANTITIES, WALL_TIME
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, netcdf, seal, trajectories
from byzcode.training.status import NEVER, Status
from byzcode.training.workers import train

COSTS = {"device": "cpu", "threads": 1, "wall_seconds": 1.5, "cpu_seconds": 1.25}
MEASURED = QUANTITIES


@pytest.fixture
def stored(make_spec, tmp_path):
    """A spec, what was measured, and the file of both."""
    spec = make_spec(record={"step": 5})
    path = tmp_path / "trajectories" / f"{spec.run_id}.nc"
    assigned = allocations.draw(spec.allocation_spec)
    measured = train(spec, assigned)
    trajectories.write(path, spec, measured, assigned, **COSTS)
    return spec, measured, path


def refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        trajectories.open(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    with pytest.raises(UserError):
        trajectories.load(path)
    return message.removeprefix(f"{path}: ")


def edit(path, change):
    """A file in which something else was written, and sealed."""
    with netCDF4.Dataset(path, "a") as dataset:
        change(dataset)
    seal.seal(path)


def test_what_is_written_is_read_again(stored):
    spec, measured, path = stored
    dataset = trajectories.open(path)
    assert dict(dataset.sizes) == {"seed": 2, "iteration": 11}
    assert dataset["seed"].values.tolist() == [3, 0]
    assert dataset["iteration"].values.tolist() == spec.record.iterations(50)
    for name in MEASURED:
        assert dataset[name].dims == ("seed", "iteration")
        np.testing.assert_array_equal(dataset[name].values, getattr(measured, name))
    assert dataset["status"].values.tolist() == [Status.FINISHED] * 2
    assert dataset["status_at"].values.tolist() == [NEVER, NEVER]
    stored = trajectories.load(path)
    assert (stored.spec, stored.attributes["engine_digest"]) == (spec, trajectories.engine_digest(spec))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_file_says_what_it_is(stored):
    spec, _, path = stored
    dataset = trajectories.open(path)
    assert set(dataset.variables) == set(trajectories.VARIABLES) - {ESTIMATE, WALL_TIME}
    for variable in dataset.variables.values():
        assert variable.attrs["units"]
        assert variable.attrs["long_name"]
    about = dataset.attrs
    assert RunSpec.from_json(about["spec"], path) == spec
    assert about["run_id"] == spec.run_id
    assert about["engine_digest"] == trajectories.engine_digest(spec)
    assert (about["byzcode_file"], about["complete"], about["device"], about["threads"]) == ("trajectory", 1, "cpu", 1)
    assert (about["wall_seconds"], about["cpu_seconds"]) == (1.5, 1.25)
    for name in ("byzcode", "torch", "numpy", "python"):
        assert about[f"{name}_version"]


def test_costs_are_counted(stored):
    """Bits = N D b a step, gradients = N r a step."""
    _, _, path = stored
    dataset = trajectories.open(path)
    steps = dataset["iteration"].values
    for row in range(2):
        assert dataset["gradients_computed"].values[row].tolist() == (steps * 20 * 12).tolist()
        assert dataset["bits_sent"].values[row].tolist() == (steps * 20 * 7 * 32).tolist()


def test_a_divergence_is_stored_as_such(make_spec, tmp_path):
    spec = make_spec(method="ma", redundancy=None, aggregation=None, iterations=400, record={"step": 5}, message_bits=8)
    assigned = allocations.draw(spec.allocation_spec)
    measured = train(spec, assigned)
    path = tmp_path / "t.nc"
    trajectories.write(path, spec, measured, assigned, **COSTS)
    dataset = trajectories.open(path)
    assert dataset["status"].values.tolist() == [Status.DIVERGED] * 2
    np.testing.assert_array_equal(dataset["status_at"].values, measured.status_at)
    steps = dataset["iteration"].values
    for row, at in enumerate(measured.status_at):
        for name in MEASURED:
            np.testing.assert_array_equal(np.isnan(dataset[name].values[row]), steps >= at, err_msg=name)
        np.testing.assert_array_equal(dataset["gradients_computed"].values[row], steps * 60)
        before = steps < at
        np.testing.assert_array_equal(dataset["bits_sent"].values[row, before], steps[before] * 20 * 7 * 8)


def test_written_twice_it_is_replaced(stored):
    spec, measured, path = stored
    trajectories.write(path, spec, measured, allocations.draw(spec.allocation_spec), **{**COSTS, "threads": 2})
    assert trajectories.open(path).attrs["threads"] == 2


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "none.nc") == "no such file"
    assert refusal(tmp_path) == "a folder, where a file is expected"


@pytest.mark.parametrize("part", [0.0, *np.random.default_rng(0).uniform(size=10), 0.999])
def test_a_truncated_file_is_refused(part, stored):
    path = stored[-1]
    original = path.read_bytes()
    path.write_bytes(original[: min(int(part * len(original)), len(original) - 1)])
    assert "truncated" in refusal(path)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.9])
def test_a_hole_of_zeros_is_refused(place, stored):
    """What a crash of the machine may leave: a block of the right length and no content."""
    _, _, path = stored
    original = bytearray(path.read_bytes())
    start, length = int(place * len(original)), len(original) // 3  # there is empty space in it, but not so much
    original[start : start + length] = bytes(len(original[start : start + length]))
    path.write_bytes(original)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"seed,loss\n0,1\n", b"\x89HDF\r\n\x1a\n", b"CDF\x01" + bytes(40)])
def test_a_file_that_is_no_netcdf_is_refused(content, tmp_path):
    path = tmp_path / "t.nc"
    path.write_bytes(content)
    refusal(path)


def test_a_foreign_netcdf_is_refused(tmp_path):
    path = tmp_path / "t.nc"
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.createDimension("seed", 2)
        dataset.createVariable("loss", "f8", ("seed",))[:] = 1.0
    assert "foreign" in refusal(path)


def test_an_allocation_is_no_trajectory(make_spec, tmp_path):
    path = tmp_path / "a.nc"
    allocations.write(make_spec().allocation_spec, path)
    assert "foreign" in refusal(path)


@pytest.mark.parametrize("complete", [None, 0, 2, "yes"])
def test_an_incomplete_file_is_refused(complete, stored):
    path = stored[-1]
    edit(path, lambda d: d.delncattr("complete") if complete is None else d.setncattr("complete", complete))
    assert "incomplete" in refusal(path)


@pytest.mark.parametrize("name", [name for name in trajectories.VARIABLES if name not in (ESTIMATE, WALL_TIME)])
def test_a_file_without_one_of_its_variables_is_refused(name, stored):
    path = stored[-1]
    edit(path, lambda dataset: dataset.renameVariable(name, f"other_{name}"))
    message = refusal(path)
    assert "incomplete" in message
    assert name in message


def test_a_variable_with_other_dimensions_is_refused(stored):
    path = stored[-1]

    def swap(dataset):
        dataset.renameVariable("loss", "old")
        dataset.createVariable("loss", "f8", ("iteration", "seed"))[:] = dataset["old"][:].T

    edit(path, swap)
    assert "loss" in refusal(path)


@pytest.mark.parametrize("changes", [{"seeds": [3, 0, 1]}, {"iterations": 60}, {"record": {"step": 1}}], ids=str)
def test_a_file_with_fewer_rows_or_columns_than_its_spec_is_refused(changes, stored, make_spec):
    path = stored[-1]
    other = make_spec(**{"record": {"step": 5}, **changes})

    def pretend(dataset):
        dataset.spec, dataset.run_id = other.canonical(), other.run_id

    edit(path, pretend)
    with pytest.raises(UserError, match=rf"^{path}: incomplete: has .*, expected "):
        trajectories.open(path)


def test_a_run_id_of_another_spec_is_refused(stored, make_spec):
    path = stored[-1]
    edit(path, lambda dataset: dataset.setncattr("run_id", make_spec(step_size=0.1).run_id))
    assert "run_id" in refusal(path)


def test_a_changed_spec_is_refused(stored):
    path = stored[-1]

    def change(dataset):
        values = json.loads(dataset.spec)
        dataset.spec = json.dumps({**values, "step_size": 0.123})

    edit(path, change)
    assert "run_id" in refusal(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"method": "cra"}', '{"method": "cra_dl", "colour": 1}'])
def test_a_spec_that_is_none_is_refused(text, stored):
    path = stored[-1]
    edit(path, lambda dataset: dataset.setncattr("spec", text))
    refusal(path)


@pytest.mark.parametrize("name", ["spec", "run_id", "engine_digest"])
def test_a_file_without_its_identity_is_refused(name, stored):
    path = stored[-1]
    edit(path, lambda dataset: dataset.delncattr(name))
    assert name in refusal(path)


# --- failing writes --------------------------------------------------------------------------------------------------


class CrashError(Exception):
    pass


def fail_half_way(path, error):
    with netcdf.writing(path) as dataset:
        dataset.createDimension("seed", 3)
        dataset.createVariable("loss", "f8", ("seed",))[:] = 1.0
        raise error


@pytest.mark.parametrize("error", [CrashError, KeyboardInterrupt])
def test_a_failing_write_leaves_nothing(error, tmp_path):
    with pytest.raises(error):
        fail_half_way(tmp_path / "t.nc", error)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_an_older_file_as_it_was(stored):
    path = stored[-1]
    before = path.read_bytes()
    with pytest.raises(CrashError):
        fail_half_way(path, CrashError)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_no_file_is_there_before_it_is_whole(tmp_path):
    path = tmp_path / "t.nc"
    with netcdf.writing(path) as dataset:
        dataset.setncattr("complete", 1)
        assert not path.exists()
        assert len(list(tmp_path.iterdir())) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.nc"]


def test_a_full_disk_is_the_users_to_mend(tmp_path):
    path = tmp_path / "t.nc"
    with pytest.raises(UserError, match=rf"^{path}: cannot be written: No space left on device$"):
        fail_half_way(path, OSError(28, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


FILL_UP = """
import resource, signal, sys
from pathlib import Path
from byzcode.storage import allocations
from byzcode.errors import UserError
from byzcode.specs.allocation import AllocationSpec

spec = AllocationSpec.parse(
    {"allocation": "random", "devices": 100, "subsets": 1000, "redundancy": 40, "seeds": 10}, "test"
)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
try:
    allocations.write(spec, Path(sys.argv[1]))
except UserError as error:
    print(error)
"""


def test_a_disk_that_fills_up_while_netcdf_writes_is_the_users_to_mend(tmp_path):
    """A limit on the size of files stands for it: then the error is one of the NetCDF library, not of Python."""
    path = tmp_path / "a.nc"
    done = subprocess.run([sys.executable, "-c", FILL_UP, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: cannot be written: ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    """A path below a file: what a test that runs as root can do for a folder that may not be written."""
    (tmp_path / "results").write_text("a file")
    for path in (tmp_path / "results" / "t.nc", tmp_path / "results" / "deep" / "t.nc"):
        with pytest.raises(UserError, match=rf"^{path}: cannot be written: ") as caught, netcdf.writing(path):
            pass
        assert "\n" not in str(caught.value)


def test_a_path_that_is_a_folder_is_the_users_to_mend(tmp_path):
    (tmp_path / "t.nc").mkdir()
    with pytest.raises(UserError, match="cannot be written"), netcdf.writing(tmp_path / "t.nc"):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.nc"]
