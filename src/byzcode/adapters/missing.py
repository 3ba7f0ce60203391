"""What is said if the library of an adapter is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from byzcode.errors import UserError


class MissingLibraryError(UserError, ImportError):
    """An import that fails because a library is missing: the message says which, and how to install it."""


@contextmanager
def needed(library: str, command: str) -> Iterator[None]:
    """Import from a library, or say how to install it. Raises MissingLibraryError."""
    try:
        yield
    except ImportError as error:
        raise MissingLibraryError(f"this adapter needs {library} ({error}); to install it: {command}") from None
