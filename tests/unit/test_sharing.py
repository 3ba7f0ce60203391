"""Runs trained as one batch by jobs of one run each: the same bits as alone, whoever comes first, whatever breaks."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from weakref import finalize

import netCDF4
import numpy as np
import pytest
import torch
from patience import asleep, wait_for_end
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from unit.tables import small_problem

from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS
from byzcode.compression import COMPRESSORS
from byzcode.errors import UserError
from byzcode.execution import batches, cuda
from byzcode.execution.run_locks import RESULTS_LOCK, RUN_LOCKS, RunLocks
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.problems import PROBLEMS
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, seal, trajectories
from byzcode.training.batch import Part, assemble
from byzcode.training.loop import loop
from byzcode.training.workers import train

COSTS = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}


class Place:
    """A folder of results, and a list of runs in it."""

    def __init__(self, root, specs):
        self.root, self.specs, self.list = root, specs, root / "batches" / "list.json"
        (root / "trajectories").mkdir(parents=True)
        self.write_list()

    def write_list(self):
        runs = {
            spec.run_id: {
                "spec": spec.model_dump(mode="json"),
                "allocation": str(self.allocation(spec)),
                "out": str(self.out(spec)),
            }
            for spec in self.specs
        }
        batches.write_list(self.list, str(self.list.parent), runs)

    def out(self, spec):
        return self.root / "trajectories" / f"{spec.run_id}.nc"

    def allocation(self, spec):
        return self.root / "allocations" / f"{spec.allocation_spec.allocation_id}.nc"

    def waiting(self, spec):
        return self.list.parent / f"{spec.run_id}.nc"

    def all_waiting(self):
        return {path.stem for path in self.list.parent.glob("*.nc")}

    def train(self, spec, device="cpu"):
        allocation = self.allocation(spec)
        if not allocation.exists():
            allocations.write(spec.allocation_spec, allocation)
        batches.train(spec, allocation, self.out(spec), together=self.list, device=device)

    def start(self, spec, *before):
        command = f"{'; '.join(before)}\nimport sys; from byzcode.cli import main; main()"
        arguments = ["train", "--spec", spec.canonical(), "--out", self.out(spec), "--together", self.list]
        return subprocess.Popen(
            [sys.executable, "-c", command, *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )


@pytest.fixture
def place(make_spec, tmp_path):
    """Four runs of one shape."""
    specs = [make_spec(problem={"sigma_h": spread}, seeds=[3, 0]) for spread in (0.0, 0.1, 0.2)]
    return Place(tmp_path / "results", [*specs, make_spec(seeds=[5])])


def bits(path):
    """What is measured, hashed."""
    with netCDF4.Dataset(path) as dataset:
        assigned = [np.ma.getdata(variable[...]).tobytes() for variable in dataset.variables.values()]
    return hashlib.sha256(b"".join(assigned)).hexdigest()


def attribute(path, name):
    with netCDF4.Dataset(path) as dataset:
        return dataset.getncattr(name)


def alone(spec, path):
    assigned = allocations.draw(spec.allocation_spec)
    trajectories.write(path, spec, train(spec, assigned), assigned, **COSTS)
    return bits(path)


def ids(specs):
    return {spec.run_id for spec in specs}


def test_the_first_trains_all_and_the_others_fetch(place, tmp_path):
    first, *others = place.specs
    place.train(first)
    assert place.all_waiting() == ids(others)
    assert not any(place.out(spec).exists() for spec in others)
    for spec in others:
        place.train(spec)
        stored = trajectories.load(place.out(spec))
        assert (stored.spec, stored.attributes["engine_digest"]) == (spec, trajectories.engine_digest(spec))
        assert place.out(spec).stat().st_mtime >= place.allocation(spec).stat().st_mtime
    assert place.all_waiting() == set()
    for spec in place.specs:
        assert bits(place.out(spec)) == alone(spec, tmp_path / "alone.nc")
        assert attribute(place.out(spec), "batch_runs") == 4
    assert sorted(path.name for path in place.list.parent.iterdir()) == [".lock", "list.json"]


def test_the_time_of_a_batch_is_shared_out_by_seeds(place):
    for spec in place.specs:
        place.train(spec)
    for seconds in ("wall_seconds", "cpu_seconds"):
        times = [attribute(place.out(spec), seconds) for spec in place.specs]
        np.testing.assert_allclose(times, [2 * times[3]] * 3 + [times[3]], rtol=1e-12)


def test_to_fetch_takes_no_torch(place):
    place.train(place.specs[0])
    ended = place.start(
        place.specs[1], "import atexit, sys", "atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    )
    output = ended.communicate()[1]
    assert ended.returncode == 0, output
    assert "trained in an earlier batch" in output
    modules = output.splitlines()[-1].split()
    assert "byzcode.execution.batches" in modules
    assert "torch" not in modules


def shorten(path, spec):
    os.truncate(path, path.stat().st_size // 2)


def forget(name):
    def change(path, spec):
        with netCDF4.Dataset(path, "a") as dataset:
            dataset.setncattr(name, "another")
        seal.seal(path)

    return change


def exchange(path, spec):
    """Whole, and of another run."""
    other = spec.model_copy(update={"step_size": 0.1})
    assigned = allocations.draw(other.allocation_spec)
    trajectories.write(path, other, train(other, assigned), assigned, **COSTS)


UNFIT = {
    "truncated": shorten,
    "incomplete": forget("complete"),
    "another run": exchange,
    **{f"another {name}": forget(name) for name in ("engine_digest", "allocation_digest", "torch_version", "device")},
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_waits_and_is_unfit_is_thrown_away(name, place, tmp_path):
    first, second, *others = place.specs
    place.train(first)
    UNFIT[name](place.waiting(second), second)
    place.train(second)
    assert place.all_waiting() == ids(others)
    assert attribute(place.out(second), "batch_runs") == 1  # the others wait, and serve
    assert bits(place.out(second)) == alone(second, tmp_path / "alone.nc")


def test_an_unfit_sibling_is_trained_again(place):
    first, second, *others = place.specs
    place.train(first)
    for spec in others:
        shorten(place.waiting(spec), spec)
    place.waiting(second).unlink()
    place.train(second)
    assert attribute(place.out(second), "batch_runs") == 3
    for spec in others:
        place.train(spec)
        assert attribute(place.out(spec), "batch_runs") == 3


def test_another_allocation_than_was_drawn_is_trained_anew(place, monkeypatch):
    """The file of a sibling's allocation was not there, and is not what was drawn in its stead."""
    first, second, *_ = place.specs
    place.train(first)
    drawn = allocations.draw
    with monkeypatch.context() as patched:
        patched.setattr(allocations, "draw", lambda spec: drawn(spec)[:, ::-1].copy())
        allocations.write(second.allocation_spec, place.allocation(second))
    place.train(second)
    assigned = allocations.read(place.allocation(second), second.allocation_spec)
    assert trajectories.agrees(place.out(second), second, assigned, "cpu")
    assert not trajectories.agrees(place.out(second), second, drawn(second.allocation_spec), "cpu")


