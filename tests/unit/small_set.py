"""A small data set that needs two files, with fake programs that bring them."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from byzcode.data import DATA_SETS, DataFile, DataSet, Examples, Origin, Split
from byzcode.data.files import contents

CONTENT = {"points.bin": bytes(range(200)) * 20, "classes.bin": bytes(range(2)) * 50}
FILES = tuple(DataFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in CONTENT.items())
PLAIN = {name: f"package/{name}" for name in CONTENT}


def load() -> Split:
    read = contents("small", FILES)
    points = np.frombuffer(read["points.bin"], np.uint8).reshape(100, -1) / 255
    classes = np.frombuffer(read["classes.bin"], np.uint8).astype(np.int64)
    return Split(Examples(points[:80], classes[:80]), Examples(points[80:], classes[80:]))


SMALL = DataSet(
    load,
    title="small",
    training=80,
    test=20,
    features=40,
    classes=2,
    files=FILES,
    origins={
        "apt": Origin("small-set", {name: f"usr/share/byzcode-small/{name}.gz" for name in CONTENT}),
        "npm": Origin("small-set@1.0.0", PLAIN),
        "pip": Origin("small-set==1.0.0", PLAIN),
        "download": Origin("http://localhost/small/", {name: f"{name}.gz" for name in CONTENT}),
    },
    source="a test",
    licence="CC0",
    notice="Nobody's.\n",
)


def known_as(monkeypatch, known: DataSet = SMALL) -> None:
    """Let the table of data sets have it, as ``small``."""
    look_up, names = type(DATA_SETS).__getitem__, (*DATA_SETS, "small")
    monkeypatch.setattr(DATA_SETS, "_names", names)
    monkeypatch.setattr(
        type(DATA_SETS), "__getitem__", lambda table, name: known if name == "small" else look_up(table, name)
    )


def tar_of(contents: dict[str, bytes]) -> bytes:
    """An archive of npm."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def zip_of(contents: dict[str, bytes]) -> bytes:
    """A wheel."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return made.getvalue()


PACKED = {PLAIN[name]: content for name, content in CONTENT.items()}
ZIPPED = {f"usr/share/byzcode-small/{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}


class Programs:
    """A folder of fake programs, the only one in PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def add(self, name: str, body: str) -> None:
        """A program in Python; its arguments are ``sys.argv``."""
        program = self.folder / name
        head = (
            "import pathlib, sys\npathlib.Path(__file__).with_suffix('.called').open('a').write(repr(sys.argv[1:]))\n"
        )
        program.write_text(f"#!{sys.executable}\n{head}{body}\n", encoding="utf-8")
        program.chmod(0o755)

    def gives(self, name: str, file: str, content: bytes) -> None:
        """A program that writes a file in the folder where it is called."""
        self.add(name, f"pathlib.Path({file!r}).write_bytes({content!r})")

    def unpacks(self, contents: dict[str, bytes]) -> None:
        """apt-get and dpkg-deb, with a package of this content."""
        self.gives("apt-get", "small-set_1_all.deb", b"deb")
        self.add(
            "dpkg-deb",
            f"for name, content in {contents!r}.items():\n"
            "    path = pathlib.Path(sys.argv[3], name)\n"
            "    path.parent.mkdir(parents=True, exist_ok=True)\n"
            "    path.write_bytes(content)",
        )

    def fails(self, name: str, *lines: str) -> None:
        """A program that complains and fails."""
        self.add(name, f"print({os.linesep.join(lines)!r}, file=sys.stderr)\nsys.exit(100)")

    def calls(self, name: str) -> str:
        """The arguments of all calls of a program; empty if it was not called."""
        called = (self.folder / name).with_suffix(".called")
        return called.read_text(encoding="utf-8") if called.exists() else ""
