"""The recommendations as a table, and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from byzcode.aggregation import RULES
from byzcode.recommend import verdicts
from byzcode.recommend.at_start import AtStart
from byzcode.recommend.choices import Advice
from byzcode.recommend.costs import costs_of
from byzcode.recommend.measured import Seen, favourite
from byzcode.recommend.need import Need
from byzcode.recommend.verdicts import Taught
from byzcode.recommend.words import behind, number
from byzcode.specs.methods import METHODS


def table(need: Need, compared: Sequence[tuple[Advice, Seen | None]]) -> Table:
    """The recommended configurations, best first, each with its measurement."""
    drawn = Table(
        title=f"N = {need.devices}, f = {need.f} liars, M = {need.subsets} subsets, D = {need.dimension}, "
        f"heterogeneity S = {number(need.heterogeneity)}",
        caption="Floors of ||grad F||² by the bounds: for the worst attack, and in the worst case also for the worst "
        "subsets. They hold if the heterogeneity stays at most S during training; it grows if theta runs away, so a "
        "run may still diverge. Measurements are often far below the floors. * Not a floor: training fits lists that "
        "are kept, so this expectation holds only at the start.",
    )
    for header in ("method", "r", "rule", "compressor"):
        drawn.add_column(header)
    for header in ("floor, expected", "floor, worst case", "gradients", "bits"):
        drawn.add_column(header, justify="right")
    any_measured = any(seen is not None for _, seen in compared)
    if any_measured:
        drawn.add_column("measured")
    for advice, seen in compared:
        rule = RULES[advice.rule].words + behind(advice.before) if advice.rule else "decoder"
        drawn.add_row(
            METHODS[advice.method].title,
            str(advice.redundancy),
            rule,
            advice.shortening.words,
            number(advice.floor) + ("*" if advice.kept else ""),
            "" if advice.worst is None else number(advice.worst),
            str(advice.gradients),
            str(advice.bits),
            *(["" if seen is None else seen.words(need.heterogeneity)] if any_measured else []),
        )
    return drawn


def record(
    need: Need,
    compared: Sequence[tuple[Advice, Seen | None]],
    refused: Sequence[str],
    start: AtStart | None,
    lessons: Sequence[Taught],
) -> dict[str, Any]:
    """The same for JSON. ``best_measured`` is the place in the list of the best measurement, None without one."""
    preferred = favourite(compared)
    return {
        "need": asdict(need),
        "at_start": None if start is None else start.words,
        "configurations": [
            {
                "curve": advice.curve,
                "floor_expected": advice.floor,
                "floor_at_start_only": advice.kept,
                "floor_worst": advice.worst,
                "gradients": advice.gradients,
                "bits": advice.bits,
                **costs_of(need, advice)._asdict(),
                "reason": advice.reason,
                "measured": None if seen is None else asdict(seen),
            }
            for advice, seen in compared
        ],
        "best_measured": preferred and [advice for advice, _ in compared].index(preferred[0]),
        "refused": refused,
        "lessons": verdicts.record(lessons),
    }
