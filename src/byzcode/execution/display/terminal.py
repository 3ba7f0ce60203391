"""Write lines to a terminal above one line that changes, or plain lines to anything else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from rich.cells import cell_len, set_cell_size

#: Return to the start of the line; erase what is behind the cursor.
_START, _ERASE = "\r", "\x1b[K"

_COLOURS = {"red": "\x1b[31m", "green": "\x1b[32m"}
_PLAIN = "\x1b[0m"


class Terminal:
    """A stream to write to.

    It never hides the cursor, so that a killed process leaves a usable terminal. If the stream is closed or the disk is
    full, it writes no more: a run must not fail because nobody listens.
    """

    def __init__(self, stream: TextIO, *, live: bool, colours: bool) -> None:
        self._stream, self.live, self._colours = stream, live, colours
        self._line = ""

    def say(self, text: str, colour: str = "") -> None:
        """Write lines that stay."""
        coded = f"{_COLOURS[colour]}{text}{_PLAIN}" if self._colours and colour else text
        self._write(f"{(_START + _ERASE) * bool(self._line)}{coded}\n{self._line}")

    def show(self, line: str) -> None:
        """Replace the line that changes; it is cut to the width of the terminal."""
        if not self.live or not self._foreground():
            return
        width = self._width() - 1
        line = line if cell_len(line) <= width else set_cell_size(line, max(0, width - 3)) + "..."
        if line != self._line:
            self._write(f"{_START}{line}{_ERASE}")
            self._line = line

    def clear(self) -> None:
        """Remove the line that changes."""
        if self._line:
            self._write(_START + _ERASE)
            self._line = ""

    def _width(self) -> int:
        with suppress(OSError, ValueError):
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        return 80

    def _foreground(self) -> bool:
        """Whether this process may write where the user types: a shell's background job must not."""
        with suppress(OSError, ValueError):
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        return True

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()


def is_live(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether a line may change: on a terminal, but not in CI."""
    return stream.isatty() and environment.get("TERM") != "dumb" and not environment.get("CI")


def has_colours(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether a stream shows colours, and the user has not declined them (https://no-color.org)."""
    return is_live(stream, environment) and not environment.get("NO_COLOR")
