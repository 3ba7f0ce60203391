"""Files that a user names: small, regular, UTF-8. Files of a configuration lie inside the project's folder."""

from __future__ import annotations

import hashlib
import os
from importlib.resources import files
from pathlib import Path, PurePosixPath

from byzcode.errors import UserError, complain, short
from byzcode.storage.regular import content, reason

#: The largest file, in bytes. A study or a spec has a few thousand.
MOST_BYTES = 2**20


def from_disk(name: str | Path) -> str:
    """The text of a path from the system, decoded as UTF-8 whatever the locale."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def on_disk(name: str | Path) -> str:
    """The path for the system from its text; the inverse of :func:`from_disk`."""
    return os.fsdecode(str(name).encode("utf-8", "surrogateescape"))


#: The default files of a configuration. byzcode contains copies for folders without them.
DEFAULTS = {
    "reading": "config/readings/primary.yaml",
    "style": "config/style.yaml",
    "multiverse": "config/multiverse.yaml",
    "alternatives": "config/readings/alternatives.yaml",
}


def or_bundled(path: str) -> str:
    """A path of a configuration; the path of byzcode's own copy if it is a default file and does not exist."""
    own = Path(str(files("byzcode"))) / path
    return str(own) if path in DEFAULTS.values() and not Path(path).exists() and own.is_file() else path


def read_from(path: str) -> Path:
    """The location of a file that a configuration names."""
    return Path(on_disk(or_bundled(path)))


def read_text(path: str | Path, most: int = MOST_BYTES) -> str:
    """The text of a file. Raises UserError if it is missing, not regular, above ``most`` bytes or not UTF-8."""
    try:
        return content(path, most).decode("utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError:
        why = "not UTF-8 text"
    except (OSError, ValueError) as error:
        why = reason(error)
    raise UserError(f"{short(path, 200)}: cannot be read: {why}")


def sha256_of(path: str) -> str | None:
    """The sha256 of a small file; None if it does not exist. Raises UserError if it cannot be read."""
    return hashlib.sha256(read_text(path).encode()).hexdigest() if read_from(path).exists() else None


def folder(path: Path) -> Path:
    """A folder that a user names. Raises UserError if it does not exist."""
    if not path.is_dir():
        raise UserError(f"{short(path, 200)}: no such folder")
    return path


def inside(path: str, where: object, key: str) -> str:
    """A path of a configuration, unchanged. Raises UserError if it or a link in it leaves the working directory."""
    parts = PurePosixPath(path)
    allowed = "allowed: a path inside the project's folder, relative to it, without .."
    if parts.is_absolute() or ".." in parts.parts or path.startswith("~"):
        raise complain(where, key, path, allowed)
    try:
        target = Path(on_disk(path)).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, a loop of links
        raise complain(where, key, path, f"{getattr(error, 'strerror', None) or error}; {allowed}") from None
    if not target.is_relative_to(Path.cwd().resolve()):
        raise complain(where, key, path, f"leads to {target}; {allowed}")
    return path
