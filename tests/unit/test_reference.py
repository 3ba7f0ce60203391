"""How far results may be from the reference: each limit, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from byzcode.errors import UserError
from byzcode.verify.reference import CHAOTIC, LITTLE, TABLES, compare
from byzcode.verify.report import only_kept


def frame(**changes):
    """Two rows of a summary, the second of a chaotic run."""
    row = {"run_id": "a", "aggregation": CHAOTIC[0], "redundancy": LITTLE + 1, "seeds": 20, "at_plateau": 20}
    row |= {"loss_median": 2.0, "excess_loss_median": 1.0, "bits_sent_per_iteration": 3200.0}
    chaotic = row | {"run_id": "b", "redundancy": LITTLE}
    return pd.DataFrame([row | changes, chaotic | {name: value for name, value in changes.items() if name != "run_id"}])


def compared(tmp_path, ours, theirs, name="summaries/one.csv"):
    for folder, table in (("ours", ours), ("theirs", theirs)):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)
    return compare(tmp_path / "ours", tmp_path / "theirs")[0]


def faults(tmp_path, ours, theirs, **options):
    return [line for one in compared(tmp_path, ours, theirs, **options) for line in one.faults]


def test_the_same_tables_do_not_deviate(tmp_path):
    assert faults(tmp_path, frame(), frame()) == []
    assert all(one.largest == 0 for one in compared(tmp_path, frame(), frame()))


@pytest.mark.parametrize(
    ("column", "value", "of_calm", "of_chaotic"),
    [
        ("loss_median", 2.0 * (1 + 1e-9), False, False),
        ("loss_median", 2.1, True, False),
        ("loss_median", 9.0, True, True),
        ("loss_median", np.inf, True, True),
        ("loss_median", np.nan, True, True),
        ("excess_loss_median", 1.1, True, False),
        ("bits_sent_per_iteration", 3201.0, True, False),
        ("at_plateau", 19, True, False),
        ("at_plateau", 17, True, True),
        ("seeds", 19, True, True),
        ("aggregation", "mean", True, True),
    ],
)
def test_what_a_quantity_may_differ_by(column, value, of_calm, of_chaotic, tmp_path):
    """Of a calm run and of a chaotic one."""
    path = tmp_path / "ours" / "summaries" / "one.csv"
    for row, expected in ((0, of_calm), (1, of_chaotic)):
        ours = frame().astype({column: object})
        ours.loc[row, column] = value
        found = faults(tmp_path, ours, frame())
        assert bool(found) == expected
        if expected and column != "aggregation":
            assert found[0].startswith(f"{path}: {column} of {'ab'[row]} is ")


@pytest.mark.parametrize(
    ("values", "within"), [((1e-25, 3e-25), True), ((1e-25, 3e-19), False), ((0.0, 1e-21), True), ((1e-9, 2e-9), False)]
)
def test_squares_at_rounding_level_may_be_anything(values, within, tmp_path):
    ours, theirs = (frame().assign(excess_loss_median=[value, 1.0]) for value in values)
    assert (faults(tmp_path, ours, theirs) == []) == within


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.iloc[:1],
        lambda table: table.drop(columns="seeds"),
        lambda table: table.assign(more=1),
        lambda table: pd.concat([table, table.iloc[:1].assign(run_id="c")]),
    ],
    ids=["a row less", "a column less", "a column more", "a row more"],
)
def test_other_rows_or_columns_are_a_fault(change, tmp_path):
    found = faults(tmp_path, change(frame()), frame())
    assert len(found) >= 1
    assert "in one of it and" in found[0] or "only" in found[0]


def test_a_table_that_only_the_reference_has_is_told(tmp_path):
    """Whether it should be there is a matter of the configuration."""
    compared(tmp_path, frame(), frame())
    (tmp_path / "ours" / "summaries" / "one.csv").unlink()

    found, alone = compare(tmp_path / "ours", tmp_path / "theirs")

    assert found == []
    assert alone == [tmp_path / "theirs" / "summaries" / "one.csv"]
    assert only_kept(alone) == [f"{tmp_path}/theirs/summaries: the results have no such tables: one.csv"]


@pytest.mark.parametrize(("value", "fault"), [("refuted", True), ("supported", False)])
def test_verdicts_are_compared_as_words_and_wording_is_not(value, fault, tmp_path):
    theirs = pd.DataFrame(
        [{"study": "s", "claim": "c", "cell": "s/c", "effect": 0.5, "verdict": "supported", "says": "Lower."}]
    )
    ours = theirs.assign(verdict=value, says="It is lower.", effect=0.501)
    assert bool(faults(tmp_path, ours, theirs, name="scorecard.csv")) == fault


def test_a_reference_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="no reference: expected"):
        compare(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (frame(run_id="b"), frame(), "run_id = 'b' occurs twice"),
        (frame(), pd.DataFrame({"a": [1]}), "not a table by run_id: "),
        (pd.DataFrame({"a": [1]}), frame(), "not a table by run_id: "),
    ],
)
def test_a_table_that_cannot_be_read_is_a_fault_and_the_others_are_compared(ours, theirs, said, tmp_path):
    compared(tmp_path, frame(loss_median=3.0), frame(), name="summaries/another.csv")
    found = faults(tmp_path, ours, theirs)
    assert any(f"/one.csv: {said}" in line for line in found)
    assert any("/another.csv: loss_median of a is 3.0" in line for line in found)


def test_a_folder_in_place_of_a_table_is_a_fault(tmp_path):
    compared(tmp_path, frame(), frame())
    path = tmp_path / "ours" / "summaries" / "one.csv"
    path.unlink()
    path.mkdir()
    lines = {line for one in compare(tmp_path / "ours", tmp_path / "theirs")[0] for line in one.faults}
    assert lines == {f"{path}: a folder, where a file is expected"}


#: By table and column: a value of the reference, one that is just allowed, and one that is not.
LIMITS = [
    ("summaries/one.csv", "loss_median", 2.0, 2.0 * (1 + 0.9e-6), 2.0 * (1 + 1.1e-6)),
    ("summaries/one.csv", "loss_median", 1e-13, 1.09e-12, 1.2e-12),
    ("summaries/one.csv", "excess_loss_median", 2.0, 2.0 * (1 - 0.9e-6), 2.0 * (1 - 1.1e-6)),
    ("chaotic", "loss_median", 2.0, 3.19, 3.21),
    ("chaotic", "loss_median", 2.0, 0.81, 0.79),
    ("chaotic", "bits_sent_per_iteration", 100.0, 129.0, 131.0),
    ("chaotic", "at_plateau", 20, 18, 17),
    ("scorecard.csv", "effect", 2.0, 2.019, 2.021),
    ("scorecard.csv", "low", 2.0, 2.09, 2.11),
    ("scorecard.csv", "high", 2.0, 1.91, 1.89),
    ("scorecard.csv", "p_support", 0.01, 0.0109, 0.0111),
    ("scorecard.csv", "p_refute", 0.9, 0.8991, 0.8989),
    ("scorecard.csv", "pairs", 20, 20, 19),
    ("multiverse/claims.csv", "supported", 0.5, 0.519, 0.521),
    ("multiverse/choices.csv", "q", 0.5, 0.481, 0.479),
    ("multiverse/tree.csv", "mean_v", 0.5, 0.519, 0.521),
    ("multiverse/sizes.csv", "same", 30, 28, 27),
    ("multiverse/stated.csv", "supported", 30, 32, 33),
]


@pytest.mark.parametrize(("name", "column", "kept", "inside", "outside"), LIMITS)
def test_each_limit_is_where_it_is(name, column, kept, inside, outside, tmp_path):
    chaotic = name == "chaotic"
    path = "summaries/one.csv" if chaotic else name
    keys = {key: "x" for table in TABLES if Path(path).match(table.pattern) for key in table.keys}
    about = {"aggregation": CHAOTIC[0], "redundancy": LITTLE if chaotic else LITTLE + 1}
    row = keys | (about if path.startswith("summaries") else {})
    ours, just, theirs = (pd.DataFrame([row | {column: value}]) for value in (outside, inside, kept))
    assert faults(tmp_path, just, theirs, name=path) == []
    assert len(faults(tmp_path, ours, theirs, name=path)) == 1


@pytest.mark.parametrize(
    ("factors", "within"),
    [
        ([1.09] * 8, True),
        ([1.12] * 8, False),
        ([0.89] * 8, False),
        ([1.5] * 3 + [1.0] * 5, True),
        ([1.5] * 5 + [1.0] * 3, False),
        ([1.5] * 4, True),
    ],
    ids=["all a little", "all more", "all less", "some", "most", "too few to say"],
)
def test_chaotic_rows_do_not_move_all_together(factors, within, tmp_path):
    """Half of the rows in one table, half in another."""
    half = len(factors) // 2
    found = []
    for name, some in (("one", factors[:half]), ("two", factors[half:])):
        rows = [frame().iloc[1:].assign(run_id=f"{name}{number}") for number in range(len(some))]
        theirs = pd.concat(rows)
        ours = theirs.assign(loss_median=theirs["loss_median"] * some, excess_loss_median=some)
        found = faults(tmp_path, ours, theirs, name=f"summaries/{name}.csv")
    assert (found == []) == within
    assert within or "in the median row; allowed: 0.1" in found[0]


def test_the_repositorys_reference_has_every_table():
    """Its rows are named by the columns that this says, and a table beside itself does not deviate."""
    kept = Path(__file__).parents[2] / "results" / "reference"
    found, alone = compare(kept, kept)
    assert alone == []
    # The verdicts on held-out seeds are made last, of claims that no longer change.
    later = set() if (kept / "heldout.csv").exists() else {"held-out verdicts"}
    assert {one.kind for one in found} == {table.kind for table in TABLES} - later
    assert not [line for one in found for line in one.faults]
