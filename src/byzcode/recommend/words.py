"""Numbers and names in the text of a recommendation."""

from __future__ import annotations

from byzcode.pre_aggregation import PRE_AGGREGATORS


def count(number: int, noun: str) -> str:
    """A number with its noun, in the singular or the plural."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def number(value: float) -> str:
    """A number with three significant digits; tiny numbers become 0."""
    return f"{0.0 if abs(value) < 1e-15 else value:.3g}"


def behind(before: str) -> str:
    """The pre-aggregator before a rule, in words; empty if it does nothing."""
    return "" if PRE_AGGREGATORS[before].idle else f" behind {PRE_AGGREGATORS[before].words}"
