"""What `byzcode recommend` says of open questions: only what verdicts near the given alpha bear out."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner
from unit.claim_runs import ROOT
from vouched import vouched

from byzcode.attacks import ATTACKS
from byzcode.cli import app
from byzcode.errors import UserError
from byzcode.recommend.lessons import LESSONS, SITUATIONS, STATED, Lesson, expected, holding
from byzcode.recommend.need import need
from byzcode.recommend.verdicts import lines, scorecard_in, taught

KEPT = ROOT / "results" / "reference" / "open" / "scorecard.csv"
ASKED = {"devices": 100, "heterogeneity": 10.0, "gradients": 2000}
OPTIONS = ("--devices", "100", "--heterogeneity", "10", "--budget-gradients", "2000")
CODE = next(lesson for lesson in LESSONS if lesson.claim == "coding-pays-without-alpha")
CODE_IF_ABSENT = next(lesson for lesson in LESSONS if lesson.claim == "coding-pays-with-absence")


def study(name):
    return yaml.safe_load((ROOT / "config" / "open" / "studies" / f"{name}.yaml").read_text(encoding="utf-8"))


def scorecard(folder: Path, *tests: tuple[Lesson, str, str]) -> Path:
    """A scorecard of the tests of claims, each with a place and a verdict."""
    path = folder / "open" / "scorecard.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"study": lesson.study, "claim": lesson.claim, "place": place, "verdict": verdict, "runs": f"run{n} same"}
        for n, (lesson, place, verdict) in enumerate(tests)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return vouched(path, "scorecard")


def told(path, alpha, *stated):
    return taught(need(alpha=alpha, **ASKED), stated, path)


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: f"{lesson.study}/{lesson.claim}/{lesson.verdict}")
def test_a_lesson_is_of_a_claim_that_is_tested_at_the_values_it_names(lesson):
    asked = study(lesson.study)
    (claim,) = [claim for claim in asked["claims"] if claim["claim"] == lesson.claim]
    own = claim.get("where", {})
    assert lesson.situation in SITUATIONS
    assert set(lesson.where) <= set(claim["each"])
    for key, values in lesson.where.items():
        assert set(values) <= {str(value) for value in asked["grid"][key]}
    if math.isinf(lesson.alpha):
        assert "byzantine.alpha" in (*claim["each"], *own)
    else:
        assert lesson.alpha == asked["base"]["byzantine.alpha"]
    assert lesson.attack == (None if "attack" in asked["grid"] else ATTACKS[asked["base"]["attack"]].words)


def test_every_lesson_is_borne_out_by_the_kept_verdicts_at_some_alpha():
    """A lesson that no verdict bears out any more must go."""
    asked = {**ASKED, "bits": 200_000}
    found = {
        (each.lesson.claim, each.lesson.verdict)
        for alpha in (0, 0.1, 0.2, 0.3, 0.45)
        for each in taught(need(alpha=alpha, **asked), STATED, KEPT)
    }
    assert found == {(lesson.claim, lesson.verdict) for lesson in LESSONS}


def test_what_holds_follows_from_the_need_or_is_stated():
    assert holding(need(alpha=0.2, **ASKED), ()) == ["always"]
    assert holding(need(alpha=0, bits=200_000, **ASKED), ("absence",)) == ["compression", "absence"]
    assert expected(["absence", "absence"]) == {"absence"}
    with pytest.raises(UserError) as refused:
        expected(["absense"])
    assert str(refused.value) == (
        "byzcode recommend: --expect = 'absense': did you mean 'absence'? "
        "allowed: unknown-alpha, absence, knowing-liars"
    )


# --- what verdicts bear out -------------------------------------------------------------------------------------------


def test_the_nearest_alpha_decides(tmp_path):
    path = scorecard(
        tmp_path,
        (CODE, "byzantine.alpha = 0", "refuted"),
        (CODE, "byzantine.alpha = 0.1", "refuted"),
        (CODE, "byzantine.alpha = 0.2", "undecided"),
        (CODE, "byzantine.alpha = 0.3", "supported"),
    )

    def found(alpha):
        return [(each.lesson.verdict, each.alphas, each.runs) for each in told(path, alpha, "unknown-alpha")]

    assert found(0.3) == [("supported", (0.3,), ("run3", "same"))]
    assert found(0.39) == found(0.4) == found(0.3)
    assert found(0.41) == found(0.2) == []
    assert found(0.25) == [("supported", (0.2, 0.3), ("run2", "same", "run3"))]  # both are as near
    assert found(0.05) == found(0.1) == [("refuted", (0.1,), ("run1", "same"))]  # with liars, not without
    assert found(0.0) == [("refuted", (0.0,), ("run0", "same"))]
    assert told(path, 0.3) == []  # nobody said that alpha is unknown


def test_without_liars_only_tests_without_liars_count(tmp_path):
    path = scorecard(tmp_path, (CODE, "byzantine.alpha = 0.05", "supported"))
    assert told(path, 0.05, "unknown-alpha")
    assert told(path, 0.0, "unknown-alpha") == []


@pytest.mark.parametrize(
    ("verdicts", "advised"),
    [
        (("supported", "supported"), "supported in 2 of 2 tests)"),
        (("undecided", "supported"), "supported in 1 of 2 tests, undecided in 1)"),
        (("supported",), "supported in 1 of 1 test)"),
        (("refuted", "undecided"), "refuted in 1 of 2 tests, undecided in 1)"),
        (("supported", "refuted"), None),
        (("undecided", "undecided"), None),
        (("open",), None),
    ],
)
def test_advice_needs_a_verdict_and_none_against_it(tmp_path, verdicts, advised):
    tests = [(CODE, f"attack = a{n}, byzantine.alpha = 0.2", verdict) for n, verdict in enumerate(verdicts)]
    found = told(scorecard(tmp_path, *tests), 0.2, "unknown-alpha")
    assert [each.words.rpartition("alpha = 0.2: ")[2] for each in found] == ([] if advised is None else [advised])


def test_only_tests_at_the_values_of_a_lesson_count(tmp_path):
    path = scorecard(
        tmp_path,
        (CODE_IF_ABSENT, "byzantine.alpha = 0.1, absence.share = 0", "refuted"),
        (CODE_IF_ABSENT, "byzantine.alpha = 0.1, absence.share = 0.3", "supported"),
    )
    (found,) = told(path, 0.1, "absence")
    assert found.words.endswith("supported in 1 of 1 test)")
    assert found.runs == ("run1", "same")


# --- where verdicts come from -----------------------------------------------------------------------------------------


def test_own_verdicts_come_before_kept_ones(tmp_path):
    assert scorecard_in(tmp_path) is None
    assert lines(told(None, 0.2, "absence"), {"absence"}, None) == [
        "If devices may be late or absent: no verdicts; `make open-questions` makes them."
    ]
    kept = tmp_path / "reference" / "open" / "scorecard.csv"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(KEPT.read_bytes())
    assert scorecard_in(tmp_path) == kept
    assert told(kept, 0.3, "unknown-alpha")
    own = scorecard(tmp_path, (CODE, "byzantine.alpha = 0.3", "undecided"))
    assert scorecard_in(tmp_path) == own
    assert lines(told(own, 0.3, "unknown-alpha"), {"unknown-alpha"}, own) == [
        "If you do not know how many devices lie: no verdict near this alpha bears out any advice."
    ]


def test_a_wrong_scorecard_is_named(tmp_path):
    own = scorecard(tmp_path, (CODE, "byzantine.alpha = 0.3", "supported"))
    own.write_text(own.read_text(encoding="utf-8").replace("supported", "refuted"), encoding="utf-8")
    with pytest.raises(UserError, match="damaged: its checksum"):
        told(own, 0.3)
    vouched(own)
    with pytest.raises(UserError, match="foreign: made by summarise; expected scorecard"):
        told(own, 0.3)
    kept = tmp_path / "reference" / "open" / "scorecard.csv"
    kept.parent.mkdir(parents=True)
    for content, said in ((b"study,claim\n1,2\n", "not a scorecard: it has no column place"), (b"\xff", "not a table")):
        kept.write_bytes(content)
        with pytest.raises(UserError, match=said):
            told(kept, 0.3)
    kept.write_text(
        f"study,claim,place,verdict,runs\n{CODE.study},{CODE.claim},byzantine.alpha = x,supported,a\n", encoding="utf-8"
    )
    assert told(kept, 0.3, "unknown-alpha") == []  # an alpha that is no number is near none


# --- the command ------------------------------------------------------------------------------------------------------


def ask(folder, *options):
    ended = CliRunner().invoke(app, ["recommend", *OPTIONS, *options, "--results", str(folder)])
    if ended.exit_code:
        assert isinstance(ended.exception, UserError), ended.exception
        return str(ended.exception)
    return ended.output


def test_the_command_tells_lessons_and_names_situations_that_it_was_not_told(tmp_path):
    path = scorecard(tmp_path, (CODE, "byzantine.alpha = 0.3", "supported"), (LESSONS[0], "attack = alie", "supported"))
    said = ask(tmp_path, "--alpha", "0.3", "--expect", "unknown-alpha", "--expect", "absence").splitlines()
    start = said.index("If devices lie:")
    assert said[start:] == [
        "If devices lie:",
        f"- {LESSONS[0].advice} (exact-designs, a-design-beats-sampling, alpha = 0.2: supported in 1 of 1 test)",
        "If you do not know how many devices lie:",
        f"- {CODE.advice} (unknown-alpha, coding-pays-without-alpha, sign flip, alpha = 0.3: supported in 1 of 1 test)",
        "If devices may be late or absent: no verdict near this alpha bears out any advice.",
        f"Measured on linear regression, in studies digits-* on sorted digits, with 85 to 100 devices: {path}",
    ]
    assert ask(tmp_path, "--alpha", "0.3").endswith(
        "More was measured for --expect unknown-alpha, absence, knowing-liars.\n"
    )
    assert "--expect = 'x'" in ask(tmp_path, "--alpha", "0.3", "--expect", "x")


def test_programs_get_the_same(tmp_path):
    scorecard(tmp_path, (CODE, "byzantine.alpha = 0.3", "supported"))
    said = json.loads(ask(tmp_path, "--alpha", "0.3", "--expect", "unknown-alpha", "--json"))
    assert said["lessons"] == [
        {
            "situation": "unknown-alpha",
            "advice": CODE.advice,
            "study": "unknown-alpha",
            "claim": "coding-pays-without-alpha",
            "attack": "sign flip",
            "rests_on": "supported",
            "verdicts": {"supported": 1},
            "alphas": [0.3],
            "runs": ["run0", "same"],
        }
    ]
    assert json.loads(ask(tmp_path / "open", "--alpha", "0.3", "--json"))["lessons"] == []
