"""Fonts for letters that matplotlib's own fonts lack, and the letters that no installed font has."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

#: The fonts of all figures: the same letters on every machine.
BUNDLED = ("STIXGeneral", "DejaVu Sans")

#: Ranges of letters that these fonts have in regular and bold: Latin, Greek, Cyrillic, punctuation, currencies, arrows,
#: operators. Looking up any other letter requires loading matplotlib.
_PLAIN = (
    *((0x0A, 0x0A), (0x20, 0x2E9), (0x391, 0x3A1), (0x3A3, 0x525), (0x1E00, 0x1EFB), (0x2000, 0x2064)),
    *((0x2074, 0x208E), (0x20A0, 0x20B5), (0x2190, 0x2311)),
)

#: The largest number of letters that a message names.
_NAMED = 3
#: First words in the names of letters that a single font, Noto Sans CJK, covers.
_EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")


class Fonts(NamedTuple):
    """The font families that a text needs besides the bundled ones, and its letters that no font has."""

    families: tuple[str, ...]
    missing: str


def fonts_for(texts: Iterable[str]) -> Fonts:
    """The installed fonts for some texts; ties are resolved by path."""
    rare = {sign for text in texts for sign in text if not _is_plain(ord(sign))}
    return _fonts_for("".join(sorted(rare))) if rare else Fonts((), "")


def message(missing: str) -> str:
    """A message that names letters that no font has, and says what to do."""
    named = " ".join(f"U+{ord(sign):04X}" for sign in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED} more letters" if len(missing) > _NAMED else ""
    names = [unicodedata.name(sign, "") for sign in missing]
    wanted = "Noto Sans CJK" if all(name.startswith(_EAST_ASIAN) for name in names) else "the Noto fonts"
    return f"no installed font has {named}{more}, so figures show boxes; install a font that has them, such as {wanted}"


def _is_plain(number: int) -> bool:
    return any(first <= number <= last for first, last in _PLAIN)


@cache
def _fonts_for(letters: str) -> Fonts:
    from matplotlib import font_manager

    known = font_manager.fontManager
    lacking = set(letters) - _bundled()
    families: list[str] = []
    if lacking:
        # matplotlib's cached list lacks fonts that were installed later.
        available = {path: _letters_of(path) for path in sorted(font_manager.findSystemFonts())}
        while lacking:
            best = max(available, key=lambda path: len(available[path] & lacking), default=None)
            if best is None or not available[best] & lacking:
                break
            if not any(entry.fname == best for entry in known.ttflist):
                known.addfont(best)
            families.append(font_manager.get_font(best).family_name)
            lacking -= available[best]
    return Fonts(tuple(dict.fromkeys(families)), "".join(sorted(lacking)))


@cache
def _bundled() -> frozenset[str]:
    from matplotlib.font_manager import FontProperties, findfont

    by_weight = [
        frozenset[str]().union(*(_letters_of(findfont(FontProperties(family=name, weight=weight))) for name in BUNDLED))
        for weight in ("normal", "bold")
    ]
    return by_weight[0] & by_weight[1]


@cache
def _letters_of(path: str) -> frozenset[str]:
    """The letters of a font; empty if it is unreadable or a bitmap font."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
        return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()
