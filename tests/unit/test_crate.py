"""The RO-Crate in an archive: what its metadata say is what the archive holds, and roc-validator accepts them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dag.small_results import byzcode, inside, make
from tools import tool
from unpacking import unpack

from byzcode.data import DATA_SETS
from byzcode.verify.archived import Environment, Listed, Manifest
from byzcode.verify.crate import METADATA, Contents, metadata

ROOT = Path(__file__).parents[2]
Entities = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a small project, as they come out of an archive."""
    folder = tmp_path_factory.mktemp("crate")
    make(folder / "made")
    with inside(folder / "made"):
        code, said = byzcode("archive", "--out", "all.tar.gz")
        assert code == 0, said
    unpack(folder / "made/all.tar.gz", folder / "there")
    return folder / "there/results"


def entities(text: bytes) -> Entities:
    """The entities by their id, each once."""
    graph = json.loads(text)["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph)
    return found


@pytest.fixture(scope="module")
def crate(unpacked: Path) -> Entities:
    return entities((unpacked / METADATA).read_bytes())


def named(value: Any) -> list[str]:
    """The ids that the value of a property names."""
    return [each["@id"] for each in (value if isinstance(value, list) else [value])]


def references(value: Any) -> Iterator[str]:
    """All ids that a value names, wherever in it."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        assert set(value) == {"@id"}  # as RO-Crate wants it: flat
        yield value["@id"]


def test_it_lists_every_file_with_its_size_and_checksum(unpacked: Path, crate: Entities) -> None:
    listed = {name: entity for name, entity in crate.items() if "File" in entity["@type"]}
    there = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert set(listed) == there - {METADATA}
    for name, entity in listed.items():
        content = (unpacked / name).read_bytes()
        assert entity["contentSize"] == str(len(content))
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()


def test_every_file_is_part_of_the_crate(crate: Entities) -> None:
    parts = named(crate["./"]["hasPart"])
    for folder in [part for part in parts if part.endswith("/")]:
        assert crate[folder]["@type"] == "Dataset"
        inner = named(crate[folder]["hasPart"])
        assert all(name.startswith(folder) for name in inner)
        parts += inner
    assert sorted(name for name in parts if not name.endswith("/")) == sorted(
        name for name, entity in crate.items() if "File" in entity["@type"]
    )


def test_what_an_entity_names_is_there(crate: Entities) -> None:
    outside = {"https://w3id.org/ro/crate/1.1", "https://snakemake.github.io"}
    told = {name for entity in crate.values() for value in entity.values() for name in references(value)}
    profiles = {name for name in told if name.startswith("https://bioschemas.org/profiles/")}
    assert told - set(crate) - profiles == outside


def test_it_says_which_workflow_ran_on_what_and_what_came_out(unpacked: Path, crate: Entities) -> None:
    (run,) = (entity for entity in crate.values() if entity["@type"] == "CreateAction")
    workflow = crate[run["instrument"]["@id"]]

    assert crate["./"]["mainEntity"] == run["instrument"]
    assert (unpacked / workflow["@id"]).read_bytes() == (ROOT / "workflow/Snakefile").read_bytes()
    assert {path.name for path in (unpacked / "archived/workflow/rules").iterdir()} == {
        path.name for path in (ROOT / "workflow/rules").glob("*.smk")
    }
    language = crate[workflow["programmingLanguage"]["@id"]]
    assert (language["name"], language["@type"]) == ("Snakemake", "ComputerLanguage")
    about = json.loads((unpacked / "archived/manifest.json").read_text(encoding="utf-8"))
    assert language["version"] == about["packed_with"]["distributions"]["snakemake"]
    libraries = {
        crate[name]["name"]: crate[name]["softwareVersion"] for name in named(workflow["softwareRequirements"])
    }
    assert libraries == {name: version for name, (version,) in about["made_with"].items()}
    configured = {f"archived/configuration/{name}" for name in about["config"]}
    assert configured | {"archived/config.yaml"} <= set(named(run["object"]))
    made = {name.partition("/")[0] + ("/" if "/" in name else "") for name in about["files"]}
    assert {name.partition("/")[0] + ("/" if "/" in name else "") for name in named(run["result"])} == made


def test_the_run_lasts_from_its_first_result_to_its_last(unpacked: Path, crate: Entities) -> None:
    files = json.loads((unpacked / "archived/manifest.json").read_text(encoding="utf-8"))["files"]
    times = sorted(int((unpacked / name).stat().st_mtime) for name in files)
    (run,) = (entity for entity in crate.values() if entity["@type"] == "CreateAction")
    assert [run["startTime"], run["endTime"]] == [_iso(times[0]), _iso(times[-1])]
    assert crate["./"]["datePublished"] == run["endTime"]


def _iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def test_it_cites_the_papers_and_names_authors_and_licence(crate: Entities) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    root = crate["./"]
    for paper, name in zip(citation["references"], named(root["citation"]), strict=True):
        cited = crate[name]
        assert (cited["name"], cited["@type"], name) == (paper["title"], "ScholarlyArticle", paper["url"])
        people = [f"{author['given-names']} {author['family-names']}" for author in paper["authors"]]
        assert [crate[author]["name"] for author in named(cited["author"])] == people
        if "journal" in paper:
            volume = crate[cited["isPartOf"]["@id"]]
            assert int(volume["volumeNumber"]) == paper["volume"]
            assert crate[volume["isPartOf"]["@id"]]["name"] == paper["journal"]
    assert [crate[author]["name"] for author in named(root["author"])] == [each["name"] for each in citation["authors"]]
    assert root["license"]["@id"] == f"https://spdx.org/licenses/{citation['license']}"


CONTENTS = Contents(
    files={
        "figures/größe a.svg": Listed(bytes=3, sha256="00"),
        "scorecard.csv": Listed(bytes=1, sha256="01"),
        "archived/config.yaml": Listed(bytes=2, sha256="02"),
        "archived/configuration/deep/er/study.yaml": Listed(bytes=2, sha256="03"),
        "archived/configuration/b\udcffd.yaml": Listed(bytes=2, sha256="05"),  # a name that is no UTF-8
        "archived/workflow/Snakefile": Listed(bytes=2, sha256="04"),
    },
    results=frozenset({"figures/größe a.svg", "scorecard.csv"}),
    manifest=Manifest(
        made_anew_by="snakemake",
        redrawn_by="snakemake",
        config=[],
        made_with={"torch": ["2.13.0", "2.13.0+cpu"]},
        packed_with=Environment(commit="abc+", python="3.11.7", platform="Linux", distributions={}),
        files={},
    ),
    studies={"cra-a": "Training"},
    data_sets={name: DATA_SETS[name] for name in ("digits", "fashion_mnist")},
    begun=0,
    ended=86400.5,
)


def test_data_sets_are_inputs_with_the_checksums_of_their_files() -> None:
    found = entities(metadata(CONTENTS))
    assert {"#data/digits", "#data/fashion_mnist"} < set(named(found["#run"]["object"]))
    known = found["#data/fashion_mnist"]
    pins = {found[name]["name"]: found[name]["value"] for name in named(known["identifier"])}
    assert pins == {file.name: file.sha256 for file in DATA_SETS["fashion_mnist"].files}
    assert DATA_SETS["fashion_mnist"].source in known["description"]
    assert "identifier" not in found["#data/digits"]


def test_all_that_made_the_results_is_told() -> None:
    found = entities(metadata(CONTENTS))
    workflow = found["archived/workflow/Snakefile"]
    assert workflow["identifier"] == "commit abc+"
    assert {"pkg:pypi/torch@2.13.0", "pkg:pypi/torch@2.13.0%2Bcpu"} == set(named(workflow["softwareRequirements"]))
    assert found["#run"]["startTime"] == "1970-01-01T00:00:00+00:00"
    assert found["./"]["datePublished"] == "1970-01-02T00:00:00+00:00"
    assert "figures/gr%C3%B6%C3%9Fe%20a.svg" in named(found["figures/"]["hasPart"])
    configured = [f"archived/configuration/{name}" for name in ("deep/er/study.yaml", "b%FFd.yaml")]
    assert named(found["archived/configuration/"]["hasPart"]) == configured
    assert found[configured[1]]["name"] == "b\udcffd.yaml"


# --- the validator ----------------------------------------------------------------------------------------------------

#: What is recommended and not there, because nobody has said it.
UNKNOWN = {
    "The Application SHOULD have a url",
    "The SoftwareApplication id SHOULD be an absolute URI",  # package URLs are, but not for its regular expression
    "The README.md SHOULD be about the crate",  # there is none
    "The README.md SHOULD have text/markdown as its encodingFormat",
    "The Action SHOULD have an agent that is a Person or Organization",
    "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`",
    "The author SHOULD have an organizational affiliation.",
    "The author SHOULD have a Contextual Entity which specifies the organizational `affiliation`.",
    "The organization SHOULD have a URL.",
}


def issues(folder: Path, level: str) -> list[list[str]]:
    """What roc-validator has to say of a crate, against the profile Workflow Run Crate."""
    python = Path(tool("rocrate-validator")).with_name("python")
    script = Path(__file__).with_name("crate_validator.py")
    ended = subprocess.run([python, script, folder, level], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found: list[list[str]] = json.loads(ended.stdout)
    return found


def test_the_validator_is_content(unpacked: Path) -> None:
    assert not issues(unpacked, "REQUIRED")


def test_what_is_recommended_is_there_unless_nobody_knows_it(unpacked: Path) -> None:
    assert {message for _, message, _ in issues(unpacked, "RECOMMENDED")} <= UNKNOWN


@pytest.mark.parametrize(("entity", "key"), [("#run", "instrument"), ("./", "license"), ("./", "mainEntity")])
def test_the_validator_sees_what_is_missing(unpacked: Path, tmp_path: Path, entity: str, key: str) -> None:
    found = json.loads((unpacked / METADATA).read_text(encoding="utf-8"))
    for each in found["@graph"]:
        if each["@id"] == entity:
            del each[key]
    (tmp_path / METADATA).write_text(json.dumps(found), encoding="utf-8")
    assert any(key in message for _, message, _ in issues(tmp_path, "REQUIRED"))
