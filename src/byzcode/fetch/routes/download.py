"""The public address of a data set, by pooch."""

from __future__ import annotations

from collections.abc import Iterator

from byzcode.errors import printable, short
from byzcode.fetch.route import Found, Route, RouteError, Task, found

#: Seconds without an answer after which a download fails.
_PATIENCE = 30


def download(task: Task) -> Iterator[Found]:
    """The files, one after the other: those that came before an interruption are kept."""
    import pooch

    pooch.get_logger().setLevel("ERROR")
    address, members = task.known.origins["download"]
    for file in task.files:
        url = f"{address}{members[file.name]}"
        try:
            path = pooch.retrieve(
                url,
                known_hash=None,  # what is pinned is the decompressed file, and bring() compares it
                fname=file.name,
                path=task.scratch,
                downloader=pooch.HTTPDownloader(timeout=_PATIENCE),
            )
        except (OSError, ValueError) as error:  # also those of requests
            raise RouteError(f"{url}: {printable(short(error, 200))}") from None
        yield found(file, task.scratch / path, url)


ENTRY = Route(download, title="the public address")
