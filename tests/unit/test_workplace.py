"""What a Snakemake finds where an earlier one was killed: its jobs are waited for, its litter goes."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from byzcode.errors import UserError
from byzcode.execution import workplace
from byzcode.execution.lock import FolderLock
from byzcode.execution.run_locks import RESULTS_LOCK
from byzcode.execution.snakemake import inherited_by_jobs
from byzcode.execution.workplace import JOBS, Workplace, check_folders

#: How jobs inherit the open files of the workplace.
INHERITED = partial(inherited_by_jobs, "jobs")

#: A Snakemake that starts a job by its own shell, and is then killed.
KILLED = """
import os, sys, threading
from functools import partial
from pathlib import Path
from snakemake.shell import shell
from byzcode.execution.snakemake import inherited_by_jobs
from byzcode.execution.workplace import Workplace
place = Workplace(Path("project.lock"), Path("results"), print, partial(inherited_by_jobs, "jobs"))
place.wait_for_jobs()
threading.Thread(target=shell, args=(sys.argv[1],), kwargs={"threads": 1, "resources": {}}, daemon=True).start()
sys.stdin.read()
os.kill(os.getpid(), 9)
"""

#: A job, by its command line a training, which lives until its input ends.
JOB = f"exec {sys.executable} -c 'print(flush=True); input()' byzcode train --out results/trajectories/0123.nc"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from snakemake.shell import shell

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shell, "_process_args", {})


@pytest.fixture(params=["flock", "none"])
def locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What locks the file system has for the second Snakemake."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if request.param == "none":
        monkeypatch.setattr(fcntl, "flock", refuse)
    return str(request.param)


@contextmanager
def orphan() -> Iterator[int]:
    """A job that outlives its Snakemake, by the number of its process."""
    fifo = Path("end")
    os.mkfifo(fifo)
    job = f"{JOB} < {fifo} > begun"
    snakemake = subprocess.Popen([sys.executable, "-c", KILLED, job], stdin=subprocess.PIPE)
    end = os.open(fifo, os.O_WRONLY)
    while not (Path("begun").exists() and Path("begun").stat().st_size):
        assert snakemake.poll() is None
        time.sleep(0.05)
    snakemake.communicate()
    assert snakemake.returncode == -signal.SIGKILL
    [process] = workplace.processes.with_open(Path("results") / JOBS)
    try:
        yield process.number
    finally:
        os.close(end)
        for number in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.kill(process.number, number)
            except ProcessLookupError:
                break


def wait_for_jobs(during: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wait as the next Snakemake does; ``during`` happens at its second look. What it said."""
    lines: list[str] = []
    looks = [None, during]

    def sleep(_: float) -> None:
        if looks and (happens := looks.pop(0)):
            happens()
        time.sleep(0.01)

    monkeypatch.setattr(workplace, "_sleep", sleep)
    place = Workplace(Path("project.lock"), Path("results"), lines.append, INHERITED)
    place.wait_for_jobs()
    assert not looks, "it did not wait"
    place.release()
    return [line for line in lines if "no locks" not in line]


def test_where_nobody_is_left_nobody_is_waited_for(locks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "_sleep", lambda _: pytest.fail("it waits"))
    for _ in range(2):
        place = Workplace(Path("project.lock"), Path("results"), lambda _: None, INHERITED)
        place.wait_for_jobs()
        place.release()


