"""The statement of a stored file: one line with its stage, code, request and inputs.

A list of checksums begins with the statement, and a NetCDF file has it before its seal::

    # byzcode train bfb5bbc02a8a 2cf24dba5fb0...938b9824 5c02d1a9b7e4

It shows whether a file is current without reading the file's numbers.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from byzcode.errors import UserError
from byzcode.storage import seal
from byzcode.storage.layout import LIST
from byzcode.storage.regular import opened

_LINE = re.compile(r"# byzcode ([a-z]+) ([0-9a-f]{12}) ([0-9a-f]{12}(?:[0-9a-f]{52})?) ([0-9a-f]{12})")
#: The most characters of a statement.
_LONGEST = 128


@dataclass(frozen=True)
class Statement:
    """The stage that made a file, and digests of its code, its request (for a spec the full sha256) and its inputs.

    An allocation has no inputs. Its statement has the digest of its lists instead, and trainings use that as their
    input.
    """

    stage: str
    code: str
    request: str
    inputs: str

    def __str__(self) -> str:
        return f"# byzcode {self.stage} {self.code} {self.request} {self.inputs}"

    @classmethod
    def parse(cls, line: str) -> Statement | None:
        """Parse a line; None if it is not a statement."""
        match = _LINE.fullmatch(line)
        return cls(*match.groups()) if match else None

    @classmethod
    def of(cls, path: Path) -> Statement | None:
        """Read the statement of a list or of a sealed NetCDF file; None if the file is missing or has no statement."""
        try:
            with opened(path) as file:
                if path.suffix == f".{LIST}":  # a list is short, so read all of it and check its seal
                    line = seal.sealed(path).partition(b"\n")[0]
                else:
                    file.seek(max(0, file.seek(0, os.SEEK_END) - seal.LENGTH - _LONGEST))
                    line = seal.before(file.read())
        except (OSError, ValueError, UserError):
            return None
        return cls.parse(line.decode("ascii", "replace").rstrip("\n"))
