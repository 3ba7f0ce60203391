"""Pass a request to its command: as an argument, or in a file if it is too long for an argument."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from byzcode.provenance.content import in_ascii, short_hash
from byzcode.storage.atomic import text as writing

#: The most characters of a request in a command; Linux allows 128 KiB for an argument, quotes included.
LONGEST = 60_000

FOLDER = Path(".snakemake/byzcode.requests")


@dataclass(frozen=True)
class RequestFiles:
    """The files of long requests. Each folder of results (one per module) has its own folder of requests."""

    results: Path
    writes: Callable[[], bool]  # whether to write files: not in a dry run

    def argument(self, request: str) -> str:
        """The argument of a command for a request: its text, or the path of a file that contains it.

        The text is ASCII, because a locale may lack other letters. The process that runs the job, which may be on a
        cluster, writes the file.
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
        """Remove all files that are not among the given arguments."""
        for path in self._folder.glob("*"):
            if str(path) not in arguments:
                path.unlink(missing_ok=True)

    @property
    def _folder(self) -> Path:
        return FOLDER / short_hash(str(self.results))
