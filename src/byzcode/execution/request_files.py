"""How a request reaches its command: as an argument, or in a file where it is too long for one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from byzcode.provenance.content import in_ascii, short_hash
from byzcode.storage.atomic import text as writing

#: Characters of a request in a command; Linux allows 128 KiB for an argument, quotes included.
LONGEST = 60_000

FOLDER = Path(".snakemake/byzcode.requests")


@dataclass(frozen=True)
class RequestFiles:
    """The files of long requests. Results in several folders (modules) have a folder of requests each."""

    results: Path
    writes: Callable[[], bool]  # whether files are to be written: not in a dry run

    def argument(self, request: str) -> str:
        """What a command takes for a request: its text, or the file that holds it.

        The text is in ASCII, since a locale may have no other letters. The process that will run the job writes the
        file, on a cluster perhaps.
        """
        request = in_ascii(request)
        if len(request) <= LONGEST:
            return request
        path = self._folder / f"{short_hash(request)}.json"
        if self.writes() and not path.exists():
            with writing(path) as file:
                file.write(request)
        return str(path)

    def keep_only(self, arguments: Collection[str]) -> None:
        """Remove the files that are not among some arguments."""
        for path in self._folder.glob("*"):
            if str(path) not in arguments:
                path.unlink(missing_ok=True)

    @property
    def _folder(self) -> Path:
        return FOLDER / short_hash(str(self.results))
