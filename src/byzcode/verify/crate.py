"""The metadata of an archive as an RO-Crate: which workflow ran, with what, on what, and what came out.

It follows the profile Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow) of RO-Crate 1.1. A crate is a folder:
here that of the results. Its metadata are a list of entities, each of which names others by their ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from byzcode.data.data_set import DataSet
from byzcode.storage.layout import STAGES
from byzcode.verify.archived import CONFIGURATION, FOLDER, IN_FORCE, METADATA, WORKFLOW, Listed, Manifest

Entity = dict[str, Any]

_CRATE = "https://w3id.org/ro/crate/1.1"
_OF_WORKFLOWS = "https://w3id.org/workflowhub/workflow-ro-crate"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    f"{_OF_WORKFLOWS}/1.0": "Workflow RO-Crate",
}
#: RO-Crate 1.1 has no name for a checksum; this is the profile's.
_TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}

_MAIN = f"{FOLDER}/{WORKFLOW}/Snakefile"
_VALUES = f"{FOLDER}/{IN_FORCE}"
_LANGUAGE, _RUN, _CONFIGURED = f"{_OF_WORKFLOWS}#snakemake", "#run", "#configuration"

#: What the files of a folder are.
_KINDS = {f"{stage.folder}/": stage.kind for stage in STAGES.values()} | {
    f"{FOLDER}/": "values in force, and a manifest with versions and commands",
    f"{FOLDER}/{CONFIGURATION}/": "files of the configuration",
    f"{FOLDER}/{WORKFLOW}/": "rules of the workflow",
}

#: The type of a file's content, by its suffix.
_FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".nc": "application/x-netcdf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}


@dataclass(frozen=True)
class Contents:
    """What an archive holds. Paths are relative to the folder of results.

    ``begun`` and ``ended`` are the times of the first and of the last result, in seconds since 1970.
    """

    files: Mapping[str, Listed]
    results: frozenset[str]  # those of the files that the workflow made
    manifest: Manifest
    studies: Mapping[str, str]  # their titles, by name
    data_sets: Mapping[str, DataSet]
    begun: float
    ended: float

    @property
    def folders(self) -> dict[str, list[str]]:
        """The files by the folder that they are part of, in the form "figures/"; "" for files beside the metadata."""
        folders: dict[str, list[str]] = {}
        for name in self.files:
            *above, _ = PurePosixPath(name).parts
            depth = 2 if above[:1] == [FOLDER] else len(above)  # a configuration is one folder, whatever is in it
            folders.setdefault("/".join([*above[:depth], ""]) if above else "", []).append(name)
        return folders

    @property
    def made(self) -> list[str]:
        """The folders with results."""
        return [folder for folder, names in self.folders.items() if folder and self.results.intersection(names)]


def metadata(contents: Contents) -> bytes:
    """The content of METADATA. The same contents give the same bytes."""
    project = json.loads((files("byzcode") / "codemeta.json").read_text(encoding="utf-8"))
    graph = [*_head(contents, project), _run(contents), *_files(contents, project)]
    graph += [*_parameters(contents), *_software(contents.manifest), *_data_sets(contents), *_people(project)]
    crate = {"@context": [f"{_CRATE}/context", _TERMS], "@graph": graph}
    # A name of a file may be no UTF-8: what is no letter becomes an escape of JSON.
    return f"{json.dumps(crate, indent=1, ensure_ascii=False)}\n".encode(errors="backslashreplace")


def _head(contents: Contents, project: Entity) -> Iterator[Entity]:
    """The metadata themselves, the crate and its profiles."""
    folders = contents.folders
    parts = [*filter(None, folders), *folders.get("", ())]
    yield {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": _all([_CRATE, f"{_OF_WORKFLOWS}/1.0"]),
    }
    yield {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Results of {project['name']}: {', '.join(contents.studies)}",
        "description": f"{project['description']}. The studies: {'; '.join(contents.studies.values())}.",
        "datePublished": _time(contents.ended),
        "conformsTo": _all(_PROFILES),
        "mainEntity": {"@id": _MAIN},
        "mentions": {"@id": _RUN},
        "citation": _all(paper["url"] for paper in project["referencePublication"]),
        "hasPart": _all(map(_id, parts)),
        **_rights(project),
    }
    for profile, name in _PROFILES.items():
        yield {"@id": profile, "@type": "CreativeWork", "name": name, "version": profile.rpartition("/")[2]}


def _run(contents: Contents) -> Entity:
    """What made the results: all jobs together."""
    configured = [name for name in contents.files if name == _VALUES or name.startswith(f"{FOLDER}/{CONFIGURATION}/")]
    beside = [name for name in contents.folders.get("", ()) if name in contents.results]
    return {
        "@id": _RUN,
        "@type": "CreateAction",
        "name": "The run of the workflow that made these results",
        "description": "All jobs together. They may have run at several times: the times are those of the first and "
        f"of the last result. The command that makes all anew: {contents.manifest.made_anew_by}",
        "instrument": {"@id": _MAIN},
        "startTime": _time(contents.begun),
        "endTime": _time(contents.ended),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "object": _all([*map(_id, configured), *map(_data_id, contents.data_sets)]),
        "result": _all(map(_id, [*contents.made, *beside])),
    }


def _files(contents: Contents, project: Entity) -> Iterator[Entity]:
    """All folders and files; the Snakefile is the workflow."""
    more = {_MAIN: _workflow(contents, project), _VALUES: {"exampleOfWork": {"@id": _CONFIGURED}}}
    for folder, names in contents.folders.items():
        if folder:
            shown = {"exampleOfWork": {"@id": _parameter(folder)}} if folder in contents.made else {}
            named = {"name": _KINDS.get(folder, folder)}
            yield {"@id": _id(folder), "@type": "Dataset", **named, **shown, "hasPart": _all(map(_id, names))}
    for name, listed in contents.files.items():
        path = PurePosixPath(name)
        yield {
            "@id": _id(name),
            "@type": "File",
            "name": path.name,
            "encodingFormat": _FORMATS.get(path.suffix, "text/plain"),
            "contentSize": str(listed.bytes),
            "sha256": listed.sha256,
            **more.get(name, {}),
        }


def _workflow(contents: Contents, project: Entity) -> Entity:
    """What the Snakefile is, besides a file."""
    commit = contents.manifest.packed_with.commit
    return {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": f"The workflow of {project['name']}",
        "conformsTo": {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"},
        "programmingLanguage": {"@id": _LANGUAGE},
        "version": project["version"],
        **({"identifier": f"commit {commit}"} if commit else {}),
        **({"codeRepository": project["codeRepository"]} if "codeRepository" in project else {}),
        "input": _all([_CONFIGURED]),
        "output": _all(map(_parameter, contents.made)),
        "softwareRequirements": _all(_libraries(contents.manifest)),
        **_rights(project),
    }


def _parameters(contents: Contents) -> Iterator[Entity]:
    """The input and the outputs of the workflow."""
    examples = {_CONFIGURED: ("File", _VALUES)}
    examples |= {_parameter(folder): ("Dataset", folder) for folder in contents.made}
    for parameter, (kind, example) in examples.items():
        yield {
            "@id": parameter,
            "@type": "FormalParameter",
            "name": parameter.removeprefix("#"),
            "conformsTo": {"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
            "additionalType": kind,
            "workExample": {"@id": _id(example)},
        }


def _software(manifest: Manifest) -> Iterator[Entity]:
    """Snakemake as it is installed, and the libraries with the versions that made the results."""
    version = manifest.packed_with.distributions.get("snakemake")
    yield {
        "@id": _LANGUAGE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "url": {"@id": "https://snakemake.github.io"},
        **({"version": version} if version else {}),
    }
    for identity, (name, version) in _libraries(manifest).items():
        yield {"@id": identity, "@type": "SoftwareApplication", "name": name, "softwareVersion": version}


def _libraries(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Names and versions by their package URL (https://github.com/package-url/purl-spec)."""
    return {
        f"pkg:{'generic' if name == 'python' else 'pypi'}/{name.lower()}@{quote(version)}": (name, version)
        for name, versions in manifest.made_with.items()
        for version in versions
    }


