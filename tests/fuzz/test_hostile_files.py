"""What a file may hold: it is planned with all that the workflow asks, or refused in one line, and nothing is written.

BYZCODE_FUZZ says how many inputs are tried, in all tests of this folder together; they are random where it is set.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from fuzz.budget import trying
from fuzz.mutations import as_yaml, structures, texts
from fuzz.sandbox import (
    ALTERNATIVES,
    FILES,
    MULTIVERSE,
    check,
    corpus,
    holding,
    limited,
    multiverse,
    planned,
)
from hypothesis import event, given
from hypothesis import strategies as st

from byzcode.errors import UserError
from byzcode.specs.run import RunSpec

CORPUS = corpus()

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]


def outcome(path: str, content: bytes) -> str:
    """accepted or refused; anything else fails."""
    with holding(path, content), limited():
        try:
            plan = planned()
            if path in (MULTIVERSE, ALTERNATIVES):
                multiverse(plan)
        except UserError as error:
            check(error, *FILES)
            return "refused"
    return "accepted"


@pytest.mark.parametrize("kind", CORPUS)
def test_the_files_are_good_as_they_are(kind: str) -> None:
    assert [outcome(path, text.encode()) for path, text in CORPUS[kind]] == ["accepted"] * len(CORPUS[kind])


@trying(0.25)
@given(st.data())
def test_a_study_of_other_structure(data: st.DataObject) -> None:
    path, text = data.draw(st.sampled_from(CORPUS["studies"]))
    event(outcome(path, as_yaml(data.draw(structures(yaml.safe_load(text))))))


@trying(0.2)
@given(st.data())
def test_a_file_of_other_structure(data: st.DataObject) -> None:
    path, text = data.draw(st.sampled_from(CORPUS["others"]))
    event(outcome(path, as_yaml(data.draw(structures(yaml.safe_load(text))))))


@trying(0.2)
@given(st.data())
def test_a_file_of_other_bytes(data: st.DataObject) -> None:
    path, text = data.draw(st.sampled_from([*CORPUS["studies"], *CORPUS["others"]]))
    event(outcome(path, data.draw(texts(text))))


RUNS = [
    {"method": "cra_dl", "redundancy": 40, "attack": "sign_flip", "aggregation": "median"},
    {
        "method": "draco_repetition",
        "redundancy": 5,
        "devices": 20,
        "problem": {"name": "linear_regression", "subsets": 20},
    },
    json.loads(RunSpec.parse({"method": "com_lad", "redundancy": 20, "aggregation": "krum"}, "run").canonical()),
]


@trying(0.15)
@given(st.data())
def test_a_run_of_other_structure_or_bytes(data: st.DataObject) -> None:
    values = data.draw(st.sampled_from(RUNS))
    if data.draw(st.booleans()):
        try:
            text = json.dumps(data.draw(structures(values)))
        except ValueError:  # a whole number of more digits than Python writes
            text = '{"devices": ' + "9" * 6000 + "}"
    else:
        text = data.draw(texts(json.dumps(values))).decode(errors="replace")
    with limited():
        try:
            spec = RunSpec.from_json(text, "--spec")
            assert RunSpec.from_json(spec.canonical(), "again") == spec
            event("accepted")
        except UserError as error:
            check(error, "--spec")
            event("refused")


def never_ends() -> None:
    while True:
        pass


def test_what_never_ends_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.sandbox.CPU", 0.2)
    with pytest.raises(AssertionError, match=r"more than 0\.2 s of a processor"), limited():
        never_ends()


def test_no_canary_was_touched(sandbox: Path) -> None:
    assert not list(sandbox.rglob("canary"))
