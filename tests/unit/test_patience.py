"""How the tests wait: not by the clock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from patience import asleep, at_work, family, wait_for, wait_for_end

FOR_EVER = "while True: pass"
IN_VAIN = "import sys; sys.stdin.read()"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {FOR_EVER!r}])"


@contextmanager
def python(code: str) -> Iterator[int]:
    """Another Python, and its process id; it ends with the block."""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield process.pid
        finally:
            for pid in family(process.pid):
                subprocess.run(["kill", "-KILL", str(pid)], check=False)


@pytest.mark.parametrize("code", [FOR_EVER, CHILD], ids=["itself", "its child"])
def test_patience_is_not_spent_while_a_process_works(code: str) -> None:
    answers = iter(range(30))
    with python(code) as pid:
        wait_for(lambda: len(family(pid)) == 1 + (code is CHILD), "no child", pid)
        assert wait_for(lambda: next(answers) == 29, "the last answer", pid, looks=3)
        assert not asleep(pid) or code is CHILD


def test_patience_ends_where_a_process_has_nothing_to_do() -> None:
    with python(IN_VAIN) as pid:
        while not asleep(pid):
            pass
        assert not at_work(pid)
        with pytest.raises(AssertionError, match="a miracle: the processes have nothing to do"):
            wait_for(lambda: False, "a miracle", pid, looks=3)


def test_patience_ends_where_a_process_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process, pytest.raises(AssertionError, match=r"all .* ended"):
        wait_for(lambda: False, "a miracle", process.pid)


def test_what_a_process_did_last_is_seen() -> None:
    answers = iter([False, True])
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert wait_for(lambda: next(answers), "the last answer", process.pid)


def test_the_end_of_a_process_is_awaited() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.exit(3)"]) as process:
        assert wait_for_end(process) == 3