def _data_sets(contents: Contents) -> Iterator[Entity]:
    """The data sets, which are not packed, with the checksums of their files."""
    for name, known in contents.data_sets.items():
        pins = {f"{_data_id(name)}/{file.name}": file for file in known.files}
        yield {
            "@id": _data_id(name),
            "@type": "Dataset",
            "name": known.words,
            "description": f"{known.training} examples for training, {known.test} for tests. Source: {known.source}",
            **({"license": known.licence} if known.licence else {}),
            **({"identifier": _all(pins)} if pins else {}),
        }
        for identity, file in pins.items():
            pin = {"name": file.name, "propertyID": "sha256", "value": file.sha256}
            yield {"@id": identity, "@type": "PropertyValue", **pin}


def _people(project: Entity) -> Iterator[Entity]:
    """Authors and licence of byzcode, and the papers with theirs."""
    for author in project["author"]:
        yield {"@id": _person(author), **author}
    yield {"@id": project["license"], "@type": "CreativeWork", "name": project["license"].rpartition("/")[2]}
    people = {_person(author): author for paper in project["referencePublication"] for author in paper["author"]}
    for identity, person in people.items():
        yield {"@id": identity, **person, "name": f"{person['givenName']} {person['familyName']}"}
    for paper in project["referencePublication"]:
        about = {name: paper[name] for name in ("@type", "name", "datePublished", "pagination") if name in paper}
        yield {"@id": paper["url"], **about, **_within(paper), "author": _all(map(_person, paper["author"]))}
        if volume := paper.get("isPartOf"):
            yield {"@id": _volume(volume), **volume, **_within(volume)}
            yield {"@id": _named(volume["isPartOf"]["name"]), **volume["isPartOf"]}


def _within(part: Entity) -> Entity:
    """What a paper or a volume is part of, if anything."""
    whole = part.get("isPartOf")
    if whole is None:
        return {}
    return {"isPartOf": {"@id": _volume(whole) if "volumeNumber" in whole else _named(whole["name"])}}


def _volume(volume: Entity) -> str:
    return _named(f"{volume['isPartOf']['name']} {volume['volumeNumber']}")


def _rights(project: Entity) -> Entity:
    return {"license": {"@id": project["license"]}, "author": _all(map(_person, project["author"]))}


def _person(author: Entity) -> str:
    return _named(author.get("name") or f"{author['givenName']} {author['familyName']}")


def _named(name: str) -> str:
    """The id of an entity that has no address."""
    return f"#{quote(name.lower().replace(' ', '-'))}"


def _parameter(folder: str) -> str:
    return f"#{_id(folder.rstrip('/'))}"


def _data_id(name: str) -> str:
    return f"#data/{name}"


def _id(path: str) -> str:
    """A path as an address relative to the crate. Addresses stay as they are."""
    return path if path.startswith("#") else quote(path, safe="/", errors="surrogateescape")


def _all(identities: Iterable[str]) -> list[Entity] | Entity:
    """References to entities; JSON-LD has a single one outside a list."""
    named = [{"@id": identity} for identity in identities]
    return named[0] if len(named) == 1 else named


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()