def test_a_sibling_with_a_foreign_allocation_is_left_out(place):
    last = place.specs[-1]  # the only one of its seeds
    place.allocation(last).parent.mkdir()
    place.allocation(last).write_text("not an allocation")
    place.train(place.specs[0])
    assert place.all_waiting() == ids(place.specs[1:-1])


def test_what_is_done_already_is_left_out(place):
    """By this Snakemake, not before it: what it lists it is to make again."""
    first, second, third, fourth = place.specs
    for spec in (second, third):
        place.out(spec).write_text("done")
    now = place.list.stat().st_mtime
    os.utime(place.out(second), (now - 10, now - 10))
    place.train(first)
    assert place.all_waiting() == ids([second, fourth])


def test_what_has_another_shape_is_left_out(place, make_spec):
    place.specs.append(make_spec(aggregation="phocas"))
    place.write_list()
    place.train(place.specs[0])
    assert place.all_waiting() == ids(place.specs[1:-1])


def test_a_run_that_is_not_listed_is_trained_all_the_same(place, make_spec):
    stranger = make_spec(problem={"sigma_h": 3.0})
    place.train(stranger)
    assert place.out(stranger).exists()


def test_what_broke_off_leaves_only_whole_files(place, monkeypatch, tmp_path):
    """The disk is full at the third of four."""
    wrote = []

    def write(path, *rest, **named):
        if len(wrote) == 2:
            raise UserError("full")
        wrote.append(path)
        stored(path, *rest, **named)

    stored = trajectories.write
    with monkeypatch.context() as patched:
        patched.setattr(trajectories, "write", write)
        with pytest.raises(UserError, match="full"):
            place.train(place.specs[0])
    assert place.all_waiting() == ids(place.specs[1:2])
    for spec in place.specs[1:]:
        place.train(spec)
        assert bits(place.out(spec)) == alone(spec, tmp_path / "alone.nc")
    assert [attribute(place.out(spec), "batch_runs") for spec in place.specs] == [4, 4, 2, 2]


