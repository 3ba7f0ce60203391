"""What the files about the project say: they agree with each other and with pyproject.toml."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import tool

import byzcode

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CODEMETA = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))


def test_codemeta_says_what_the_project_says() -> None:
    for key in ("name", "description", "keywords"):
        assert CODEMETA[key] == PROJECT[key]
    assert CODEMETA["version"] == CITATION["version"] == byzcode.__version__
    wheels = re.findall(r"byzcode-([\d.]+)-py3", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert set(wheels) == {byzcode.__version__}
    assert CODEMETA["license"] == f"https://spdx.org/licenses/{PROJECT['license']}"
    assert CITATION["license"] == PROJECT["license"]
    assert [author["name"] for author in CODEMETA["author"]] == [author["name"] for author in PROJECT["authors"]]


def test_an_address_of_the_repository_is_named_only_if_the_project_has_one() -> None:
    address = PROJECT.get("urls", {}).get("Repository")
    assert CODEMETA.get("codeRepository") == CITATION.get("repository-code") == address


def test_a_doi_is_in_all_files_or_in_none() -> None:
    """CONTRIBUTING.md, on releases."""
    doi = CITATION.get("doi")
    assert CODEMETA.get("identifier") == (f"https://doi.org/{doi}" if doi else None)
    archive = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("## Long-term archive\n")[2].partition("\n## ")[0]
    )
    assert re.findall(r"https://doi\.org/([^\s)>]+)", archive) == ([doi] if doi else [])


def cited(paper: dict[str, Any]) -> dict[str, Any]:
    """A paper of CITATION.cff in the words of codemeta."""
    people = [{"@type": "Person", **_person(author)} for author in paper["authors"]]
    told = {"@type": "ScholarlyArticle", "name": paper["title"], "author": people, "url": paper["url"]}
    if "journal" in paper:
        journal = {"@type": "Periodical", "name": paper["journal"]}
        volume = {"@type": "PublicationVolume", "volumeNumber": str(paper["volume"])}
        told["isPartOf"] = {**volume, "isPartOf": journal}
        told |= {"datePublished": str(paper["year"]), "pagination": f"{paper['start']}-{paper['end']}"}
    return told


def _person(author: dict[str, str]) -> dict[str, str]:
    return {"givenName": author["given-names"], "familyName": author["family-names"]}


def test_both_name_the_same_papers() -> None:
    assert CODEMETA["referencePublication"] == list(map(cited, CITATION["references"]))


def test_the_catalogue_of_workflows_has_what_it_asks_for() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]

    assert usage["report"] is ("\nreport: " in (ROOT / "workflow/Snakefile").read_text(encoding="utf-8"))
    rules = [path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk")]
    of_jobs = [rule for text in rules for rule in re.split(r"^rule ", text, flags=re.MULTILINE)[1:] if "shell:" in rule]
    assert of_jobs
    assert usage["software-stack-deployment"]["conda"] is all("conda:" in rule for rule in of_jobs)
    assert (ROOT / "config/README.md").is_file()


def test_the_licence_of_every_file_is_that_of_the_project() -> None:
    (every,) = tomllib.loads((ROOT / "REUSE.toml").read_text(encoding="utf-8"))["annotations"]
    assert (every["path"], every["SPDX-License-Identifier"]) == ("**", PROJECT["license"])
    text = (ROOT / f"LICENSES/{PROJECT['license']}.txt").read_text(encoding="utf-8")
    assert text == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert every["SPDX-FileCopyrightText"] in text


def test_reuse_lint_is_content() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone: generated files would count")
    ended = subprocess.run([tool("reuse"), "lint"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_of_github_says_that_it_was_never_run(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "It was never run" in text.partition("name:")[0]
    assert yaml.safe_load(text)["jobs"]


def test_github_does_what_ci_does() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["tests"]["steps"][-1] == {"run": ".ci/run"}
