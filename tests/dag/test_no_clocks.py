"""No test has a limit in seconds that a busy machine could break."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from dag.project import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))

#: What tells the time of day, or how long ago something was. The CPU time of a process is no such thing.
CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "now", "utcnow", "today"}

#: Keywords that give up after so many seconds.
LIMITS = {"timeout", "deadline", "timeout_seconds", "max_wait"}

#: Calls that take their limit as the first argument.
WAITS = {"wait", "settimeout", "alarm"}

WHY = "a busy machine breaks it: wait for an event, or with tests/patience.py; or count the time of processors"


def limits(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The lines of a test that have a limit in seconds, each with what it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = called(node.func)
            for keyword in node.keywords:
                if keyword.arg in LIMITS and not none(keyword.value):
                    yield node.lineno, f"{keyword.arg} of {name}"
            if name in WAITS and any(not none(argument) for argument in node.args[:1]):
                yield node.lineno, f"{name} with a limit"
            if name == "join" and any(
                isinstance(argument, ast.Constant) and number(argument.value) for argument in node.args[:1]
            ):
                yield node.lineno, "join with a limit"
            if name == "setitimer" and "ITIMER_REAL" in ast.unparse(node):
                yield node.lineno, "an alarm by the clock"
            if name == "timeout" and "mark" in ast.unparse(node.func):
                yield node.lineno, "a limit of a test of its own"
        if isinstance(node, ast.Compare) and any(is_clock(inner) for inner in ast.walk(node)):
            yield node.lineno, "a comparison of times of day"
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and isinstance(node.value, ast.BinOp):
            yield from ((node.lineno, "a time of day that is reckoned with") for _ in filter(is_clock, ast.walk(node)))


def called(function: ast.AST) -> str:
    """The last name of what is called."""
    return getattr(function, "attr", getattr(function, "id", ""))


def none(value: ast.AST) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_clock(node: ast.AST) -> bool:
    """Whether an expression asks a clock."""
    if not isinstance(node, ast.Call) or called(node.func) not in CLOCKS:
        return False
    return isinstance(node.func, ast.Attribute) and called(node.func.value) in ("time", "datetime", "date")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_a_test_has_no_limit_in_seconds(path: Path) -> None:
    waits = list(limits(ast.parse(path.read_text(encoding="utf-8"))))

    assert not waits, f"{path.relative_to(ROOT)}: {waits}: {WHY}"


@pytest.mark.parametrize(
    "line",
    [
        "subprocess.run(['x'], timeout=60)",
        "process.wait(60)",
        "process.wait(PATIENCE)",
        "process.communicate(timeout=PATIENCE)",
        "thread.join(5)",
        "queue.get(timeout=1)",
        "@settings(deadline=200)\ndef test(): ...",
        "@pytest.mark.timeout(5)\ndef test(): ...",
        "assert time.monotonic() < end",
        "assert time.time() - began < 5",
        "took = time.perf_counter() - began",
        "end = time.monotonic() + 5",
        "signal.alarm(5)",
        "signal.setitimer(signal.ITIMER_REAL, 5)",
    ],
)
def test_a_limit_in_seconds_is_seen(line: str) -> None:
    assert list(limits(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "subprocess.run(['x'], timeout=None)",
        "process.wait()",
        "', '.join(words)",
        "@settings(deadline=None)\ndef test(): ...",
        "os.utime(path, (time.time(), time.time()))",
        "cpu = time.process_time() - before",
        "time.sleep(0.1)",
        "values.get('x')",
        "signal.setitimer(signal.ITIMER_PROF, 60)",
    ],
)
def test_what_a_busy_machine_does_not_break_is_let_pass(line: str) -> None:
    assert not list(limits(ast.parse(line)))


def test_no_test_is_given_up_before_it_could_have_ended() -> None:
    """The limit of pytest is for what hangs."""
    options = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [limit] = [int(line.partition("=")[2]) for line in options.splitlines() if line.startswith("timeout =")]

    assert limit >= 7200
