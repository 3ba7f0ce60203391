"""How the advice says numbers and names."""

from __future__ import annotations

from byzcode.pre_aggregation import PRE_AGGREGATORS


def count(how_many: int, what: str) -> str:
    """A number of things, in words."""
    if how_many == 1:
        return f"1 {what}"
    return f"{how_many} {what[:-1]}ies" if what.endswith("y") else f"{how_many} {what}s"


def number(value: float) -> str:
    """A number in three digits."""
    return f"{0.0 if abs(value) < 1e-15 else value:.3g}"


def behind(before: str) -> str:
    """The pre-aggregator in front of a rule, in words."""
    return "" if PRE_AGGREGATORS[before].idle else f" behind {PRE_AGGREGATORS[before].words}"
