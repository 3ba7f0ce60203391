"""Handlers of a module beside those of the workflow that uses it, by a workflow that registers as Snakemake does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from byzcode.execution.handlers import beside


class Workflow:
    """What of ``snakemake.workflow.Workflow`` matters here."""

    def __init__(self) -> None:
        self.main = True
        self._onstart: Callable[[Any], object] = lambda log: None

    def onstart(self, func: Callable[[Any], object]) -> None:
        if self.main:
            self._onstart = func


def recorder(calls: list[str], name: str) -> Callable[[Any], object]:
    return lambda log: calls.append(f"{name} {log}")


@pytest.mark.parametrize("order", ["before", "after", "both", "neither"])
def test_both_are_called_ours_first(order: str) -> None:
    calls: list[str] = []
    workflow = Workflow()
    if order in ("before", "both"):
        workflow.onstart(recorder(calls, "theirs"))
    beside(workflow, "onstart", recorder(calls, "ours"))
    if order in ("after", "both"):
        calls.clear()
        workflow.onstart(recorder(calls, "later"))

    workflow._onstart("log")

    theirs = {"before": ["theirs log"], "after": ["later log"], "both": ["later log"], "neither": []}
    assert calls == ["ours log", *theirs[order]]


def test_those_of_two_modules_are_called() -> None:
    calls: list[str] = []
    workflow = Workflow()
    beside(workflow, "onstart", recorder(calls, "one"))
    workflow.main = False
    workflow.onstart(recorder(calls, "of a module"))
    workflow.main = True
    beside(workflow, "onstart", recorder(calls, "two"))
    workflow.onstart(recorder(calls, "theirs"))

    workflow._onstart("log")

    assert sorted(calls[:2]) == ["one log", "two log"]
    assert calls[2:] == ["theirs log"]


def test_after_an_error_of_ours_theirs_is_not_called() -> None:
    calls: list[str] = []
    workflow = Workflow()
    workflow.onstart(recorder(calls, "theirs"))

    def refuse(log: Any) -> None:
        raise RuntimeError("held")

    beside(workflow, "onstart", refuse)
    with pytest.raises(RuntimeError, match="held"):
        workflow._onstart("log")
    assert calls == []
