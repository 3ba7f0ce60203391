"""Files that are already on this machine: in a folder that the user names, or installed with a Debian package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from byzcode.data import DataFile
from byzcode.fetch.route import Found, Route, RouteError, Task, found


def file(task: Task) -> Iterator[Found]:
    """The files, plain or as .gz, in the folder of the user or in its subfolder of the set's name."""
    complete = False
    for each in task.files:
        path = next((path for path in _places(task, each) if path.exists()), None)
        if path is not None:
            complete = True
            yield found(each, path, str(path))
    if not complete:
        where = (
            f"in {task.given}"
            if task.given
            else "installed; --files, or data.files in the configuration, names a folder"
        )
        raise RouteError(f"no {task.files[0].name} or {task.files[0].name}.gz {where}")


def _places(task: Task, file: DataFile) -> Iterator[Path]:
    for folder in (task.given / task.name, task.given) if task.given else ():
        yield from (folder / file.name, folder / f"{file.name}.gz")
    if "apt" in task.known.origins:
        yield Path("/") / task.known.origins["apt"].members[file.name]


ENTRY = Route(file, original=False, title="a file on this machine")
