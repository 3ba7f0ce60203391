"""Files that a user names: small, regular, UTF-8; those of a configuration lie inside the project's folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from byzcode.errors import UserError, complain, short
from byzcode.regular import content, reason

#: Bytes. A file of a study or a spec has some thousands.
MOST_BYTES = 2**20


def read_text(path: str | Path, most: int = MOST_BYTES) -> str:
    """The text of a file. Raises UserError: missing, no regular file, larger than ``most`` bytes, not UTF-8."""
    try:
        return content(path, most).decode("utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError:
        why = "not UTF-8 text"
    except (OSError, ValueError) as error:
        why = reason(error)
    raise UserError(f"{short(path, 200)}: cannot be read: {why}")


def inside(path: str, where: object, key: str) -> str:
    """A path of a configuration as it stands, if neither its words nor a link lead out of the working directory.

    Raises UserError.
    """
    parts = PurePosixPath(path)
    allowed = "allowed: a path inside the project's folder, relative to it, without .."
    if parts.is_absolute() or ".." in parts.parts or path.startswith("~"):
        raise complain(where, key, path, allowed)
    try:
        target = Path(path).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # too long; a NUL; links in a circle
        raise complain(where, key, path, f"{getattr(error, 'strerror', None) or error}; {allowed}") from None
    if not target.is_relative_to(Path.cwd().resolve()):
        raise complain(where, key, path, f"leads to {target}; {allowed}")
    return path
