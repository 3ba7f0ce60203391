"""Words of the page: numbers of very different sizes, and the places of tests."""

from __future__ import annotations

import math

from byzcode.specs.components import in_words
from byzcode.specs.fields import COMPONENTS

MINUS = "\N{MINUS SIGN}"

#: Beyond these, the text only says that a number is smaller or larger.
TINY, HUGE = 1e-12, 1e12
#: Below this, the text only says that a p-value is smaller.
CERTAIN = 1e-6


def number(value: float) -> str:
    """A number in three digits: "0.420", "6.40e-5" with a true minus sign, "< 1e-12", "> 1e12"; "none" for NaN."""
    if math.isnan(value):
        return "none"
    if value < 0:
        return _mirrored(number(-value))
    if math.isinf(value):
        return "\N{INFINITY}"
    if value == 0:
        return "0"
    if value < TINY:
        return f"< 1e{MINUS}12"
    if value > HUGE:
        return "> 1e12"
    if 1e-3 <= value < 999.5:
        return f"{value:#.3g}".rstrip(".")
    if 999.5 <= value < 9999.5:
        return f"{value:.0f}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", MINUS)


def short(value: float) -> str:
    """A tick of an axis in as few digits as possible."""
    text = f"{value:g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.0e}".replace("e-0", "e-")
    return text.replace("e+0", "e").replace("-", MINUS)


def probability(value: float) -> str:
    """A p-value with its relation: "p = 0.0310", "p < 1e-6"; "no p" for NaN."""
    if math.isnan(value):
        return "no p"
    return f"p < 1e{MINUS}6" if value < CERTAIN else f"p = {number(value)}"


def of(part: float, total: float) -> str:
    """Two counts as "18 of 20"; equal counts as one number; NaN counts as 0."""
    counts = [0 if math.isnan(count) else int(count) for count in (part, total)]
    return f"{counts[0]} of {counts[1]}" if counts[0] != counts[1] else f"{counts[0]}"


#: The symbols of keys of a RunSpec.
_SYMBOLS = {
    "byzantine.alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "assumed_alpha": "\N{GREEK SMALL LETTER ALPHA}'",
    "problem.dimension": "D",
    "problem.sigma_h": "\N{GREEK SMALL LETTER SIGMA}_H",
    "problem.subsets": "M",
    "devices": "N",
    "redundancy": "r",
}


def place(keys: str) -> str:
    """A place in words: "attack.coefficient = -5, aggregation = phocas" becomes "coefficient -5, Phocas"."""
    return ", ".join(_level(*part.split(" = ", 1)) if " = " in part else part for part in keys.split(", "))


def _level(key: str, value: str) -> str:
    name, _, options = value.partition(" ")
    entry = COMPONENTS.get(key, {}).get(name)
    if entry:
        return " ".join(filter(None, [in_words(name, entry), options.replace("-", MINUS)]))
    value = MINUS + value[1:] if value.startswith("-") else value.replace("_", " ")
    return f"{_SYMBOLS[key]} = {value}" if key in _SYMBOLS else f"{key.split('.')[-1].replace('_', ' ')} {value}"


def _mirrored(text: str) -> str:
    """The text for minus a number, from the text for the number."""
    mirrored = {"<": f"> {MINUS}", ">": f"< {MINUS}"}
    relation, _, rest = text.rpartition(" ")
    return f"{mirrored[relation]}{rest}" if relation else f"{MINUS}{text}"


#: The kind of all effects that are ratios: they share an axis, whatever is compared.
RATIO = "ratio"


def kind_of_effect(unit: str) -> str:
    """The kind of an effect of this unit; effects of a kind share an axis."""
    return RATIO if unit.startswith(f"{RATIO} of ") else unit
