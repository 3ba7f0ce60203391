"""What a stored file says of itself in one line: stage, code, request and inputs.

A list of checksums begins with it, and a NetCDF file has it before its seal::

    # byzcode train bfb5bbc02a8a 2cf24dba5fb0...938b9824 5c02d1a9b7e4

So whether a file is current is known without reading its numbers.
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
#: Characters of the longest line.
_LONGEST = 128


@dataclass(frozen=True)
class Statement:
    """Which stage made a file, by which code, for which request (the whole sha256 of a spec), of which inputs.

    An allocation has no inputs: in their place stands the digest of its lists, which trainings name as their input.
    """

    stage: str
    code: str
    request: str
    inputs: str

    def __str__(self) -> str:
        return f"# byzcode {self.stage} {self.code} {self.request} {self.inputs}"

    @classmethod
    def parse(cls, line: str) -> Statement | None:
        """The statement in a line, or None."""
        match = _LINE.fullmatch(line)
        return cls(*match.groups()) if match else None

    @classmethod
    def of(cls, path: Path) -> Statement | None:
        """What a list, or a sealed NetCDF file, says; None where it is missing or says nothing of the kind."""
        try:
            with opened(path) as file:
                if path.suffix == f".{LIST}":  # it is short: read as a whole, with its seal
                    line = seal.sealed(path).partition(b"\n")[0]
                else:
                    file.seek(max(0, file.seek(0, os.SEEK_END) - seal.LENGTH - _LONGEST))
                    line = seal.before(file.read())
        except (OSError, ValueError, UserError):
            return None
        return cls.parse(line.decode("ascii", "replace").rstrip("\n"))
