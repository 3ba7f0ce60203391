"""Claims frozen by their hashes: what changes them, what does not, and the command that registers them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner
from unit.claim_runs import ROOT

from byzcode.cli import app
from byzcode.errors import UserError
from byzcode.studies import frozen
from byzcode.studies.plan import load_plan, load_plan_file

CLAIM = {
    "claim": "below",
    "says": "It is.",
    "source": "Nowhere",
    "mark": "stated",
    "test": "lower",
    "curve": "One",
    "against": "Other",
    "each": ["attack"],
    "figure": "loss",
    "confirms": "If so.",
    "refutes": "If not.",
}
STUDY = {
    "study": "small",
    "title": "Small",
    "base": {
        "problem": {"name": "linear_regression", "subsets": 12, "dimension": 3},
        "devices": 6,
        "iterations": 20,
        "record.step": 1,
        "aggregation": "median",
        "seeds": 3,
    },
    "grid": {"attack": ["sign_flip", "ipm"]},
    "curves": [{"label": "One", "method": "cra_dl", "redundancy": 4}, {"label": "Other", "method": "rba_dl"}],
    "plots": {"loss": {"kind": "trajectories", "columns": "attack", "caption": "It."}},
    "claims": [CLAIM],
}
OTHER = {**STUDY, "study": "other", "claims": []}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """The plan of the study with changes, each a path of keys and a value."""
    for file in ("config/readings/primary.yaml", "config/style.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    monkeypatch.chdir(tmp_path)

    def made(*changes, **settings):
        study = copy.deepcopy(STUDY)
        for *keys, last, value in changes:
            inner = study
            for key in keys:
                inner = inner[key]
            inner[last] = value
        Path("small.yaml").write_text(yaml.safe_dump(study))
        Path("other.yaml").write_text(yaml.safe_dump(OTHER))
        config = {"studies": ["small.yaml", "other.yaml"], **settings}
        Path("config/config.yaml").write_text(yaml.safe_dump(config))
        return load_plan(config)

    return made


WORDS = {
    "words": (("claims", 0, "says", "It is much lower."),),
    "source and mark": (("claims", 0, "source", "Here"), ("claims", 0, "mark", "inferred")),
    "no figure": (("claims", 0, "figure", None),),
    "titles and captions": (("title", "Smaller"), ("plots", "loss", "caption", "That.")),
    "a label": (("curves", 0, "label", "First"), ("claims", 0, "curve", "First")),
    "a curve more": (("curves", [*STUDY["curves"], {"label": "Third", "method": "ma"}]),),
}
TESTED = {
    "a factor": (("claims", 0, "factor", 1.1),),
    "the part of the training": (("claims", 0, "at", "end"),),
    "a kind": (("claims", 0, "kind", "chosen"),),
    "a kind at a place": (("claims", 0, "kinds", [{"where": {"attack": "ipm"}, "kind": "chosen"}]),),
    "a run": (("base", "iterations", 21),),
    "the redundancy of a run": (("curves", 0, "redundancy", 6),),
    "the number of seeds": (("base", "seeds", 4),),
    "a place less": (("grid", "attack", ["sign_flip"]),),
    "a claim more": (("claims", [CLAIM, {**CLAIM, "claim": "twice", "factor": 2.0}]),),
    "an exchange of the sides": (("claims", 0, "curve", "Other"), ("claims", 0, "against", "One")),
}


@pytest.mark.parametrize("changes", WORDS.values(), ids=WORDS)
def test_words_are_not_frozen(plan, changes):
    assert plan(*changes).registration == plan().registration


@pytest.mark.parametrize("changes", TESTED.values(), ids=TESTED)
def test_what_is_tested_is_frozen(plan, changes):
    assert plan(*changes).registration.digest != plan().registration.digest


def test_all_changes_have_hashes_of_their_own(plan):
    assert len({plan(*changes).registration.digest for changes in ((), *TESTED.values())}) == len(TESTED) + 1


def test_which_seeds_they_are_is_not_frozen(plan):
    first, later = plan(), plan(first_seed=20)
    assert later.registration == first.registration
    assert {spec.seeds for spec in later.runs.values()} == {(20, 21, 22)}
    hashes = [[frozen.hash_of(cell) for cell in each.studies["small"].cells] for each in (first, later)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 2


def test_on_held_out_seeds_only_the_runs_of_claims_are_left(plan):
    third = ("curves", [*STUDY["curves"], {"label": "Third", "method": "ma"}])
    whole, later = plan(third), plan(third, first_seed=20)
    assert (len(whole.runs), len(later.runs)) == (6, 4)
    assert not set(whole.runs) & set(later.runs)
    assert list(later.studies) == ["small"]
    assert (later.figures, later.summarised) == ({}, [])
    assert (set(whole.figures), set(whole.summarised)) == ({"small-loss", "other-loss"}, {"small", "other"})


def test_the_ids_of_runs_are_those_of_their_seeds(plan):
    """Held-out runs are the runs of a study that names these seeds itself."""
    named = plan(("base", "seeds", [20, 21, 22])).studies["small"]
    assert set(plan(first_seed=20).runs) == set(named.run_ids())


def test_a_seed_that_becomes_too_large_is_refused(plan):
    with pytest.raises(UserError, match=r"^small.yaml: seeds"):
        plan(("base", "seeds", [2**32 - 1]), first_seed=1)


def test_the_shipped_claims_are_the_same_on_held_out_seeds(monkeypatch):
    monkeypatch.chdir(ROOT)
    first, later = load_plan_file("config/config.yaml"), load_plan_file("config/heldout/config.yaml")
    assert first.registration == later.registration
    assert not set(first.runs) & set(later.runs)
    assert {spec.seeds for spec in later.runs.values()} == {tuple(range(20, 40))}
    assert later.config.results != first.config.results


# --- the registered hashes -------------------------------------------------------------------------------------------


def freeze(*arguments):
    return CliRunner().invoke(app, ["freeze", *arguments])


def test_claims_are_registered_once(plan):
    made = plan()
    assert made.registration.words == "not registered"
    assert freeze().exit_code == 0
    path = Path("config/heldout/claims.sha256")
    assert path.read_text() == f"{made.registration.frozen['small']}  small\n"
    assert plan().registration.words == "as registered"
    assert made.registration.digest in plan().scorecard_json()
    assert freeze().exit_code == 0  # again, with the same claims

    changed = plan(("claims", 0, "factor", 1.1))
    assert changed.registration.words == "not the registered claims: small differ"
    assert changed.registration.digest in changed.heldout_json()
    assert changed.registration.digest not in changed.scorecard_json()  # other claims, as those of make quick
    before = path.read_bytes()
    refused = freeze()
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception) == (
        f"{path}: not the registered claims: small differ; --replace registers the claims anew"
    )
    assert path.read_bytes() == before
    assert freeze("--replace").exit_code == 0
    assert path.read_bytes() != before
    assert plan(("claims", 0, "factor", 1.1)).registration.words == "as registered"


def test_a_study_that_was_taken_away_is_named():
    one = frozen.Registration({"a": "1" * 64}, {"a": "1" * 64, "b": "2" * 64})
    assert one.words == "not the registered claims: b differ"
    assert frozen.Registration({"a": "1" * 64, "b": "3" * 64}, one.registered).differing == ["b"]


@pytest.mark.parametrize("line", ["", "small", f"{'g' * 64}  small", f"{'0' * 64} small", f"{'0' * 63}  small"])
def test_a_file_with_anything_else_is_refused(plan, line):
    Path("hashes").write_text(f"{'0' * 64}  other\n{line}\n")
    with pytest.raises(UserError, match=r"^hashes: line 2 is not a sha256, two spaces and the name of a study$"):
        _ = plan(registered="hashes").registration
