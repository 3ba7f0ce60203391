"""Files that a user names: small, regular, UTF-8; those of a configuration lie inside the project's folder."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path, PurePosixPath

from byzcode.errors import UserError, complain, short
from byzcode.storage.regular import content, reason

#: Bytes. A file of a study or a spec has some thousands.
MOST_BYTES = 2**20


def from_disk(name: str | Path) -> str:
    """A path as the system gave it, in letters: names are UTF-8 there, in a locale that is not UTF-8, too."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def on_disk(name: str | Path) -> str:
    """A path in letters as the system takes it: the other way round."""
    return os.fsdecode(str(name).encode("utf-8", "surrogateescape"))


#: What a configuration names if it says nothing else. byzcode brings these files along, for a folder without them.
DEFAULTS = {
    "reading": "config/readings/primary.yaml",
    "style": "config/style.yaml",
    "multiverse": "config/multiverse.yaml",
    "alternatives": "config/readings/alternatives.yaml",
}


def brought_along(path: str) -> str:
    """A path of a configuration; where that is one of the defaults and no such file is here, byzcode's own."""
    own = Path(str(files("byzcode"))) / path
    return str(own) if path in DEFAULTS.values() and not Path(path).exists() and own.is_file() else path


def read_from(path: str) -> Path:
    """Where a file lies that a configuration names."""
    return Path(on_disk(brought_along(path)))


def read_text(path: str | Path, most: int = MOST_BYTES) -> str:
    """The text of a file. Raises UserError: missing, no regular file, larger than ``most`` bytes, not UTF-8."""
    try:
        return content(path, most).decode("utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError:
        why = "not UTF-8 text"
    except (OSError, ValueError) as error:
        why = reason(error)
    raise UserError(f"{short(path, 200)}: cannot be read: {why}")


def folder(path: Path) -> Path:
    """A folder that a user names, if it is there. Raises UserError."""
    if not path.is_dir():
        raise UserError(f"{short(path, 200)}: no such folder")
    return path


def inside(path: str, where: object, key: str) -> str:
    """A path of a configuration as it stands, if neither its words nor a link lead out of the working directory.

    Raises UserError.
    """
    parts = PurePosixPath(path)
    allowed = "allowed: a path inside the project's folder, relative to it, without .."
    if parts.is_absolute() or ".." in parts.parts or path.startswith("~"):
        raise complain(where, key, path, allowed)
    try:
        target = Path(on_disk(path)).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # too long; a NUL; links in a circle
        raise complain(where, key, path, f"{getattr(error, 'strerror', None) or error}; {allowed}") from None
    if not target.is_relative_to(Path.cwd().resolve()):
        raise complain(where, key, path, f"leads to {target}; {allowed}")
    return path
