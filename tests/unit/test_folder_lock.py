"""One Snakemake a folder, on one machine and on several that do not see each other's locks."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from byzcode import folder
from byzcode.errors import UserError
from byzcode.folder import SILENT, FolderLock

HOLDER = """
import sys, time
from pathlib import Path
from byzcode.folder import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "byzcode.lock"


def holder(path: Path, seconds: float = 60) -> subprocess.Popen[str]:
    """Another process that has the lock."""
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def elsewhere(path: Path, age: float = 0) -> None:
    """As another machine leaves the file, with its last sign of life so many seconds ago."""
    path.write_text("login2 4711 2026-01-02T03:04:05\n")
    os.utime(path, (time.time() - age, time.time() - age))


def test_who_holds_it_stands_in_the_file_until_it_is_released(path: Path) -> None:
    lock = FolderLock(path)
    host, process, since = path.read_text().split()
    assert (host, process) == (platform.node(), str(os.getpid()))
    assert time.strptime(since, "%Y-%m-%dT%H:%M:%S")
    lock.release()
    assert path.read_text() == ""
    FolderLock(path).release()
    lock.release()  # once more does nothing
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_a_second_is_refused_and_leaves_the_note_as_it_is(path: Path) -> None:
    lock = FolderLock(path)
    note = path.read_text()
    with pytest.raises(UserError, match=r"^another Snakemake is at work in this folder: wait for it, or stop it$"):
        FolderLock(path)
    assert path.read_text() == note
    lock.release()


def test_after_kill_9_on_this_machine_there_is_nothing_to_do(path: Path) -> None:
    process = holder(path)
    with pytest.raises(UserError, match="another Snakemake"):
        FolderLock(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_text()  # it could not say that it ends
    FolderLock(path).release()


def test_a_process_that_ends_clears_the_note(path: Path) -> None:
    assert holder(path, 0).wait() == 0
    assert path.read_text() == ""


def test_one_that_lives_on_another_machine_is_refused(path: Path) -> None:
    elsewhere(path, SILENT - 60)
    says = rf"on login2 \(process 4711, since 2026-01-02T03:04:05\): .*; if it is dead, delete {path}$"
    with pytest.raises(UserError, match=says):
        FolderLock(path)
    assert path.read_text().startswith("login2")
    path.unlink()  # as the line says
    FolderLock(path).release()


@pytest.mark.parametrize("note", ["", "half a", "login2 4711 2026 and more words"])
def test_what_is_no_note_of_another_holds_nobody_up(path: Path, note: str) -> None:
    path.write_text(note)
    FolderLock(path).release()


def test_one_that_has_been_silent_for_long_counts_as_dead(path: Path) -> None:
    elsewhere(path, SILENT + 60)
    FolderLock(path).release()


def test_a_holder_gives_signs_of_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SIGN", 0.01)
    lock = FolderLock(path)
    os.utime(path, (1, 1))
    while path.stat().st_mtime == 1:
        assert "signs of life" in {thread.name for thread in folder.threading.enumerate()}
        time.sleep(0.01)
    lock.release()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EWOULDBLOCK, "another Snakemake is at work"),
        (errno.EAGAIN, "another Snakemake is at work"),
        (errno.EACCES, "another Snakemake is at work"),
        (errno.ENOLCK, r"byzcode.lock: cannot be locked: No locks available; allowed: .* with locks \(flock\)"),
        (errno.ENOSYS, "cannot be locked: Function not implemented"),
        (errno.EOPNOTSUPP, "cannot be locked: Operation not supported"),
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


def test_a_file_that_cannot_be_opened_is_not_another_snakemakes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cannot be opened: No such file or directory"):
        FolderLock(path / "byzcode.lock")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match="cannot be opened: Permission denied"):
        FolderLock(path)
