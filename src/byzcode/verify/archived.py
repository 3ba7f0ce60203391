"""Results out of an archive: whether they are still what its manifest lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from byzcode.errors import UserError
from byzcode.specs.strict import Strict
from byzcode.storage.seal import content_of

#: Where in a folder of results an archive puts what it says of them.
FOLDER = "archived"
MANIFEST = "manifest.json"
IN_FORCE = "config.yaml"


class Listed(Strict):
    """A file of an archive."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: str


class Environment(Strict):
    """Where an archive was packed, which may be another place than where its files were made."""

    commit: str | None  # of the project; "+" where sources differed
    python: str
    platform: str
    distributions: dict[str, str]


class Manifest(Strict):
    """What an archive says of its files, of what made them, and of commands that make or draw them anew."""

    made_anew_by: str
    redrawn_by: str
    config: list[str]  # its files, a later one over an earlier one; the values in force are those of IN_FORCE
    made_with: dict[str, list[str]]  # the versions that trajectories and allocations say of themselves
    packed_with: Environment
    files: dict[str, Listed]  # by their paths in the folder of results


def of_manifest(results: Path, whole: Collection[Path]) -> tuple[list[str], list[str]]:
    """Faults and notes, a line for each file that is not as it was archived; none where nothing was unpacked.

    A note where the file is among those that are ``whole`` by their own checksums: it was made anew since.
    """
    path = results / FOLDER / MANIFEST
    if not (results / FOLDER).exists():
        return [], []
    try:
        manifest = Manifest.model_validate(json.loads(content_of(path)))
    except UserError as error:
        return [str(error)], []
    except (ValueError, ValidationError, RecursionError) as error:
        return [f"{path}: damaged, or no manifest: {str(error).splitlines()[0]}"], []
    faults: list[str] = []
    notes: list[str] = []
    for name, listed in manifest.files.items():
        try:
            if described(results / name) != listed:
                lines = notes if results / name in whole else faults
                lines.append(f"{results / name}: not as it was archived, by {path}")
        except UserError as error:
            faults.append(str(error))
    return faults, notes


def described(path: Path) -> Listed:
    """A file, as manifests list it. Raises UserError where there is none."""
    return as_listed(content_of(path))


def as_listed(content: bytes) -> Listed:
    """The content of a file, as manifests list it."""
    return Listed(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
