"""Break text into lines that fit, measured with the renderer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from matplotlib.backend_bases import RendererBase
from matplotlib.cbook import is_math_text
from matplotlib.font_manager import FontProperties

#: A word: characters other than spaces, single dollar signs, and formulas, which may contain spaces.
_WORD = re.compile(r"(?:\\\$|\$(?:\\\$|[^$])*\$|[^\s$]|\$)+")
#: A character of a word; an escaped dollar sign counts as one.
_SIGN = re.compile(r"\\\$|.", re.DOTALL)
_MORE = "\N{HORIZONTAL ELLIPSIS}"


class Ruler:
    """Measures text with the renderer that draws it. Lengths are in inches."""

    def __init__(self, renderer: RendererBase, dpi: float) -> None:
        self._renderer, self._dpi = renderer, dpi

    def width(self, text: str, size: float, *, weight: str = "normal", math: bool = False) -> float:
        r"""The width of a line of text. With ``math``, text between dollar signs is a formula and ``\$`` a dollar."""
        font = FontProperties(size=size, weight=weight)
        formula = math and is_math_text(text)
        shown = text.replace(r"\$", "$") if math and not formula else text
        width, _, _ = self._renderer.get_text_width_height_descent(shown, font, ismath=formula)
        return float(width / self._dpi)

    def wrapped(
        self,
        text: str,
        room: float,
        size: float,
        *,
        weight: str = "normal",
        math: bool = False,
        most: int | None = None,
    ) -> str:
        """The text in lines of at most ``room`` inches, broken at spaces and inside words longer than a line.

        Text beyond ``most`` lines is replaced by an ellipsis.
        """

        def fits(line: str) -> bool:
            return self.width(line, size, weight=weight, math=math) <= room

        lines = [""]
        for word in _words(text, fits, math=math):
            longer = f"{lines[-1]} {word}".strip()
            if fits(longer):
                lines[-1] = longer
                continue
            if lines[-1]:
                lines.append("")
            for part in [word] if fits(word) else _parts(word, math=math):
                if lines[-1] and not fits(lines[-1] + part):
                    lines.append("")
                lines[-1] += part
        if most is not None and len(lines) > most:
            last = lines[most - 1]
            while last and not fits(last + _MORE):
                last = "".join(_parts(last, math=math)[:-1])
            lines = [*lines[: most - 1], last.rstrip() + _MORE]
        return "\n".join(lines)


def _words(text: str, fits: Callable[[str], bool], *, math: bool) -> Iterator[str]:
    """The units that are kept on one line if possible: words, and symbols with their values (r = 5)."""
    words: Sequence[str] = _WORD.findall(text) if math else text.split()
    place = 0
    while place < len(words):
        equation = " ".join(words[place : place + 3])
        is_equation = math and words[place + 1 : place + 2] == ["="] and fits(equation)
        yield equation if is_equation else words[place]
        place += 3 if is_equation else 1


def _parts(word: str, *, math: bool) -> list[str]:
    """The characters of a word, each with its combining characters; a formula is not split."""
    if math and is_math_text(word):
        return [word]
    parts: list[str] = []
    for sign in _SIGN.findall(word):
        if parts and (_joins(sign[0]) or parts[-1].endswith(_JOINER) or (_closes(sign[0]) and len(parts[-1]) == 1)):
            parts[-1] += sign
        else:
            parts.append(sign)
    return parts


def _joins(sign: str) -> bool:
    """Whether a character combines with the one before it."""
    return unicodedata.combining(sign) > 0 or sign in _JOINING


def _closes(sign: str) -> bool:
    """Whether a character is East Asian closing punctuation, which must not begin a line."""
    return sign >= "\u3000" and unicodedata.category(sign) in ("Po", "Pe", "Pf")


_JOINER = "\N{ZERO WIDTH JOINER}"
_JOINING = {_JOINER, "\N{VARIATION SELECTOR-16}"}
