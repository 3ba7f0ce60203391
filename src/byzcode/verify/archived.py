"""Results out of an archive: whether they are still what its manifest lists."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from byzcode.errors import UserError
from byzcode.seal import content_of
from byzcode.studies.spec import Strict

#: Where in a folder of results an archive puts what it says of them.
FOLDER = "archived"
MANIFEST = "manifest.json"


class Listed(Strict):
    """A file of an archive."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: str


class Manifest(Strict):
    """What an archive says of its files, and of what made them and will draw them anew."""

    made_by: str
    redrawn_by: str
    config: str
    commit: str | None
    python: str
    platform: str
    distributions: dict[str, str]
    files: dict[str, Listed]  # by their paths in the folder of results


def faults_of_manifest(results: Path) -> list[str]:
    """A line for each file that is not as it was archived; none where nothing was unpacked."""
    path = results / FOLDER / MANIFEST
    if not (results / FOLDER).exists():
        return []
    try:
        manifest = Manifest.model_validate(json.loads(content_of(path)))
    except UserError as error:
        return [str(error)]
    except (ValueError, ValidationError) as error:
        return [f"{path}: damaged, or no manifest: {str(error).splitlines()[0]}"]
    faults = []
    for name, listed in manifest.files.items():
        try:
            if described(results / name) != listed:
                faults.append(f"{results / name}: not as it was archived, by {path}")
        except UserError as error:
            faults.append(str(error))
    return faults


def described(path: Path) -> Listed:
    """A file, as manifests list it. Raises UserError where there is none."""
    content = content_of(path)
    return Listed(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
