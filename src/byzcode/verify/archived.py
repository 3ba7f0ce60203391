"""Check that results unpacked from an archive still match its manifest."""

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

#: The folder inside the results for an archive's manifest and configuration.
FOLDER = "archived"
MANIFEST = "manifest.json"
IN_FORCE = "config.yaml"
#: The metadata of an archive, beside that folder, by the name that RO-Crate gives them.
METADATA = "ro-crate-metadata.json"
#: Folders in it: the files of the configuration, and the rules of the workflow.
CONFIGURATION, WORKFLOW = "configuration", "workflow"


class Listed(Strict):
    """A file of an archive."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: str


class Environment(Strict):
    """The environment in which an archive was packed, which may differ from that in which its files were made."""

    commit: str | None  # of the project; followed by "+" if sources differed
    python: str
    platform: str
    distributions: dict[str, str]


class Manifest(Strict):
    """The manifest of an archive: its files, the versions that made them, and commands to remake or redraw them."""

    made_anew_by: str
    redrawn_by: str
    config: list[str]  # the configuration files, later ones overriding earlier ones; IN_FORCE has the values in force
    made_with: dict[str, list[str]]  # the versions stored in trajectories and allocations
    packed_with: Environment
    files: dict[str, Listed]  # by path in the folder of results


def of_manifest(results: Path, intact: Collection[Path]) -> tuple[list[str], list[str]]:
    """Faults and notes: a line for each file that differs from the archive; none if nothing was unpacked.

    A file in ``intact``, which is intact by its own checksum, gets a note instead of a fault: it was made again since.
    """
    path = results / FOLDER / MANIFEST
    if not (results / FOLDER).exists():
        return [], []
    try:
        manifest = Manifest.model_validate(json.loads(content_of(path)))
    except UserError as error:
        return [str(error)], []
    except (ValueError, ValidationError, RecursionError) as error:
        return [f"{path}: damaged or not a manifest: {str(error).splitlines()[0]}"], []
    faults: list[str] = []
    notes: list[str] = []
    for name, listed in manifest.files.items():
        try:
            if described(results / name) != listed:
                lines = notes if results / name in intact else faults
                lines.append(f"{results / name}: differs from the archive, by {path}")
        except UserError as error:
            faults.append(str(error))
    return faults, notes


def described(path: Path) -> Listed:
    """A file as a manifest lists it. Raises UserError if it cannot be read."""
    return as_listed(content_of(path))


def as_listed(content: bytes) -> Listed:
    """The content of a file as a manifest lists it."""
    return Listed(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
