"""Claims frozen before held-out seeds are used: hashes of what they test, registered in a file of the repository.

What a claim tests is its test with its margins, its kind and its runs with the number of their seeds; not its words,
and not which seeds. So the claims of a configuration have the same hashes on any seeds, and a change of a margin, a run
or a kind shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from byzcode.errors import UserError
from byzcode.provenance.content import canonical, long_hash, short_hash
from byzcode.specs.run import RunSpec
from byzcode.studies.cells import Cell
from byzcode.studies.claim import Open
from byzcode.studies.files import read_from, read_text

#: The fields of a claim that are words, and those that only say which runs it compares.
_WORDS = {"says", "source", "mark", "confirms", "refutes", "figure"}
_SIDES = {"curve", "against", "where", "each", "kinds"}

#: A field that came after claims had been registered. With this value it is left out: their hashes stay the same.
_LATER = {"scale": "linear"}

_LINE = re.compile(r"([0-9a-f]{64})  ([a-z0-9-]+)")


class Registration(NamedTuple):
    """The hashes of the claims by study, beside those that were registered; None if none were."""

    frozen: Mapping[str, str]
    registered: Mapping[str, str] | None

    @property
    def digest(self) -> str:
        """The hash over all claims."""
        return long_hash(text_of(self.frozen))

    @property
    def is_known(self) -> bool:
        """Whether the claims of any study are the registered ones."""
        return any((self.registered or {}).get(study) == digest for study, digest in self.frozen.items())

    @property
    def differing(self) -> list[str]:
        """The studies whose claims are not the registered ones."""
        registered = self.registered or {}
        studies = sorted({*self.frozen, *registered})
        return [study for study in studies if self.frozen.get(study) != registered.get(study)]

    @property
    def words(self) -> str:
        """Whether the claims are the registered ones."""
        if self.registered is None:
            return "not registered"
        return f"not the registered claims: {', '.join(self.differing)} differ" if self.differing else "as registered"


def hash_of(cell: Cell) -> str:
    """A short hash of what a test of a claim tests."""
    return short_hash(canonical(_content(cell)))


def hash_of_all(cells: list[Cell]) -> str:
    """The hash of what all tests of a study test."""
    return long_hash(canonical([_content(cell) for cell in cells if not isinstance(cell.claim, Open)]))


def text_of(frozen: Mapping[str, str]) -> str:
    """The hashes as the file of registered claims contains them: a line per study."""
    return "".join(f"{frozen[study]}  {study}\n" for study in sorted(frozen))


def read(path: str) -> dict[str, str] | None:
    """The registered hashes by study; None without the file. Raises UserError if it contains anything else."""
    if not read_from(path).exists():
        return None
    lines = read_text(path).splitlines()
    matches = [_LINE.fullmatch(line) for line in lines]
    for number, match in enumerate(matches, 1):
        if match is None:
            raise UserError(f"{path}: line {number} is not a sha256, two spaces and the name of a study")
    return {match[2]: match[1] for match in matches if match}


def _content(cell: Cell) -> dict[str, Any]:
    fields = cell.claim.model_dump(mode="json", exclude=_WORDS | _SIDES)
    claim = {name: value for name, value in fields.items() if (name, value) not in _LATER.items()}
    sides = {"runs": cell.runs, "against": cell.against}
    specs = {name: [_without_seeds(member.spec) for member in members] for name, members in sides.items()}
    return {"cell": cell.name, "claim": claim, **specs}


def _without_seeds(spec: RunSpec) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(spec.canonical())
    return {**values, "seeds": len(spec.seeds)}