def test_a_batch_that_fails_is_halved(place, monkeypatch, capsys):
    sizes = []

    def scarce(specs, assigned, **rest):
        sizes.append(len(specs))
        if len(specs) > 1:
            raise torch.OutOfMemoryError("no room")
        return together(specs, assigned, **rest)

    together = batches.train_together
    monkeypatch.setattr(batches, "train_together", scarce)
    place.train(place.specs[0])
    assert sizes == [4, 2, 1]
    assert place.out(place.specs[0]).exists()
    assert "a batch of 4 runs failed, trying half as many: no room" in capsys.readouterr().err


def test_a_failure_of_its_own_is_raised(place, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("not converged")

    monkeypatch.setattr(batches, "train_together", fails)
    with pytest.raises(RuntimeError, match="not converged"):
        place.train(place.specs[0])
    assert not place.out(place.specs[0]).exists()


# --- several at once -------------------------------------------------------------------------------------------------


def test_jobs_that_begin_at_once_train_one_batch(place, tmp_path):
    jobs = [place.start(spec) for spec in place.specs]
    output = [job.communicate()[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 4, output
    assert sum("and 3 others: done" in text for text in output) == 1
    assert sum("trained in an earlier batch" in text for text in output) == 3
    for spec in place.specs:
        assert bits(place.out(spec)) == alone(spec, tmp_path / "alone.nc")


HOLD = (
    "from byzcode.execution.run_locks import RunLocks; from pathlib import Path; import sys; "
    "locks = RunLocks(Path(sys.argv[1])); "
    "print(locks.take(sys.argv[2]), flush=True); sys.stdin.read()"
)


@contextmanager
def another_process(place, spec, file="batches/.lock"):
    """One that holds the lock of a run, and is then killed."""
    command = [sys.executable, "-c", HOLD, str(place.root / file), spec.run_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_who_trains_a_run_has_it_alone(place):
    first, second, *others = place.specs
    with another_process(place, second), RunLocks(place.list.parent / ".lock") as locks:
        assert not locks.take(second.run_id)
        assert locks.take(first.run_id)
        place.train(first)
        assert place.all_waiting() == ids(others)


def seconds_of(job):
    """CPU seconds that a process has taken."""
    fields = Path(f"/proc/{job.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system tells no CPU time of others here")
def test_a_job_waits_for_who_trains_its_run_and_outlives_him(place):
    with another_process(place, place.specs[0]) as holder:
        job = place.start(place.specs[0])
        while not asleep(job.pid):
            assert job.poll() is None
            assert seconds_of(job) < 60
        spent = seconds_of(job)
        time.sleep(1)
        assert job.poll() is None
        assert seconds_of(job) - spent < 0.1  # waits, and does not look again and again
        assert not place.out(place.specs[0]).exists()
        holder.kill()
        assert wait_for_end(job) == 0, job.stderr.read()
    assert place.out(place.specs[0]).exists()
    job.stderr.close()


def by_itself(place, spec):
    """The job of a run that is trained alone, in the folder of the workflow's results."""
    (place.root / RESULTS_LOCK).touch()
    command = [sys.executable, "-m", "byzcode.cli", "train", "--spec", spec.canonical(), "--out", str(place.out(spec))]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def as_stored(place, spec, **changes):
    assigned = allocations.draw(spec.allocation_spec)
    trajectories.write(place.out(spec), spec, train(spec, assigned), assigned, **COSTS | changes)


@pytest.mark.parametrize(
    ("stores", "trains"),
    [
        (as_stored, False),
        (lambda place, spec: as_stored(place, spec, device="cuda"), True),
        (lambda place, spec: exchange(place.out(spec), spec), True),
        (lambda place, spec: None, True),
    ],
    ids=["what serves", "of another device", "of another run", "nothing"],
)
@pytest.mark.parametrize("start", [by_itself, Place.start], ids=["alone", "in a batch of one"])
@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system does not tell who waits for a lock here")
def test_a_job_takes_what_the_process_it_waited_for_has_stored(place, start, stores, trains, tmp_path):
    place.specs = place.specs[:1]
    place.write_list()
    [spec] = place.specs
    with another_process(place, spec, RUN_LOCKS if start is by_itself else "batches/.lock") as holder:
        job = start(place, spec)
        if start is by_itself:
            assert "another process trains this run: waiting" in job.stderr.readline()
        else:
            wait_until_it_waits(job)
        stores(place, spec)
        stored = place.out(spec).stat().st_ino if place.out(spec).exists() else None
        holder.kill()
        output = job.communicate()[1]
    assert job.returncode == 0, output
    assert ("trained by another process meanwhile" in output) != trains
    assert (place.out(spec).stat().st_ino == stored) != trains
    assert bits(place.out(spec)) == alone(spec, tmp_path / "alone.nc")


def wait_until_it_waits(job):
    """Until a process sleeps for a lock."""
    while not any("->" in line and f" {job.pid} " in line for line in Path("/proc/locks").read_text().splitlines()):
        assert job.poll() is None
        time.sleep(0.05)


def test_outside_of_results_no_lock_is_left(place, tmp_path):
    spec = place.specs[0]
    batches.alone(spec, None, tmp_path / "mine/run.nc", device="cpu", threads=1)
    batches.alone(spec, None, tmp_path / f"mine/{spec.run_id}.nc", device="cpu", threads=1)
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "results"}
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"run.nc", f"{spec.run_id}.nc"}


def test_without_locks_each_job_trains_its_own_run(place, monkeypatch, tmp_path):
    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", none)
    (place.root / RESULTS_LOCK).touch()
    first, second, *_ = place.specs
    place.train(first)
    batches.alone(second, None, place.out(second), device="cpu", threads=1)
    assert place.all_waiting() == set()
    for spec in (first, second):
        assert bits(place.out(spec)) == alone(spec, tmp_path / "alone.nc")


def test_devices_share_a_batch(place, monkeypatch):
    """As if there were two devices: each trains half."""
    monkeypatch.setattr(cuda, "count", lambda: 2)
    monkeypatch.setattr(cuda, "room", lambda: 1e12)

    @contextmanager
    def reserved():
        yield "cpu"

    monkeypatch.setattr(cuda, "reserved", reserved)
    place.train(place.specs[0], device="cuda")
    assert place.all_waiting() == ids(place.specs[1:2])
    place.train(place.specs[2], device="cuda")
    assert place.all_waiting() == ids([place.specs[1], place.specs[3]])
    assert attribute(place.out(place.specs[2]), "device") == "cuda"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_device_is_the_users_to_mend(place):
    with pytest.raises(UserError, match="--device cuda: no CUDA device"):
        place.train(place.specs[0], device="cuda")


LISTED = '{"folder": "x", "runs": {"%s": {"spec": {}, "allocation": "a.nc", "out": %s}}}'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "JSON = ''"),
        ("[]", r"JSON = \[\]"),
        ("{}", "folder = None"),
        ('{"folder": "x"}', "runs = None"),
        ('{"folder": "x", "runs": 3}', "runs = 3"),
        ('{"folder": "x\\u0000", "runs": {}}', "folder = "),
        ('{"folder": "x", "runs": {"0123456789ab": {}}}', "runs.0123456789ab.spec = None"),
        (LISTED % ("../../../../etc", '"b.nc"'), "runs"),
        (LISTED % ("0123456789ab", "3"), "runs.0123456789ab.out = 3"),
    ],
)
def test_a_list_that_is_none_is_refused(content, says, place):
    place.list.write_text(content)
    with pytest.raises(UserError, match=rf"list\.json: {says}") as caught:
        place.train(place.specs[0])
    assert "\n" not in str(caught.value)


