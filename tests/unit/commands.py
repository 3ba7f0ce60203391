"""The command line in this process, and a request for each command that the models of requests accept."""

from __future__ import annotations

import copy
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from byzcode import cli
from byzcode.provenance.content import canonical

ONE, TWO = "0123456789ab", "ba9876543210"

RUN: dict[str, Any] = {
    "method": "rba_dl",
    "aggregation": "median",
    "devices": 6,
    "iterations": 4,
    "seeds": [0, 1],
    "problem": {"name": "linear_regression", "subsets": 12, "dimension": 3},
}
ALLOCATION: dict[str, Any] = {"allocation": "random", "devices": 6, "subsets": 12, "redundancy": 4, "seeds": [0, 1]}
CLAIM: dict[str, Any] = {
    "claim": "lower",
    "says": "It is lower.",
    "source": "Nowhere",
    "mark": "inferred",
    "test": "lower",
    "curve": "One",
    "against": "Other",
    "confirms": "It is.",
    "refutes": "It is not.",
}
REQUESTS: dict[str, dict[str, Any]] = {
    "summarise": {"study": "lines", "runs": [ONE, TWO]},
    "claims": {
        "study": "lines",
        "title": "Lines",
        "cells": [{"claim": CLAIM, "cell": "lines/lower", "place": "", "runs": [ONE], "against": [TWO]}],
    },
    "scorecard": {"studies": ["lines"], "claims": {"lines": ONE}, "reading": "Primary"},
    "heldout": {
        "studies": ["lines"],
        "registration": {"digest": "0" * 64, "words": "as registered"},
        "first_seed": 20,
    },
    "gallery": {
        "studies": [
            {
                "study": "lines",
                "label": "lines",
                "title": "Lines",
                "group": "Ours",
                "file": "config/studies/lines.yaml",
                "figures": [
                    {
                        "figure": "lines-loss",
                        "plot": "loss",
                        "shows": "Lines.",
                        "request": ONE,
                        "runs": [ONE],
                        "methods": ["CRA-DL"],
                        "attacks": [],
                        "rules": [],
                    }
                ],
            }
        ],
        "reading": "Primary",
    },
    "reading": {
        "config": {"studies": ["config/studies/lines.yaml"]},
        "universe": {"kind": "primary", "size": "reduced", "taken": {"which": "one"}},
        "tests": ONE,
    },
    "multiverse": {"readings": [ONE, TWO], "requests": {ONE: TWO, TWO: ONE}},
    "figure": {
        "study": "lines",
        "title": "Lines",
        "paper": None,
        "plot": {"kind": "trajectories", "hue": "redundancy", "caption": "Lines."},
        "curves": [
            {
                "label": "CRA-DL",
                "method": "cra_dl",
                "style": {"color": "#000000"},
                "runs": [{"run": ONE, "allocation": TWO, "point": {"redundancy": 4}}],
            }
        ],
    },
}


def request(command: str) -> dict[str, Any]:
    """A request of its own, to be changed."""
    return copy.deepcopy(REQUESTS[command])


def arguments(command: str, out: object, results: object = "results") -> list[str]:
    """A command that nothing is wrong with, but where it is to write."""
    if command in REQUESTS:
        folder = [] if command == "reading" else ["--results", str(results)]
        options = ["--request", canonical(REQUESTS[command]), *folder]
    else:
        spec = {"train": RUN, "allocate": ALLOCATION}.get(command)
        options = ["--spec", canonical(spec)] if spec else []
    return [command, *options, *([] if command == "multiverse" else ["--out", str(out)])]


class Output(NamedTuple):
    """What became of a command."""

    code: Any
    out: str
    error: str


Call = Callable[..., Output]


@pytest.fixture
def byzcode(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """The command line as a user calls it. Any other error than one that it tells fails the test."""
    monkeypatch.setattr(gc, "freeze", lambda: None)

    def run(*words: str) -> Output:
        monkeypatch.setattr(sys, "argv", ["byzcode", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Output(ended.value.code, *capfd.readouterr())

    return run


def complaint(output: Output) -> str:
    """The one line that a command ended with."""
    assert output.code == 1, output
    assert output.error.startswith("byzcode: "), output
    assert output.error.count("\n") == 1, output
    assert output.error.strip().isprintable(), output
    return output.error.removeprefix("byzcode: ").rstrip("\n")


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Nothing is made, removed or written in a folder meanwhile."""

    def listed() -> list[tuple[str, int, int]]:
        files = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
        return [(str(path), about.st_mode, about.st_size) for path, about in files]

    before = listed()
    yield
    assert listed() == before
