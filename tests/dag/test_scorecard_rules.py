"""Claims, scorecard and multiverse in the workflow: what is made again after a change of a claim, and what is not."""

from __future__ import annotations

import copy
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dag.project import STUDIES, TINY, Project

pytestmark = pytest.mark.slow

LINES, SWEEP = f"{STUDIES}/lines.yaml", f"{STUDIES}/sweep.yaml"
MULTIVERSE, ALTERNATIVES = "config/multiverse.yaml", "config/readings/alternatives.yaml"

_ABOUT = {"source": "Nowhere", "mark": "stated", "confirms": "If so.", "refutes": "If not."}
BELOW = {
    "claim": "below-rba-dl",
    "says": "It is lower.",
    "test": "lower",
    "curve": "CRA-DL, r = 6",
    "against": "RBA-DL",
    **_ABOUT,
}
AS_GOOD = {**BELOW, "claim": "as-good", "test": "equivalent", "margin": 1.5}
FALLS = {
    "claim": "falls",
    "says": "It falls.",
    "test": "falls",
    "curve": "CRA-DL",
    "along": "redundancy",
    "values": [4, 6],
    **_ABOUT,
}

#: Two studies with claims on three runs, and one without.
CLAIMED: dict[str, dict[str, Any]] = {
    "lines": {**TINY["lines"], "claims": [BELOW, AS_GOOD]},
    "sweep": {**TINY["sweep"], "claims": [FALLS]},
    "holding": TINY["holding"],
}

OPEN = {
    "choices": [
        {
            "choice": "coefficient",
            "title": "How strong",
            "primary": "-5",
            "others": [{"name": "-1", "set": {"attack.sign_flip.coefficient": -1}, "reason": "Weak."}],
        },
        {
            "choice": "step",
            "title": "How far",
            "primary": "0.5",
            "others": [{"name": "0.2", "set": {"step_size": 0.2}, "reason": "Careful."}],
        },
    ]
}
SETTINGS = {
    "alternatives": ALTERNATIVES,
    "random": 6,
    "full": 1,
    "claims": [{"study": "lines", "reduced": {"iterations": 4}}, {"study": "sweep"}],
}


def jobs(output: str) -> dict[str, Any]:
    """The jobs in the output of Snakemake, by rule: how many of those whose names are hashes, the names of others."""
    found = re.findall(r"^Job \d+: (\w+)(?: (\S+))?$", output, re.MULTILINE)
    counts = dict(re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE))
    assert int(counts.get("total", 0)) - int(counts.get("all", 0)) == len(set(found)), output
    numbers = Counter(rule for rule, name in set(found) if rule in ("allocate", "train", "reading"))
    named = {rule: {name for other, name in found if other == rule} for rule, _ in found if rule not in numbers}
    return {**numbers, **named}


def would_make(project: Project, *arguments: str) -> dict[str, Any]:
    finished = project.snakemake("--dry-run", *arguments)
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output
    return jobs(output)


def make(project: Project, *arguments: str) -> dict[str, Any]:
    finished = project.snakemake("--cores", "2", *arguments)
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output
    return jobs(output)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, Any]]:
    """The project with all its results, not to be changed, and the jobs that made them."""
    project = Project.create(tmp_path_factory.mktemp("claims") / "made", CLAIMED)
    project.write(MULTIVERSE, SETTINGS)
    project.write(ALTERNATIVES, OPEN)
    return project, make(project)


@pytest.fixture
def claimed(first: tuple[Project, dict[str, Any]], tmp_path: Path) -> Project:
    return first[0].copy(tmp_path / "project")


def test_a_study_with_claims_has_a_table_and_one_without_has_none(first: tuple[Project, dict[str, Any]]) -> None:
    project, made = first
    assert made["train"] == 3
    assert made["claims"] == {"lines", "sweep"}
    assert made["scorecard"] == made["gallery"] == {""}
    assert not made.keys() & {"reading", "multiverse"}  # only for who asks
    assert [path.name for path in project.files("claims/*.csv")] == ["lines.csv", "sweep.csv"]
    table = pd.read_csv(project.root / "results/scorecard.csv")
    assert table["cell"].tolist() == ["lines/below-rba-dl", "lines/as-good", "sweep/falls"]
    assert set(table["verdict"]) == {"undecided"}  # two seeds decide nothing
    assert project.files("scorecard.html")
    assert project.files("index.html")
    assert would_make(project) == {}