def test_a_list_that_names_a_run_wrongly_is_refused(place):
    listed = json.loads(place.list.read_text())
    first, second, *_ = (spec.run_id for spec in place.specs)
    listed["runs"][second]["spec"] = listed["runs"][first]["spec"]
    place.list.write_text(json.dumps(listed))
    with pytest.raises(UserError, match=f"run {second} has the spec of {first}"):
        place.train(place.specs[0])


@pytest.mark.parametrize("kind", ["a pipe", "zeros without end", "10 TiB of nothing", "a folder", "a link to itself"])
def test_a_list_that_is_no_file_is_neither_waited_for_nor_read(kind, place):
    place.list.unlink()
    make = {
        "a pipe": os.mkfifo,
        "zeros without end": lambda path: path.symlink_to("/dev/zero"),
        "10 TiB of nothing": lambda path: (path.touch(), os.truncate(path, 10 * 2**40)),
        "a folder": lambda path: path.mkdir(),
        "a link to itself": lambda path: path.symlink_to(path.name),
    }
    make[kind](place.list)
    with pytest.raises(UserError, match=rf"^{place.list}: cannot be read: "):
        place.train(place.specs[0])


# --- devices ---------------------------------------------------------------------------------------------------------


def test_each_has_a_device_of_his_own(tmp_path):
    paths = [tmp_path / "locks" / name for name in ("a", "b")]
    with cuda.first_free(paths) as first, cuda.first_free(paths) as second:
        assert (first, second) == (0, 1)
    with cuda.first_free(paths) as again:
        assert again == 0


