"""Lists of checksums, one beside the tables and figures of each job, in the format of ``sha256sum -c``.

Tables and figures stay plain files for other tools. The first line of a list says what made them: the stage of the
workflow, the digest of its code, the hash of the request and the hash of the inputs. The last line seals the list::

    # byzcode summarise bfb5bbc02a8a 0c1f60ef1f51 5c02d1a9b7e4
    2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  cra-a.csv
    # sha256 of all before this line: 5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from byzcode.errors import UserError
from byzcode.provenance.content import canonical, short_hash
from byzcode.storage.atomic import replacing
from byzcode.storage.inputs import hash_of
from byzcode.storage.layout import LIST, STAGES
from byzcode.storage.seal import content_of, seal, sealed
from byzcode.storage.statement import Statement

SUFFIX = f".{LIST}"

_LINE = re.compile(r"([0-9a-f]{64})  ([^/\x00]+)")


@dataclass(frozen=True)
class Checklist:
    """The content of a list: the stage, its code, request and inputs as hashes, and the checksums by file name."""

    path: Path
    stage: str
    code: str
    request: str
    inputs: str
    sums: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Checklist:
        """Read a list. Raises UserError if it is missing or not a list of checksums."""
        first, *lines = sealed(path).decode(errors="replace").split("\n")
        statement, matches = Statement.parse(first), [_LINE.fullmatch(line) for line in lines]
        if statement is None or None in matches:
            raise UserError(f"{path}: foreign: no list of checksums")
        sums = {line[2]: line[1] for line in matches if line}
        return cls(path, statement.stage, statement.code, statement.request, statement.inputs, sums)

    def content(self, name: str) -> bytes:
        """The content of a listed file. Raises UserError if the file is missing, not listed or changed."""
        path = self.path.with_name(name)
        content = content_of(path)
        if name not in self.sums:
            raise UserError(f"{path}: {self.path.name} does not list it; make both again")
        if hashlib.sha256(content).hexdigest() != self.sums[name]:
            raise UserError(f"{path}: damaged: its checksum is not the one in {self.path.name}")
        return content


def beside(path: Path) -> Path:
    """The path of the list of a file that has its own list."""
    return path.with_suffix(SUFFIX)


def write(
    out: Path,
    stage: str,
    request: Mapping[str, Any],
    files: Sequence[Path],
    inputs: Sequence[Path] = (),
    entries: Sequence[str] = (),
) -> None:
    """Write the list ``out`` of all ``files`` that a job made in its folder from ``inputs``.

    ``entries`` are those of the components that the job names. Raises UserError, also if the code was edited since
    this process loaded it.
    """
    if edited := STAGES[stage].edited(entries):
        raise UserError(f"{out}: not stored: {edited[0]} was edited while it was made: make it again")
    lines = [str(Statement(stage, STAGES[stage].digest(entries), short_hash(canonical(request)), hash_of(inputs)))]
    lines += [f"{hashlib.sha256(content_of(path)).hexdigest()}  {path.name}" for path in files]
    with replacing(out) as listing:
        listing.write_text("\n".join(lines), encoding="utf-8")
        seal(listing)


def checked(path: Path, stage: str, request: str | None = None) -> BytesIO:
    """The content of a table that has its own list, made by a stage and, if given, for the request of that hash.

    Raises UserError if it is missing or changed, or was made by another stage or for another request.
    """
    content_of(path)  # if both are missing, report the table
    if not beside(path).exists():
        raise UserError(f"{path}: cannot be checked: {beside(path).name} is missing; make both again")
    listed = Checklist.read(beside(path))
    content = listed.content(path.name)
    if listed.stage != stage:
        raise UserError(f"{path}: foreign: made by {listed.stage}; expected {stage}")
    if request is not None and listed.request != request:
        raise UserError(f"{path}: made for another request, {listed.request}; expected {request}: make it again")
    return BytesIO(content)
