"""One Snakemake per folder: on one machine, on several that do not see each other's locks, and where there are none."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from byzcode.errors import UserError
from byzcode.execution.lock import SILENT, FolderLock

HOLDER = """
import errno, fcntl, sys, time
from pathlib import Path
from byzcode.errors import UserError
from byzcode.execution.lock import FolderLock

def none(*_):
    raise OSError(errno.ENOLCK, "No locks available")

if "none" in sys.argv[3:]:
    fcntl.flock = none
try:
    lock = FolderLock(Path(sys.argv[1]))
except UserError as error:
    sys.exit(f"refused: {error}")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "byzcode.lock"


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has none."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture(params=["flock", "none"])
def locks(request: pytest.FixtureRequest) -> str:
    """What locks the file system has: those of the system, or none."""
    if request.param == "none":
        request.getfixturevalue("without_locks")
    return str(request.param)


def start(path: Path, seconds: float = 60, locks: str = "flock") -> subprocess.Popen[str]:
    """Another process that asks for the lock."""
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds), locks]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def holder(path: Path, seconds: float = 60, locks: str = "flock") -> subprocess.Popen[str]:
    """Another process that has the lock."""
    process = start(path, seconds, locks)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def elsewhere(path: Path, age: float = 0) -> None:
    """As another machine leaves the file, with its last sign of life so many seconds ago."""
    path.write_text("login2 4711 2026-01-02T03:04:05\n")
    os.utime(path, (time.time() - age, time.time() - age))


def test_who_holds_it_stands_in_the_file_until_it_is_released(path: Path, locks: str) -> None:
    lock = FolderLock(path)
    assert bool(lock.without) == (locks == "none")
    host, process, since = path.read_text().split()
    assert (host, process) == (platform.node(), str(os.getpid()))
    assert time.strptime(since, "%Y-%m-%dT%H:%M:%S")
    lock.release()
    assert path.read_text() == ""
    FolderLock(path).release()
    lock.release()  # once more does nothing
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_a_second_is_refused_and_leaves_the_note_as_it_is(path: Path, locks: str) -> None:
    lock = FolderLock(path)
    note = path.read_text()
    pattern = r"^another Snakemake is at work in this folder: wait for it, or stop it( \(process .*\))?$"
    with pytest.raises(UserError, match=pattern):
        FolderLock(path)
    assert path.read_text() == note
    lock.release()
    FolderLock(path).release()


def test_after_kill_9_on_this_machine_there_is_nothing_to_do(path: Path, locks: str) -> None:
    process = holder(path, locks=locks)
    says = (
        rf"^another Snakemake is at work in this folder: wait for it, or stop it \(process {process.pid}, since .*\)$"
    )
    with pytest.raises(UserError, match=says):
        FolderLock(path)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and a zombie until it is waited for
    assert path.read_text()  # it could not say that it ends
    FolderLock(path).release()
    process.communicate()


def test_a_process_that_ends_clears_the_note(path: Path, locks: str) -> None:
    process = holder(path, 0, locks)
    process.communicate()
    assert path.read_text() == ""
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_one_that_lives_on_another_machine_is_refused(path: Path, locks: str) -> None:
    elsewhere(path, SILENT - 60)
    says = rf"on login2 \(process 4711, since 2026-01-02T03:04:05\): .*; if it is dead, delete {path}$"
    with pytest.raises(UserError, match=says):
        FolderLock(path)
    assert path.read_text().startswith("login2")
    path.unlink()  # as the line says
    FolderLock(path).release()


def test_one_that_lives_on_another_machine_without_locks_is_refused(path: Path, locks: str) -> None:
    stand_in = path.with_name(f"{path.name}.held")
    elsewhere(stand_in, SILENT - 60)
    with pytest.raises(UserError, match=rf"on login2 .*; if it is dead, delete {stand_in}$"):
        FolderLock(path)
    elsewhere(stand_in, SILENT + 60)
    FolderLock(path).release()


def test_without_locks_the_number_of_a_dead_process_may_be_anothers(path: Path, without_locks: None) -> None:
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for since, lives in (("2026-01-02T03:04:05", False), (f"{datetime.now():%Y-%m-%dT%H:%M:%S}", True)):
        path.with_name(f"{path.name}.held").write_text(f"{platform.node()} {living.pid} {since}\n")
        if lives:
            with pytest.raises(UserError, match=f"process {living.pid}"):
                FolderLock(path)
        else:
            FolderLock(path).release()
    living.communicate(b"\n")


def test_without_locks_a_file_that_was_just_created_counts(path: Path, without_locks: None) -> None:
    """Its note is yet to be written; one that has none after a while is of a process that was killed."""
    stand_in = path.with_name(f"{path.name}.held")
    stand_in.touch()
    with pytest.raises(UserError, match="another Snakemake is at work"):
        FolderLock(path)
    os.utime(stand_in, (time.time() - 60,) * 2)
    FolderLock(path).release()


def test_without_locks_one_of_many_takes_over_from_the_dead(path: Path) -> None:
    dead = holder(path, locks="none")
    dead.kill()
    dead.communicate()
    many = [start(path, 3, "none") for _ in range(6)]
    outputs = [process.communicate() for process in many]
    assert sorted(out for out, _ in outputs) == [*[""] * 5, "held\n"]
    assert all(error.startswith("refused: another Snakemake is at work") for out, error in outputs if not out), outputs


def test_with_and_without_locks_they_see_each_other(path: Path) -> None:
    for first, second in (("none", "flock"), ("flock", "none")):
        process = holder(path, locks=first)
        refused = start(path, 0, second)
        assert f"process {process.pid}" in refused.communicate()[1]
        process.kill()
        process.communicate()
        last = start(path, 0, second)
        assert last.communicate() == ("held\n", "")


@pytest.mark.parametrize("note", ["", "half a", "login2 4711 2026 and more words"])
def test_what_is_no_note_of_another_holds_nobody_up(path: Path, note: str) -> None:
    path.write_text(note)
    FolderLock(path).release()


def test_one_that_has_been_silent_for_long_counts_as_dead(path: Path) -> None:
    elsewhere(path, SILENT + 60)
    FolderLock(path).release()


def test_a_holder_gives_signs_of_life(path: Path, locks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byzcode.execution.lock.SIGN", 0.01)
    lock = FolderLock(path)
    for file in path.parent.iterdir():
        os.utime(file, (1, 1))
        while file.stat().st_mtime == 1:
            assert "signs of life" in {thread.name for thread in threading.enumerate()}
            time.sleep(0.01)
    lock.release()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EWOULDBLOCK, "another Snakemake is at work"),
        (errno.EAGAIN, "another Snakemake is at work"),
        (errno.EACCES, "another Snakemake is at work"),
        (errno.EINVAL, "byzcode.lock: cannot be locked: Invalid argument"),
    ],
)
def test_only_a_lock_that_is_held_is_another_snakemakes(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match=says):
        FolderLock(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = FolderLock(path)
    assert lock.without == os.strerror(number)
    lock.release()


def test_a_file_that_cannot_be_opened_is_not_another_snakemakes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cannot be opened: No such file or directory"):
        FolderLock(path / "byzcode.lock")
    os.mkfifo(path.with_name("pipe"))
    with pytest.raises(UserError, match=r"cannot be opened: .*not seekable"):
        FolderLock(path.with_name("pipe"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match="cannot be opened: Permission denied"):
        FolderLock(path)