def test_who_comes_when_all_are_taken_waits(tmp_path, monkeypatch, capsys):
    paths = [tmp_path / "locks" / "a"]
    first = cuda.first_free(paths)
    first.__enter__()
    monkeypatch.setattr(time, "sleep", lambda _: first.__exit__(None, None, None))
    with cuda.first_free(paths) as place:
        assert place == 0
    assert capsys.readouterr().err == "all 1 CUDA devices are taken: waiting\n"


@pytest.fixture
def two_devices(monkeypatch, tmp_path):
    """What torch says on a machine with two devices, and which was made the current one."""
    chosen = []
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda place: SimpleNamespace(uuid=f"{place}-abc"))
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


def test_a_training_has_its_device_alone(two_devices, tmp_path):
    with cuda.reserved() as first, cuda.reserved() as second:
        assert first == second == "cuda"  # the current one, of its own process each
        assert two_devices == [0, 1]
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["gpu-0-abc.lock", "gpu-1-abc.lock"]
    with cuda.reserved():
        assert two_devices == [0, 1, 0]


class Driver:
    def __init__(self, devices, error=0):
        self.devices, self.error = devices, error

    def cuInit(self, _):  # noqa: N802
        return self.error

    def cuDeviceGetCount(self, number):  # noqa: N802
        number._obj.value = self.devices
        return 0


@pytest.mark.parametrize(("driver", "devices"), [(Driver(2), 2), (Driver(0), 0), (Driver(1, error=100), 0), (None, 0)])
def test_the_driver_counts_the_devices(driver, devices, monkeypatch):
    def load(name):
        assert name == "libcuda.so.1"
        if driver is None:
            raise OSError
        return driver

    monkeypatch.setattr(cuda.ctypes, "CDLL", load)
    assert cuda.count() == devices


# --- memory ----------------------------------------------------------------------------------------------------------


def test_no_more_runs_than_there_is_room_for(place):
    runs = [batches.Run(spec, allocations.draw(spec.allocation_spec)) for spec in place.specs]
    sizes = [batches.footprint(run) for run in runs]
    assert sizes[0] == sizes[1] == sizes[2] == 2 * sizes[3]
    for count in (1, 2, 3, 4):
        assert batches.fit(runs, sum(sizes[:count])) == runs[:count]
    assert batches.fit(runs, sum(sizes[:2]) - 1) == runs[:1]
    assert batches.fit(runs, 0) == runs[:1]


