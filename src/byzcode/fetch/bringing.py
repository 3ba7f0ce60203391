"""Bring the files of a data set into the folder of results, with its datasheet and licence.

Each file appears there complete and checked, or not at all. So after an interruption only the missing files are
brought, and two processes may bring the same set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from byzcode.data import DATA_SETS, DataFile, DataSet
from byzcode.errors import UserError, complain, one_of
from byzcode.fetch.route import RouteError, Task
from byzcode.fetch.routes import ROUTES
from byzcode.storage import checksums
from byzcode.storage.atomic import replacing, text, writable
from byzcode.storage.layout import STAGES
from byzcode.storage.regular import content, reason

#: Beside the files of a set: what is known of it, and the text that must go with it.
DATASHEET, LICENCE = "datasheet.json", "LICENCE"

Say = Callable[[str], None]


def need_files() -> list[str]:
    """The data sets whose files must be brought."""
    return [name for name, known in DATA_SETS.items() if known.files]


def request_of(name: str) -> dict[str, Any]:
    """What a list of checksums says to be made for: the pinned files of a data set."""
    return {"data": name, "files": {file.name: file.sha256 for file in DATA_SETS[name].files}}


def sheets_of(name: str) -> tuple[str, ...]:
    """The names of all files of a data set that its list of checksums contains."""
    return (*(file.name for file in DATA_SETS[name].files), DATASHEET, LICENCE)


def state_of(name: str, results: Path) -> str:
    """Whether the files of a data set are there and the pinned ones, in words. Reads them all."""
    known, folder = DATA_SETS[name], STAGES["data"].path(results, name).parent
    if not known.files:
        return "needs no files"
    if not any((folder / file.name).exists() for file in known.files):
        return f"missing: `byzcode data {name}`"
    faults = (f"{file.name}: {fault}" for file in known.files if (fault := _fault_at(folder / file.name, file)))
    fault = next(faults, None)
    return "there" if fault is None else f"unusable: {fault}; `byzcode data {name}` brings it again"


def bring(name: str, results: Path, routes: Sequence[str], given: Path | None, say: Say) -> Path:
    """Bring the files of a data set by the first of the ``routes`` that work, and return their folder.

    ``given`` is a folder of the user for the route ``file``. ``say`` gets a line for each file that is refused.
    Raises UserError, with the reason of each route, if files are still missing after the last one.
    """
    known = _known(name)
    listed = STAGES["data"].path(results, name)
    folder = listed.parent
    writable(*(folder / each for each in sheets_of(name)), listed)
    bringing = _Bringing(name, known, folder, given, say)
    bringing.keep()
    for route in routes:
        if bringing.missing:
            bringing.try_route(route)
    if bringing.missing:
        raise UserError(_no_route(name, folder, bringing.missing, bringing.reasons))
    with text(folder / LICENCE) as file:
        file.write(f"{known.licence}\n\n{known.notice}")
    with text(folder / DATASHEET) as file:
        json.dump({"data_set": name, **known.datasheet(), "brought_from": bringing.places}, file, indent=1)
        file.write("\n")
    checksums.write(listed, "data", request_of(name), [folder / each for each in sheets_of(name)])
    return folder


def _known(name: str) -> DataSet:
    if name not in DATA_SETS:
        raise complain("byzcode data", "NAME", name, f"no such data set; {one_of(need_files(), name)}")
    known = DATA_SETS[name]
    if not known.files:
        raise complain("byzcode data", "NAME", name, "needs no files: an installed library has the data")
    return known


@dataclass
class _Bringing:
    """The state of :func:`bring`: the files that are still missing, where the others come from, and what failed."""

    name: str
    known: DataSet
    folder: Path
    given: Path | None
    say: Say
    missing: list[DataFile] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def keep(self) -> None:
        """Keep the files that are there already; what is not the pinned file will be replaced."""
        before = _brought_from(self.folder / DATASHEET)
        for file in self.known.files:
            path = self.folder / file.name
            fault = _fault_at(path, file)
            if fault is None:
                self.places[file.name] = before.get(file.name, "there before")
                continue
            self.missing.append(file)
            if path.exists():
                self.say(f"{path}: {fault}; it is brought again")

    def try_route(self, route: str) -> None:
        """Take the missing files that a route finds, and note why it does not find the others."""
        if ROUTES[route].original and route not in self.known.origins:
            self.reasons[route] = [f"no origin of {self.name} is known for it"]
            return
        reasons = self.reasons[route] = []
        try:
            with TemporaryDirectory(prefix="byzcode-data-") as scratch:
                task = Task(self.name, self.known, tuple(self.missing), Path(scratch), self.given)
                for file, brought, place, fault in ROUTES[route](task):
                    if fault:
                        reasons.append(f"{place}: {fault}")
                        self.say(f"refused: {place}: {fault}")
                        continue
                    with replacing(self.folder / file.name) as temporary:
                        temporary.write_bytes(brought)
                    self.missing.remove(file)
                    self.places[file.name] = f"{route}: {place}"
        except RouteError as error:
            reasons.append(str(error))
        except ImportError as error:
            reasons.append(f"a library is missing: {error}")


def _fault_at(path: Path, file: DataFile) -> str | None:
    try:
        return file.fault(content(path, file.size))
    except (OSError, ValueError) as error:
        return reason(error)


def _brought_from(datasheet: Path) -> Mapping[str, str]:
    """Where an earlier datasheet says that files come from; nothing if it cannot be read."""
    try:
        places = json.loads(content(datasheet, 2**20))["brought_from"]
        return {str(name): str(place) for name, place in places.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _no_route(name: str, folder: Path, missing: Sequence[DataFile], reasons: Mapping[str, Sequence[str]]) -> str:
    """The message after the last route: what is missing, why, and what to do."""
    names = ", ".join(file.name for file in missing)
    return (
        f"{folder}: the data set {name} lacks {names}: no route brings it. {'. '.join(_lines(reasons))}. What to do: "
        f"put these files, plain or as .gz, into a folder and run `byzcode data {name} --files FOLDER`; or run "
        f"`byzcode data {name}` on a machine where a route works, and copy {folder} from there"
    )


def _lines(reasons: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for route, lines in reasons.items():
        yield f"{route}: {'; '.join(lines) or 'it has no such file'}"
