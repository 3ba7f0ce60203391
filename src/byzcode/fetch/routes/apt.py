"""A Debian package: downloaded by apt-get and unpacked by dpkg-deb, without root and without an installation."""

from __future__ import annotations

from collections.abc import Iterator

from byzcode.fetch.route import Found, Route, Task, found, only, run


def apt(task: Task) -> Iterator[Found]:
    """The files in the package. Debian keeps only the present version of a package, so none is named."""
    package, members = task.known.origins["apt"]
    run(task.scratch, "apt-get", "download", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30", package)
    archive = only(task.scratch, "*.deb")
    run(task.scratch, "dpkg-deb", "--extract", archive.name, "unpacked")
    for file in task.files:
        yield found(file, task.scratch / "unpacked" / members[file.name], f"{members[file.name]} of {archive.name}")


ENTRY = Route(apt, title="a Debian package")