def test_no_claims_no_scorecard(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", TINY)
    made = would_make(project)
    assert not made.keys() & {"claims", "scorecard", "reading", "multiverse"}
    assert made["gallery"] == {""}


LINES_AGAIN = {"claims": {"lines"}, "scorecard": {""}, "gallery": {""}}


def test_other_words_of_a_claim_make_its_table_again_and_train_nothing(claimed: Project) -> None:
    claimed.edit(LINES, "claims", 0, "says", to="It is much lower.")
    assert would_make(claimed) == LINES_AGAIN


def test_another_margin_makes_its_table_again_and_trains_nothing(claimed: Project) -> None:
    claimed.edit(LINES, "claims", 1, "margin", to=1.25)
    assert make(claimed) == LINES_AGAIN
    table = pd.read_csv(claimed.root / "results/scorecard.csv")
    assert table.loc[1, "band_high"] == 1.25


def test_a_new_claim_on_runs_that_are_there_trains_nothing(claimed: Project) -> None:
    claimed.edit(LINES, "claims", to=[BELOW, AS_GOOD, {**BELOW, "claim": "rises", "curve": "CRA-DL, r = 4"}])
    assert would_make(claimed) == LINES_AGAIN


def test_no_claim_more_takes_a_study_off_the_scorecard(claimed: Project) -> None:
    claimed.edit(SWEEP, "claims", to=[])
    assert make(claimed) == {"scorecard": {""}, "gallery": {""}}
    assert set(pd.read_csv(claimed.root / "results/scorecard.csv")["study"]) == {"lines"}


def test_another_caption_makes_its_figure_and_the_gallery_again(claimed: Project) -> None:
    claimed.edit(LINES, "plots", "excess", "caption", to="Another caption.")
    assert make(claimed) == {"figure": {"lines-excess"}, "gallery": {""}}
    assert "<p>Another caption.</p>" in (claimed.root / "results/index.html").read_text()
    assert would_make(claimed) == {}


def test_a_figure_that_shows_a_claim_is_on_the_scorecard_too(claimed: Project) -> None:
    claimed.edit(LINES, "claims", 0, "figure", to="loss")
    assert make(claimed) == LINES_AGAIN
    claimed.edit(LINES, "plots", "loss", "caption", to="Another caption.")
    assert would_make(claimed) == {"figure": {"lines-loss"}, "scorecard": {""}, "gallery": {""}}


def test_code_of_the_pages_makes_them_again(claimed: Project) -> None:
    claimed.rewrite("src/byzcode/pages/theme.css", lambda text: text + "\nb { color: red; }\n")
    assert would_make(claimed) == {"scorecard": {""}, "gallery": {""}}


def test_code_of_the_gallery_makes_it_again(claimed: Project) -> None:
    claimed.rewrite("src/byzcode/gallery/filter.js.jinja", lambda text: text + "\nlet added;\n")
    assert would_make(claimed) == {"gallery": {""}}


def test_the_order_of_keys_in_a_claim_makes_nothing_again(claimed: Project) -> None:
    turned = [dict(reversed(claim.items())) for claim in CLAIMED["lines"]["claims"]]
    claimed.edit(LINES, "claims", to=None)
    claimed.edit(LINES, "claims", to=turned)
    assert would_make(claimed) == {}


def test_code_of_the_statistics_makes_the_tables_again_and_trains_nothing(claimed: Project) -> None:
    claimed.rewrite("src/byzcode/analysis/paired.py", lambda text: text + "\nADDED = 1\n")
    again = would_make(claimed)
    assert again["claims"] == {"lines", "sweep"}
    assert again["scorecard"] == {""}
    assert "train" not in again


def test_the_multiverse_is_made_and_taken_up_where_it_stopped(claimed: Project) -> None:
    made = make(claimed, "multiverse")
    readings = claimed.files("multiverse/readings/*.csv")
    assert made == {"reading": len(readings), "multiverse": {""}}
    assert 4 <= len(readings) <= 10  # the primary at both sizes, two single ones, what random ones are left
    assert {path.name for path in claimed.files("multiverse/*.*")} >= {"claims.csv", "choices.csv", "multiverse.svg"}
    assert would_make(claimed, "multiverse") == {}

    before = readings[0].read_bytes()
    readings[0].unlink()
    (claimed.root / "results/multiverse/claims.csv").unlink()  # as if it had been stopped before the end
    assert make(claimed, "multiverse") == {"reading": 1, "multiverse": {""}}
    assert readings[0].read_bytes() == before
    assert would_make(claimed) == {}

    changed = copy.deepcopy(OPEN)
    changed["choices"][1]["others"][0]["set"] = {"step_size": 0.3}  # type: ignore[index]
    claimed.write(ALTERNATIVES, changed)
    taken = [pd.read_csv(path, dtype=str)["choice:step"][0] for path in readings]
    assert would_make(claimed, "multiverse") == {"reading": taken.count("0.2"), "multiverse": {""}}


def test_a_mistake_in_the_multiverse_is_said_to_who_asks_for_it(claimed: Project) -> None:
    claimed.edit(MULTIVERSE, "claims", 0, "study", to="line")
    finished = claimed.snakemake("--dry-run", "multiverse")
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0
    assert f"{MULTIVERSE}: claims.study = 'line': did you mean 'lines'? allowed: holding, lines, sweep\n" in output
    assert would_make(claimed) == {}


def test_a_reading_that_nobody_asks_for_is_said_to_be_none(claimed: Project) -> None:
    finished = claimed.snakemake("--dry-run", "results/multiverse/readings/0123456789ab.csv")
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0
    assert "reading 0123456789ab: not requested by the configuration" in output
