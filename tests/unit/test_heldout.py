"""The table of verdicts on held-out seeds: how it is made, and how it stands beside a scorecard."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner
from unit.fake_claims import VERSIONS, table, unjudged
from unit.vouched import vouched

from byzcode.cli import app
from byzcode.errors import UserError
from byzcode.scorecard.heldout import COLUMN, shown, with_heldout
from byzcode.scorecard.page import page
from byzcode.studies.requests import Beside

DIGEST = "a" * 64


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The table of held-out verdicts that the command makes of made-up claims."""
    monkeypatch.chdir(tmp_path)
    rows = unjudged().sort_values("study", kind="stable")
    rows["tested"] = [hashlib.sha256(cell.encode()).hexdigest()[:12] for cell in rows["cell"]]
    Path("claims").mkdir()
    for study, own in rows.groupby("study", sort=False):
        own.to_csv(f"claims/{study}.csv", index=False)
        vouched(Path(f"claims/{study}.csv"), "claims")
    request = {
        "studies": list(dict.fromkeys(rows["study"])),
        "registration": {"digest": DIGEST, "words": "as registered"},
        "first_seed": 20,
    }
    ended = CliRunner().invoke(
        app, ["heldout", "--request", json.dumps(request), "--results", ".", "--out", "heldout.csv"]
    )
    assert ended.exit_code == 0, ended.output
    assert ended.output.strip() == "claims: as registered"
    assert Path("heldout.sha256").exists()
    return rows.reset_index(drop=True)


def beside(path="heldout.csv"):
    return Beside(table=path, sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest())


def test_the_table_has_a_row_per_test_and_says_of_which_claims(made):
    written = pd.read_csv("heldout.csv", dtype=str, keep_default_na=False)
    assert written["cell"].tolist() == made["cell"].tolist()
    assert written["tested"].tolist() == made["tested"].tolist()
    assert set(written["verdict"]) <= {"supported", "refuted", "undecided"}
    assert set(zip(written["first_seed"], written["claims_sha256"], written["registered"], strict=True)) == {
        ("20", DIGEST, "as registered")
    }
    assert "says" not in written


def test_verdicts_are_joined_by_study_claim_cell_and_what_is_tested(made):
    found = shown(beside())
    joined = with_heldout(made, found)
    assert joined[COLUMN].tolist() == found.rows["verdict"].tolist()
    assert "" not in set(joined[COLUMN])
    assert found.words == f"seeds 20 to 39, claims as registered, sha256 {DIGEST}"

    changed = made.copy()
    changed.loc[0, "tested"] = "0" * 12  # another margin or another run since
    changed.loc[1, "cell"] += "/new"
    joined = with_heldout(changed.iloc[::-1], found)
    assert joined.iloc[::-1][COLUMN].tolist() == ["", "", *found.rows["verdict"].tolist()[2:]]


def test_without_a_table_the_column_is_empty(made):
    assert set(with_heldout(made, shown(None))[COLUMN]) == {""}


def test_the_scorecard_shows_them(made):
    request = {
        "studies": list(dict.fromkeys(made["study"])),
        "reading": "The primary reading",
        "registration": {"digest": "b" * 64, "words": "not the registered claims: cra-a differ"},
        "heldout": beside().model_dump(),
    }
    ended = CliRunner().invoke(
        app, ["scorecard", "--request", json.dumps(request), "--results", ".", "--out", "scorecard"]
    )
    assert ended.exit_code == 0, ended.output
    scorecard = pd.read_csv("scorecard.csv", dtype=str, keep_default_na=False)
    assert scorecard[COLUMN].tolist() == pd.read_csv("heldout.csv", dtype=str)["verdict"].tolist()
    html = Path("scorecard.html").read_text()
    for words in ("seeds 20 to 39, claims as registered", "b" * 64, "not the registered claims: cra-a differ"):
        assert words in html


def test_an_edited_table_is_not_the_requested_one(made):
    wanted = beside()
    Path("heldout.csv").write_text(Path("heldout.csv").read_text().replace("undecided", "supported", 1))
    with pytest.raises(UserError, match=r"^heldout.csv: not the file of the request: run Snakemake again$"):
        shown(wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="tested"), "column 'tested' is missing"),
        (lambda rows: rows.iloc[:0], "single positional indexer is out-of-bounds"),
        (lambda rows: rows.assign(first_seed="late"), "invalid literal for int"),
    ],
)
def test_any_other_table_is_refused_in_one_line(made, change, message):
    change(pd.read_csv("heldout.csv", dtype=str)).to_csv("other.csv", index=False)
    with pytest.raises(UserError) as caught:
        shown(beside("other.csv"))
    assert str(caught.value).startswith("other.csv: not a table of verdicts on held-out seeds: " + message)
    assert "\n" not in str(caught.value)


def test_an_unknown_verdict_is_refused(made):
    pd.read_csv("heldout.csv", dtype=str).assign(verdict="likely").to_csv("other.csv", index=False)
    with pytest.raises(UserError, match=r"^other.csv: verdict = 'likely': allowed: supported, refuted, undecided$"):
        shown(beside("other.csv"))
    with pytest.raises(UserError, match=r"^scorecard: verdict_heldout = 'likely'"):
        page(table().assign(verdict_heldout="likely"), reading="r", versions=VERSIONS)
