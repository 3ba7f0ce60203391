"""A note of the digests of the code with which Snakemake ran last, for a configuration that does not track code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from byzcode.errors import UserError
from byzcode.storage.atomic import text as writing
from byzcode.studies.files import read_text

NOTE = Path(".snakemake/byzcode.digests.json")

_DIGESTS = TypeAdapter(dict[str, str])


def read(path: Path, say: Callable[[str], object]) -> dict[str, str]:
    """The digests by stage. Nothing where there is no note, or none that can be read, which it then says."""
    if not path.exists():
        return {}
    try:
        return _DIGESTS.validate_json(read_text(path), strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].partition("\n")[0]
        say(f"{path}: not a note of digests ({reason}): passed over")
    except UserError as error:
        say(f"{error}: passed over")
    return {}


def write(path: Path, digests: Mapping[str, str]) -> None:
    """Note the digests. Raises UserError where that cannot be."""
    with writing(path) as file:
        json.dump(digests, file)
