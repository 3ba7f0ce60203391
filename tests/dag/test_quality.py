"""What the tools say of the sources, and what the shipped files say of each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dag.project import ROOT, TINY, Project

from byzcode.errors import UserError
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import METHODS
from byzcode.studies.expand import expand
from byzcode.studies.plan import load, load_plan, read_yaml
from byzcode.studies.schema import SCHEMAS, as_text, generated
from byzcode.studies.study import Choice, Reading, Study

SCHEMA_FILES = ROOT / "workflow" / "schemas"
READING = "config/readings/primary.yaml"
STUDY_FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "config").glob("**/studies/*.yaml"))
CONFIG_FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "config").glob("**/config.yaml"))


def check(*command: str) -> None:
    """Run a tool of the development environment over the project; it must be content."""
    check_program(sys.executable, "-m", *command)


def check_program(*command: str) -> None:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_snakemake_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    ended = Project.create(tmp_path / "project", TINY).snakemake("--lint")

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_workflow_is_formatted() -> None:
    check("snakefmt", "--check", "Snakefile", "workflow")


def test_the_code_is_clean() -> None:
    check("ruff", "check")


def test_the_code_is_formatted() -> None:
    check("ruff", "format", "--check")


@pytest.mark.slow
def test_the_types_agree() -> None:
    check("mypy")


def test_no_import_runs_upwards() -> None:
    check_program(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")


def test_the_rules_share_names_and_no_code() -> None:
    """What the workflow does stands in the package, where ruff and mypy see it."""
    lines = (ROOT / "workflow" / "rules" / "common.smk").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    files = [ROOT / "workflow" / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    defined = {path.name for path in files if "\ndef " in path.read_text(encoding="utf-8")}
    assert defined == set()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_stored_schema_is_that_of_its_model(name: str) -> None:
    stored = SCHEMA_FILES / f"{name}.schema.json"

    assert stored.is_file(), "run `byzcode schema`"
    assert stored.read_text(encoding="utf-8") == as_text(SCHEMAS[name]), f"{stored.name} is old: run `byzcode schema`"


def test_the_reference_of_keys_is_that_of_the_models() -> None:
    readme = ROOT / "config" / "README.md"

    assert readme.read_text(encoding="utf-8") == generated(ROOT)[readme], "run `byzcode schema`"


def test_every_stored_schema_has_a_model() -> None:
    assert {path.name for path in SCHEMA_FILES.iterdir()} == {f"{name}.schema.json" for name in SCHEMAS}


@pytest.fixture
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("_in_the_project")
@pytest.mark.parametrize("path", STUDY_FILES)
def test_every_study_loads(path: str) -> None:
    plan = load_plan({"studies": [path]})

    assert [planned.path for planned in plan.studies.values()] == [path]
    assert Path(path).stem == next(iter(plan.studies)), "the name of a study is that of its file"
    assert plan.figures


@pytest.mark.usefixtures("_in_the_project")
@pytest.mark.parametrize("path", CONFIG_FILES)
def test_every_configuration_loads(path: str) -> None:
    assert load_plan(read_yaml(path), path).runs


@pytest.mark.parametrize("path", [*STUDY_FILES, *CONFIG_FILES, READING])
def test_every_file_names_its_schema(path: str) -> None:
    head, _, schema = (ROOT / path).read_text(encoding="utf-8").partition("\n")[0].partition("$schema=")

    assert head == "# yaml-language-server: "
    assert (ROOT / path).parent.joinpath(schema).resolve().is_relative_to(SCHEMA_FILES.resolve())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_colour(method: str) -> None:
    path = "config/style.yaml"

    assert method in read_yaml(str(ROOT / path)), f"add a line for {method} to {path}, as CONTRIBUTING.md says"


def primary_reading() -> list[Choice]:
    return load(Reading, str(ROOT / READING)).choices


#: Where the reading decides otherwise than the models: more seeds.
DECIDES = {"seeds"}


@pytest.mark.parametrize("choice", primary_reading(), ids=lambda choice: choice.key)
def test_the_primary_reading_repeats_the_defaults_of_the_models(choice: Choice) -> None:
    """A run without the reading is the same run; where the models leave the value open, they refuse."""
    with_it, without = (Reading(reading="one", title="One", choices=choices) for choices in ([choice], []))
    study = study_about(choice)
    chosen = expand(study, with_it, "with")
    try:
        assert (expand(study, without, "without") == chosen) == (choice.key not in DECIDES)
    except UserError:
        *_, field = choice.key.split(".")
        assert choice.key.startswith("method.")
        assert field == "redundancy"


def study_about(choice: Choice) -> Study:
    """A study of one run in which the choice has a say."""
    head, _, rest = choice.key.partition(".")
    name, _, option = rest.partition(".")
    base: dict[str, Any] = {head: {"name": name}} if head in COMPONENTS else {}
    curve = {"label": "a", "method": name if head == "method" else "cra_dl"}
    if option != "redundancy":
        curve["redundancy"] = 40
    if "aggregation" not in METHODS[curve["method"]].fixed:
        curve["aggregation"] = "median"
    return Study.model_validate(
        {
            "study": "one",
            "title": "One",
            "base": base,
            "curves": [curve],
            "plots": {"all": {"kind": "trajectories", "caption": "All."}},
        }
    )