def test_a_job_of_a_killed_snakemake_is_waited_for_and_named(locks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with orphan() as number:
        [message] = wait_for_jobs(lambda: os.kill(number, signal.SIGKILL), monkeypatch)
    assert f"train 0123 (process {number}); kill -9 {number} ends them" in message


def test_a_stopped_job_is_waited_for_too(locks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with orphan() as number:
        os.kill(number, signal.SIGSTOP)
        while "State:\tT" not in Path(f"/proc/{number}/status").read_text():
            time.sleep(0.01)
        [message] = wait_for_jobs(lambda: os.kill(number, signal.SIGKILL), monkeypatch)
    assert f"train 0123 (process {number}, stopped)" in message


def test_now_and_then_it_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "REMINDER", 0.0)
    with orphan() as number:
        message = wait_for_jobs(lambda: os.kill(number, signal.SIGKILL), monkeypatch)
    assert len(message) >= 2


def test_jobs_that_cannot_be_seen_are_let_go_by_removing_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with orphan():
        monkeypatch.setattr(workplace.processes, "with_open", lambda _: [])  # as of another user
        [message] = wait_for_jobs((Path("results") / JOBS).unlink, monkeypatch)
    assert f"if there are none, delete results/{JOBS}" in message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_can_be_stopped(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # as Snakemake does
    try:
        with orphan() as job:
            with pytest.raises(
                UserError, match="stopped while waiting for jobs of an earlier Snakemake; these continue"
            ):
                wait_for_jobs(lambda: os.kill(os.getpid(), number), monkeypatch)
            os.kill(job, 0)
        assert signal.getsignal(signal.SIGTERM) is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_results_are_held_by_whatever_way_they_are_reached() -> None:
    Path("nested/results").mkdir(parents=True)
    Path("link").symlink_to("nested")
    first = FolderLock(Path("nested/results") / RESULTS_LOCK)
    for way in ("nested/results", "link/results", "nested/../link/results"):
        with pytest.raises(UserError, match=f"^another Snakemake is at work with the results in .*{way}: wait for it"):
            Workplace(Path("second.lock"), Path(way), lambda _: None, INHERITED)
        FolderLock(Path("second.lock")).release()  # who is refused keeps nothing
    first.release()
    Workplace(Path("second.lock"), Path("link/results"), lambda _: None, INHERITED).release()


def test_results_that_share_a_folder_by_a_link_are_held_together() -> None:
    for folder in ("scratch", "results"):
        Path(folder).mkdir()
    (Path("results") / "trajectories").symlink_to(Path("scratch").absolute())
    first = FolderLock(Path("scratch") / RESULTS_LOCK)
    with pytest.raises(UserError, match="at work with the results in results/trajectories"):
        Workplace(Path("project.lock"), Path("results"), lambda _: None, INHERITED)
    first.release()


def test_several_modules_of_a_snakemake_hold_together(monkeypatch: pytest.MonkeyPatch) -> None:
    from snakemake.shell import shell

    monkeypatch.setattr(workplace, "_sleep", lambda _: pytest.fail("it waits for itself"))
    places = [
        Workplace(Path("project.lock"), Path(name), lambda _: None, INHERITED) for name in ("one", "other", "one")
    ]
    for place in places:
        place.wait_for_jobs()
    assert len(shell._process_args["pass_fds"]) == 2
    for place in places:
        place.release()
    assert shell._process_args["pass_fds"] == ()
    for name in ("project.lock", f"one/{RESULTS_LOCK}", f"other/{RESULTS_LOCK}"):
        FolderLock(Path(name)).release()


def test_a_file_system_without_locks_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lines: list[str] = []
    place = Workplace(Path("project.lock"), Path("results"), lines.append, INHERITED)
    place.wait_for_jobs()
    place.release()
    [line] = lines
    assert line.startswith("project.lock: this file system has no locks (No locks available)")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UserError, match=r"^results: cannot be written: File exists$"):
        Workplace(Path("project.lock"), Path("results"), lambda _: None, INHERITED)


def test_litter_goes_unless_someone_may_still_write_it() -> None:
    old, host = time.time() - 7200, platform.node()
    ended = subprocess.Popen(["true"])
    ended.wait()
    names = {
        f"trajectories/.{host}.{ended.pid}.part.a.nc": (old, False),
        f"trajectories/.{host}.{os.getpid()}.part.b.nc": (old, True),
        f"trajectories/.{host}.{ended.pid}.part.c.nc": (time.time(), True),
        f".elsewhere.{os.getpid()}.part.scorecard.csv": (old, False),
        f"multiverse/readings/.{host}.{ended.pid}.part.d.csv": (old, False),
        f"quick/trajectories/.{host}.{ended.pid}.part.e.nc": (old, True),  # of other results
        "batches/waits.nc": (old, True),
        "batches/forgotten.nc": (time.time() - 90000, False),
        "batches/.lock": (time.time() - 90000, True),
    }
    for name, (age, _) in names.items():
        path = Path("results") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (age, age))
    place = Workplace(Path("project.lock"), Path("results"), lambda _: None, INHERITED)
    place.wait_for_jobs()
    place.release()
    assert {name for name in names if (Path("results") / name).exists()} == {name for name in names if names[name][1]}
    assert (Path("results") / RESULTS_LOCK).exists()


@pytest.mark.parametrize("place", ["out", "out/here", "out/here/trajectories", "out/here/logs"])
@pytest.mark.parametrize("kind", ["a file", "a link that leads to no folder"])
def test_what_is_no_folder_is_refused_where_one_is_to_be(tmp_path: Path, place: str, kind: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "a file":
        path.touch()
    else:
        path.symlink_to("nowhere")

    with pytest.raises(UserError, match=rf"{place}: {kind}, where a folder is expected"):
        check_folders(tmp_path / "out/here")


def test_a_link_to_a_folder_of_results_is_one(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results/trajectories").symlink_to(tmp_path / "scratch")

    check_folders(tmp_path / "results")
    check_folders(tmp_path / "not-there-yet")
