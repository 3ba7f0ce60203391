"""``byzcode init`` and ``byzcode new``: what they write, and that they overwrite nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from unit.commands import Call, byzcode, complaint, unchanged

from byzcode.scaffold import new
from byzcode.studies.plan import load_plan

__all__ = ["byzcode"]

ROOT = Path(__file__).parents[2]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_new_folder_has_the_workflow_as_the_repository_has_it(tmp_path: Path, byzcode: Call) -> None:
    assert byzcode("init", str(tmp_path / "new")).code == 0

    made = files(tmp_path / "new")
    for folder in ("config", "workflow", "profiles"):
        assert {name: text for name, text in made.items() if name.startswith(f"{folder}/")} == {
            f"{folder}/{name}": text for name, text in files(ROOT / folder).items()
        }
    others = {name for name in made if name.split("/")[0] not in ("config", "workflow", "profiles")}
    assert others == {"Snakefile", "results/README.md"}
    assert not any(path.is_symlink() for path in (tmp_path / "new").rglob("*"))


def test_an_empty_folder_will_do(tmp_path: Path, byzcode: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert byzcode("init", ".").code == 0
    assert byzcode("plan", "cra-d", "--json").code == 0


def test_a_folder_with_content_and_a_file_are_refused(tmp_path: Path, byzcode: Call) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for folder, there in ((tmp_path, "it is not empty"), (tmp_path / "file", "it is a file")):
        with unchanged(tmp_path):
            said = complaint(byzcode("init", str(folder)))
        assert said == f"byzcode init: FOLDER = {str(folder)!r}: {there}; allowed: a new or an empty folder"
    assert "cannot be written" in complaint(byzcode("init", str(tmp_path / "file" / "inside")))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The places of new files in a clone."""
    for kind in new.COMPONENTS.values():
        table = tmp_path / kind.listed_in
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text("", encoding="utf-8")
    (tmp_path / "config/studies").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("kind", new.COMPONENTS)
def test_a_new_component_says_where_it_is_to_be_listed(kind: str, clone: Path, byzcode: Call) -> None:
    output = byzcode("new", kind, "my_own", "--project", str(clone))

    about = new.COMPONENTS[kind]
    path = clone / "src/byzcode" / about.package / "my_own.py"
    assert output.code == 0
    assert output.out.startswith(f"{path}: written.")
    assert f'In {about.listed_in}, add the line "my_own", to {about.table}.' in output.out
    assert "\ndef my_own(" in (text := path.read_text(encoding="utf-8"))
    assert 'title="my own"' in text
    assert "xample" not in text.replace("Examples", "")


@pytest.mark.parametrize("kind", new.COMPONENTS)
@pytest.mark.parametrize("name", ["zz", "a" * 14 + "_" + "b" * 15])
def test_a_new_component_is_clean_and_formatted_whatever_its_name(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.py"
    path.write_text(new.text_of(kind, name), encoding="utf-8")

    for command in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), str(path)]
        ended = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout


def test_a_new_study_is_planned(tmp_path: Path, byzcode: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config/studies").mkdir(parents=True)

    assert byzcode("new", "study", "my-question").code == 0

    plan = load_plan({"studies": ["config/studies/*.yaml"]})
    assert list(plan.studies) == ["my-question"]
    assert set(plan.figures) == {"my-question-loss", "my-question-plateau"}
    assert len(plan.runs) == 4


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("atack", "one"), "KIND = 'atack': no such kind; did you mean 'attack'? allowed: attack, rule"),
        (("attack", "My"), "NAME = 'My': allowed: small letters, digits and _, first a letter, 2 to 30 in all"),
        (("attack", "1a"), "NAME = '1a': allowed: small letters"),
        (("attack", "a" * 31), "allowed: small letters, digits and _, first a letter, 2 to 30 in all"),
        (("attack", "../a"), "NAME = '../a': allowed: small letters"),
        (("attack", "lambda"), "NAME = 'lambda': Python or the file uses this word otherwise; allowed: another name"),
        (("attack", "sum"), "NAME = 'sum': Python or the file uses this word"),
        (("attack", "messages"), "NAME = 'messages': Python or the file uses this word"),
        (("problem", "sizes"), "NAME = 'sizes': Python or the file uses this word"),
        (("study", "my_own"), "NAME = 'my_own': allowed: small letters and digits, with single hyphens between them"),
        (("study", ""), "NAME = '': allowed: small letters and digits"),
    ],
)
def test_a_mistake_is_told_in_one_line(words: tuple[str, str], says: str, clone: Path, byzcode: Call) -> None:
    with unchanged(clone):
        said = complaint(byzcode("new", *words, "--project", str(clone)))
    assert said.startswith("byzcode new: ")
    assert says in said


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [("rule", "own", "src/byzcode/aggregation/own.py"), ("study", "own", "config/studies/own.yaml")],
)
def test_nothing_is_overwritten(kind: str, name: str, path: str, clone: Path, byzcode: Call) -> None:
    (clone / path).write_text("mine", encoding="utf-8")

    said = complaint(byzcode("new", kind, name, "--project", str(clone)))

    assert f"NAME = 'own': {clone / path} exists, and is not overwritten; allowed: a new name" in said
    assert (clone / path).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (
            "attack",
            "it has no src/byzcode/attacks/__init__.py; allowed: a clone of byzcode's repository, or the kind study",
        ),
        ("study", "it has no folder config/studies; allowed: a project, which `byzcode init` lays out"),
    ],
)
def test_a_folder_without_a_place_for_the_file_is_refused(kind: str, says: str, tmp_path: Path, byzcode: Call) -> None:
    with unchanged(tmp_path):
        said = complaint(byzcode("new", kind, "own", "--project", str(tmp_path)))
    assert said == f"byzcode new: --project = {str(tmp_path)!r}: {says}"


@pytest.mark.parametrize(("kind", "name"), [("attack", "shifted_mean"), ("rule", "midrange")])
def test_contributing_shows_what_is_written(kind: str, name: str) -> None:
    about = new.COMPONENTS[kind]
    told = (
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"`src/byzcode/{about.package}/{name}.py`:")[2]
    )

    assert told.partition("```python\n")[2].partition("```")[0] == new.text_of(kind, name)