def test_a_batch_leaves_memory_free(place, monkeypatch):
    run = batches.Run(place.specs[0], allocations.draw(place.specs[0].allocation_spec))
    monkeypatch.setattr(batches, "_memory", lambda: 2.1 * batches.footprint(run) / batches.FILLED)
    place.train(place.specs[0])
    assert place.all_waiting() == ids(place.specs[1:2])


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors alive, and their most."""

    def __init__(self):
        super().__init__()
        self.now, self.most, self._known = 0, 0, set()

    def _gone(self, key, size):
        self.now -= size
        self._known.discard(key)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        returned = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(returned):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "meta":
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self._known:
                    self._known.add(key)
                    self.now += storage.nbytes()
                    finalize(storage, self._gone, key, storage.nbytes())
        self.most = max(self.most, self.now)
        return returned


def test_what_is_alive_is_counted():
    with torch.inference_mode(), Memory() as memory:
        kept = torch.empty(1000, dtype=torch.float64, device="meta")
        for _ in range(5):
            kept.view(10, 100).mul(2)
            kept.add_(1)
    assert (memory.now, memory.most) == (8000, 16000)


LAD = {"method": "lad", "problem": {"subsets": 100, "dimension": 60}, "devices": 100, "redundancy": 20}
CRA = {"problem": {"subsets": 1000, "dimension": 60}, "devices": 100, "redundancy": 40}
NET = {"problem": {"subsets": 361, "dimension": 60}, "devices": 95, "redundancy": 19, "attack": "sign_flip"}
PLANE = {"subsets": 21, "dimension": 60}
BIG = {
    **{rule: {**LAD, "aggregation": rule} for rule in RULES},
    **{f"{name}, median": {**LAD, "pre_aggregation": name} for name in PRE_AGGREGATORS},
    **{name: {**LAD, "attack": name, "aggregation": "phocas"} for name in ATTACKS},
    **{name: {**LAD, "method": "com_lad", "compression": name} for name in COMPRESSORS},
    "cra": CRA,
    "cra, single": {**CRA, "dtype": "float32"},
    "cra, samples": {**CRA, "problem": {"subsets": 200, "dimension": 60, "samples_per_subset": 5}},
    "draco": {**CRA, "method": "draco_cyclic", "aggregation": None, "byzantine": {"alpha": 0.05}, "redundancy": 110},
    **{f"detox, {rule}": {**CRA, "method": "detox", "aggregation": rule} for rule in ("median", "krum")},
    **{f"byzshield, {rule}": {**NET, "method": "byzshield", "aggregation": rule} for rule in ("median", "krum")},
    "byzshield, nnm": {**NET, "method": "byzshield", "aggregation": "median", "pre_aggregation": "nnm"},
    "aspis": {**NET, "method": "aspis", "aggregation": "median", "devices": 21, "problem": PLANE, "redundancy": 5},
    "s + 1": {**CRA, "method": "s_plus_one", "aggregation": None},
}


@pytest.mark.parametrize("name", BIG)
def test_a_run_takes_no_more_than_is_reckoned_with(name, make_spec):
    assert_reckoned_with(make_spec(**{"byzantine": {"alpha": 0.1}, "iterations": 6, "seeds": 4} | BIG[name]))


@pytest.mark.parametrize("subsets", [50, 400])
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_run_of_any_problem_takes_no_more_than_is_reckoned_with(name, subsets):
    problem = {"name": name, **small_problem(name, subsets, 60)}
    values = {"method": "cra_dl", "redundancy": 5, "aggregation": "median", "devices": 20, "problem": problem}
    assert_reckoned_with(RunSpec.parse({**values, "iterations": 6, "seeds": 4}, "test"))


def assert_reckoned_with(spec):
    assigned = allocations.draw(spec.allocation_spec)
    with torch.inference_mode(), Memory() as memory:
        loop(assemble([Part(spec, spec.seeds, assigned)], "meta"), lambda _: None)
    reckoned = batches.footprint(batches.Run(spec, assigned))
    assert 0.1 * reckoned < memory.most < reckoned
