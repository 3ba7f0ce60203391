"""Numbers and names in the text of a recommendation."""

from __future__ import annotations

from byzcode.pre_aggregation import PRE_AGGREGATORS


def count(how_many: int, what: str) -> str:
    """A number with its noun, in the singular or the plural."""
    if how_many == 1:
        return f"1 {what}"
    return f"{how_many} {what[:-1]}ies" if what.endswith("y") else f"{how_many} {what}s"


def number(value: float) -> str:
    """A number with three significant digits; tiny ones become 0."""
    return f"{0.0 if abs(value) < 1e-15 else value:.3g}"


def behind(before: str) -> str:
    """The pre-aggregator before a rule, in words; empty if it does nothing."""
    return "" if PRE_AGGREGATORS[before].idle else f" behind {PRE_AGGREGATORS[before].words}"
