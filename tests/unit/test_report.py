"""The report: two pages, the numbers of the scorecard and of the summaries, and no report where one is missing."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dag.small_results import byzcode, inside
from PIL import Image

from byzcode.errors import UserError
from byzcode.report import pdf
from byzcode.report.numbers import _shares, in_words, numbers
from byzcode.report.tables import Tables
from byzcode.scorecard.words import number
from byzcode.studies.plan import Plan, load_plan_file

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference"
Values = dict[str, Any]


def rows(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SCORECARD = rows("scorecard.csv")
STATED = [row for row in SCORECARD if row["mark"] == "stated" and row["kind"] != "identity"]


@pytest.fixture(scope="module")
def plan() -> Plan:
    with inside(ROOT):
        return load_plan_file()


@pytest.fixture(scope="module")
def values(plan: Plan) -> Values:
    """What the report says of the kept tables."""
    with inside(ROOT):
        return numbers(Tables(plan, Path("results"), kept=True))


def count(cells: list[dict[str, str]]) -> dict[str, int]:
    found = Counter(cell["verdict"] for cell in cells)
    return {verdict: found[verdict] for verdict in ("supported", "refuted", "undecided")}


def test_the_counts_are_those_of_the_scorecard(values: Values) -> None:
    assert values["tests"] == len(SCORECARD)
    assert values["claims"] == len({(row["study"], row["claim"]) for row in SCORECARD})
    assert values["stated"] == count([row for row in STATED if row["kind"] == "empirical"])
    by_paper = [paper["counts"] for paper in values["papers"]]
    assert {name: sum(each[name] for each in by_paper) for name in values["stated"]} == values["stated"]
    tested = [row for row in SCORECARD if row["test"] == "open" or row["verdict_heldout"]]
    same = sum(row["verdict_heldout"] in ("", row["verdict"]) for row in tested)
    assert (values["heldout"]["same"], values["heldout"]["all"]) == (same, len(tested))


def test_each_stated_claim_has_its_effects_and_verdicts(values: Values) -> None:
    claims = [claim for paper in values["papers"] for claim in paper["claims"]]
    expected: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in STATED:
        expected.setdefault((row["study"], row["claim"]), []).append(row)
    assert len(claims) == len(expected)
    for said, cells in zip(claims, expected.values(), strict=True):
        assert said["says"] + "." == cells[0]["says"]
        assert [test["verdict"] for test in said["tests"]] == [cell["verdict"] for cell in cells]
        ends = [f(float(cell["effect"]) for cell in cells) for f in (min, max)]
        assert said["effect"] == " to ".join(dict.fromkeys(map(number, ends)))
        assert said["heldout"] == f"{sum(c['verdict'] == c['verdict_heldout'] for c in cells)}/{len(cells)}"
    exceptions = [cells for cells in expected.values() if cells[0]["kind"] == "empirical"]
    exceptions = [cells for cells in exceptions if {cell["verdict"] for cell in cells} != {"supported"}]
    assert [each["says"] + "." for each in values["not_always"]] == [cells[0]["says"] for cells in exceptions]


def test_the_levels_are_those_of_the_summaries(values: Values) -> None:
    table = {
        (row["method"], row["aggregation"], row["redundancy"]): float(row["excess_loss_median"])
        for row in rows("summaries/cra-d.csv")
    }
    for words, rule in zip(values["plateaus"]["rules"], ("median", "trimmed_mean", "phocas"), strict=True):
        assert words["rba_dl"]["median"] == number(table["rba_dl", rule, "10"])
        for level in words["cra_dl"]:
            assert level["median"] == number(table["cra_dl", rule, str(level["x"])])
            assert 10 ** level["log"][0] == pytest.approx(table["cra_dl", rule, str(level["x"])])


def test_the_shares_of_readings_are_those_of_the_multiverse(values: Values) -> None:
    shares = {claim["says"]: claim["readings"] for paper in values["papers"][1:] for claim in paper["claims"]}
    (row,) = (row for row in rows("multiverse/claims.csv") if (row["claim"], row["cell"]) == ("near-draco", ""))
    told = [float(share) for share in shares["LAD with d = 20 comes near DRACO"].split(", ")]
    assert told == pytest.approx([100 * float(row[name]) for name in ("supported", "refuted")], abs=0.5)
    assert values["readings"] == int(row["readings"])


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (["supported"] * 3, "supported"),
        (["refuted"], "refuted"),
        (["refuted", "supported", "refuted"], "1 supported, 2 refuted"),
        (["undecided", "supported"], "1 supported, 1 undecided"),
    ],
)
def test_the_verdict_chooses_the_words(verdicts: list[str], words: str) -> None:
    assert in_words(verdicts) == words


# --- the pages --------------------------------------------------------------------------------------------------------


@pytest.fixture
def typst() -> Any:
    return pytest.importorskip("typst", reason="Typst is not installed: make setup, or pip install 'byzcode[report]'")


def shown(typst: Any, values: Values) -> list[dict[str, Any]]:
    """The numbers that stand on the pages."""
    how = {"sys_inputs": pdf.inputs(values), "ignore_system_fonts": True}
    found: list[dict[str, Any]] = json.loads(typst.query(pdf.TEMPLATE.read_bytes(), "<shown>", field="value", **how))
    return found


def pages(typst: Any, values: Values) -> list[bytes]:
    how = {"sys_inputs": pdf.inputs(values), "ignore_system_fonts": True}
    made = typst.compile(pdf.TEMPLATE.read_bytes(), format="png", ppi=40, **how)
    return made if isinstance(made, list) else [made]


FIGURE = '<svg xmlns="http://www.w3.org/2000/svg" width="518pt" height="243pt"><path d="M0 0h9"/></svg>'
OF_RESULTS = {"figure": FIGURE, "cost": {"minutes": "18", "devices": "cpu", "platforms": "Linux x86_64"}}


@pytest.mark.parametrize("more", [{}, OF_RESULTS], ids=["kept tables", "results"])
def test_it_has_two_pages(typst: Any, values: Values, more: Values) -> None:
    assert len(pages(typst, values | more)) == 2


def test_the_numbers_on_the_pages_are_those_of_the_scorecard(typst: Any, values: Values) -> None:
    on_pages: dict[str, list[Any]] = {}
    for each in shown(typst, values):
        on_pages.setdefault(each["name"], []).append(each["value"])
    empirical = [row for row in STATED if row["kind"] == "empirical"]
    assert on_pages["tests"] == [len(SCORECARD)]
    assert on_pages["stated.all"] == [len(empirical)]
    assert {name: on_pages[f"stated.{name}"] for name in values["stated"]} == {
        name: [number] for name, number in count(empirical).items()
    }
    claims = [claim for paper in values["papers"] for claim in paper["claims"]]
    assert on_pages["effect"] == [claim["effect"] for claim in claims]
    assert on_pages["verdict"] == [claim["verdict"] for claim in claims]
    assert on_pages["exception"] == [claim["verdict"] for claim in values["not_always"]]
    assert len(on_pages["plateau"]) == 18


def levels(values: Values) -> list[list[float | None]]:
    """The logarithms of median, lower and upper quartile of each point and level of the plots."""
    rules, lad = values["plateaus"]["rules"], values["lad"]
    points = [p for each in rules for name in ("cra_dl", "cra_dl_corrected", "clairvoyant") for p in each[name]]
    points += [p for each in lad for curve in each["curves"].values() for p in curve]
    return [p["log"] for p in [*points, *(each["rba_dl"] for each in rules), *(each["exact"] for each in lad)]]


def test_the_quartiles_enclose_the_medians(values: Values) -> None:
    for median, low, high in levels(values):
        if median is not None:
            assert low is not None
            assert low <= median <= (high if high is not None else float("inf"))


def pixels(page: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page)).convert("RGB")).astype(int)


def caption(typst: Any, values: Values) -> str:
    """The words of the caption of the plots."""
    how = {"sys_inputs": pdf.inputs(values), "ignore_system_fonts": True}
    found = typst.query(pdf.TEMPLATE.read_bytes(), "<plots>", field="caption", one=True, **how)
    return "".join(re.findall(r'"text": "(.*?)"', found))


def test_the_plots_show_the_spread_over_seeds_and_say_what_it_is(typst: Any, values: Values) -> None:
    """Bands of no width leave white what bands colour, and change nothing else."""
    narrow = copy.deepcopy(values)
    for log in levels(narrow):
        log[1:] = [log[0], log[0]]
    drawn, without = pages(typst, values), pages(typst, narrow)
    assert drawn[1] == without[1]
    with_bands, plain = pixels(drawn[0]), pixels(without[0])
    assert (with_bands <= plain + 1).all()
    coloured = np.ptp(with_bands, axis=-1) > 10
    assert ((plain.min(axis=-1) == 255) & coloured).sum() > 100
    assert "from the lower to the upper quartile of the seeds" in caption(typst, values)


def test_a_band_without_an_end_ends_at_the_edge_of_its_panel(typst: Any, values: Values) -> None:
    endless, far, above = (copy.deepcopy(values) for _ in range(3))
    levels(endless)[0][1], levels(far)[0][1], levels(above)[0][2] = None, -99.0, None
    drawn, to_edge, beyond = (pages(typst, each) for each in (values, endless, far))
    assert drawn[0] != to_edge[0] == beyond[0]
    assert ["edge of its panel" in caption(typst, each) for each in (values, endless, above)] == [False, False, True]


def test_other_verdicts_give_other_words(typst: Any, values: Values) -> None:
    """Were everything supported and something reversed, it would say so."""
    other = copy.deepcopy(values) | {"not_always": []}
    other["heldout"]["reversed"] = 7
    on_pages = {each["name"]: each["value"] for each in shown(typst, other)}
    assert on_pages["heldout.reversed"] == 7
    assert "exceptions" not in on_pages
    assert "heldout.reversed" not in {each["name"] for each in shown(typst, values)}


@pytest.mark.usefixtures("typst")
def test_the_same_tables_give_the_same_bytes(values: Values) -> None:
    made = pdf.typeset(values)
    assert made.startswith(b"%PDF-")
    assert made == pdf.typeset(values)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the configuration and of the kept tables, as the working directory."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(REFERENCE, tmp_path / "results/reference", ignore=shutil.ignore_patterns("real", "long", "open"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("typst")
def test_the_command_writes_it_and_says_of_what(project: Path) -> None:
    assert byzcode("report") == (0, "byzcode-report.pdf: made from results/reference\n")
    assert (project / "byzcode-report.pdf").read_bytes().startswith(b"%PDF-")


def complaint(*arguments: str) -> str:
    """The one line in which it refuses."""
    code, said = byzcode("report", *arguments)
    assert code == 1
    assert said.count("\n") == 1
    assert not list(Path().glob("*.pdf"))
    return said.strip()


def edited(name: str, column: str, value: str, **where: str) -> None:
    """Change a cell of a kept table."""
    path = Path("results/reference") / name
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for row in table:
        if all(row[key] == wanted for key, wanted in where.items()):
            row[column] = value
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


@pytest.mark.usefixtures("project")
def test_what_is_missing_is_named() -> None:
    claim = {"study": "cra-b", "claim": "below-rba-dl"}
    edited("scorecard.csv", "effect", "", **claim)
    assert "cra-b/below-rba-dl: the scorecard has no effect" in complaint()
    edited("scorecard.csv", "effect", "0.5", **claim)
    edited("summaries/cra-d.csv", "excess_loss_median", "", method="cra_dl", redundancy="30", aggregation="phocas")
    assert "cra-d: cra_dl, phocas, r = 30: no level of the excess loss" in complaint()
    Path("results/reference/summaries/cra-d.csv").unlink()
    assert complaint().startswith("byzcode: results/reference/summaries/cra-d.csv: ")
    edited("scorecard.csv", "verdict_heldout", "", **claim)
    assert "verdicts on held-out seeds are missing" in complaint()
    Path("results/reference/multiverse/claims.csv").unlink()
    assert complaint().startswith("byzcode: results/reference/multiverse/claims.csv: ")
    Path("results/reference/scorecard.csv").unlink()
    assert "results/scorecard.csv: missing, here and in reference/" in complaint()


@pytest.mark.usefixtures("project")
def test_results_go_before_what_is_kept_and_are_checked() -> None:
    shutil.copy("results/reference/scorecard.csv", "results")
    assert complaint().startswith("byzcode: results/scorecard.csv: cannot be checked")


@pytest.mark.usefixtures("project")
def test_a_configuration_without_the_studies_is_refused() -> None:
    assert "scorecard.csv: no claim of LAD and Com-LAD, which the report shows" in complaint(
        "--config", "studies=[config/studies/cra-d.yaml]"
    )


@pytest.mark.usefixtures("project")
def test_only_a_pdf_is_written() -> None:
    assert complaint("--out", "report.txt") == (
        "byzcode: byzcode report: --out = 'report.txt': a name that ends with .pdf"
    )
    Path("there.pdf").mkdir()
    code, said = byzcode("report", "--out", "there.pdf")
    assert (code, "cannot be written" in said) == (1, True)


@pytest.mark.usefixtures("project")
def test_without_typst_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    assert "Typst is not installed; pip install 'byzcode[report]'" in complaint()


def test_a_study_that_is_not_there_is_refused(plan: Plan) -> None:
    with pytest.raises(UserError, match="no study of-nobody"):
        Tables(plan, ROOT / "results", kept=True).summary("of-nobody")


def test_half_a_percent_is_rounded_up() -> None:
    assert _shares(pd.Series({"supported": 0.62, "refuted": 0.145})) == "62, 15"
    assert _shares(pd.Series({"supported": 0.005, "refuted": 0.0})) == "1, 0"
