"""The words of a figure of trajectories: the entries of its legend, and the sentences after its caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType

from byzcode.figures.lines import Line, Panel, View
from byzcode.figures.request import Curve, Look, Request, distinct
from byzcode.figures.style import (
    BOUNDS,
    INK,
    level_words,
    line_style,
    literal,
    mark_legend,
    marker_style,
)
from byzcode.figures.words import lone_seed, named, seeds_of, sentence, with_ending
from byzcode.studies.study import TrajectoryPlot
from byzcode.training.status import Status, endings_in_words

#: The width of lines where there are many.
THIN = 1.4

#: The levels of a plot's hue, in order, with their colours.
Hues = Sequence[tuple[object, ColorType | None]]


def legend(request: Request, plot: TrajectoryPlot, hues: Hues, panels: Sequence[Panel]) -> list[Artist]:
    """The entries: the curves as requested; after the last one that varies with the hue, its levels; then marks."""
    handles: list[Artist] = []
    varying = [curve.label for curve in request.curves if curve.varies_with(plot.hue)]
    for curve in request.curves:
        handles += [_entry(curve, look, plot, panels, varying) for look in curve.looks]
        if varying and curve.label == varying[-1] and not by_style(request, plot):
            handles += [
                Line2D([], [], color=shade, linewidth=3.0, label=level_words(plot.hue, level)) for level, shade in hues
            ]
    drawn = {name for panel in panels for line in panel.lines for name in line.stored.bounds}
    handles += [
        Line2D([], [], color=INK, **BOUNDS[name].line, label=BOUNDS[name].words)
        for name in plot.overlay or ()
        if name in drawn
    ]
    return handles + mark_legend(line.stored.ending for panel in panels for line in panel.lines)


def by_style(request: Request, plot: TrajectoryPlot) -> bool:
    """Whether the hue is the method and methods differ in style, which makes hues unnecessary."""
    varying = [curve for curve in request.curves if curve.varies_with(plot.hue)]
    return plot.hue == "method" and all(len(curve.looks) > 1 for curve in varying)


def _entry(curve: Curve, look: Look, plot: TrajectoryPlot, panels: Sequence[Panel], varying: Sequence[str]) -> Line2D:
    """The entry of one of the styles of a curve."""
    hued = curve.label in varying and not (plot.hue == "method" and len(curve.looks) > 1)
    color = INK if hued else None
    drawn = line_style(look.style, color) | (marker_style(look.style, color) if varying != [curve.label] else {})
    if curve.label in varying:
        drawn["linewidth"] = THIN
    own = [
        line.stored
        for panel in panels
        for line in panel.lines
        if line.curve.label == curve.label and line.run.method in look.methods
    ]
    empty = not any(stored.is_line for stored in own)
    label = with_ending(look.label, (stored.ending for stored in own)) if empty else look.label
    return Line2D([], [], **drawn, label=literal(label))


def notes(plot: TrajectoryPlot, panels: Sequence[Panel], views: Sequence[View]) -> list[str]:
    """Sentences that explain what the figure shows and say what it leaves out."""
    lines = [(line, views[panel.row]) for panel in panels for line in panel.lines]
    seeds = [line.stored.seeds for line, _ in lines]
    sentences = [f"Lines: median over {seeds_of(seeds)}; bands: interquartile range.", *lone_seed("band", seeds)]
    drawn = {name for line, _ in lines for name in line.stored.bounds}
    overlaid = [BOUNDS[name] for name in plot.overlay or () if name in drawn]
    sentences += [f"{bound.words.capitalize()}: {bound.meaning}." for bound in overlaid]
    sentences += _ended([line for line, _ in lines])
    sentences += _undefined([line for line, _ in lines], plot.hue)
    everything = [(line.curve.label, line.level) for line, _ in lines]
    chosen: dict[str, list[Line]] = {}
    for line, view in lines:
        for start in _missing(line, view):
            chosen.setdefault(start, []).append(line)
    for start in sorted(chosen, key=_ORDER.index):
        sentences += sentence(
            start, named([(line.curve.label, line.level) for line in chosen[start]], everything, plot.hue)
        )
    repeated = [line for line, _ in lines if len(panels) > 1 and all(_is_in(line, panel) for panel in panels)]
    points = [(line.curve.label, line.level) for line in repeated]
    return sentences + sentence("The same in every panel", named(points, everything, plot.hue))


_BELOW, _ABOVE = "Falls below its panel", "Rises above its panel"
_ZERO, _REACHES = "Zero throughout, so not drawn", "Reaches 0 or below, which a logarithmic axis cannot show"
_NEGATIVE = "Never above 0, so not drawn"
_INFINITE = "Infinite in at least half of the seeds, although fewer had ended, so not drawn there"
_NOTHING = "Not measured, so not drawn"
_START = "Only its start is known, at a cost of 0, which a logarithmic axis cannot show"
_ORDER = (_BELOW, _ABOVE, _ZERO, _NEGATIVE, _REACHES, _INFINITE, _NOTHING, _START)


def _missing(line: Line, view: View) -> Iterator[str]:
    """The reasons why a line, or part of it, is not visible in its panel."""
    stored, median = line.stored, line.stored.y.median
    finite = median[np.isfinite(median)]
    if not stored.measured:
        if stored.undefined is None and not (stored.status != Status.FINISHED).any():
            yield _NOTHING
        return
    if finite.size and view.share:
        pass  # all of it is in the panel
    elif finite.size and not finite.any():
        yield _ZERO
    elif finite.size and finite.max() <= 0:
        yield _NEGATIVE
    elif finite.size:
        if 0 < finite[-1] < view.bottom:
            yield _BELOW
        if stored.ending is Status.FINISHED and finite.max() > view.top:
            yield _ABOVE
        if finite.min() <= 0:
            yield _REACHES
    if (np.isposinf(median) & (2 * stored.ended < stored.seeds)).any():
        yield _INFINITE
    if stored.visible.any() and not (stored.x[stored.visible] >= view.start).any():
        yield _START


def _ended(lines: Sequence[Line]) -> list[str]:
    runs = {line.run.run: line for line in lines}.values()
    lost = []
    for label in dict.fromkeys(line.curve.label for line in runs):
        own = [line.stored for line in runs if line.curve.label == label]
        status, since = (np.concatenate([getattr(stored, name) for stored in own]) for name in ("status", "since"))
        if endings := endings_in_words(status, since):
            lost.append(f"{label} ({', '.join(endings)})")
    sentences = []
    if lost:
        worst = "as less than any other" if lines[0].stored.share else "as infinite"
        sentences.append(f"A seed that ends early counts {worst}; if the median does too, a mark shows why.")
        sentences.append("Marks that would overlap are side by side.")
    return sentences + sentence("Ended early, by iteration", lost)


def _undefined(lines: Sequence[Line], hue: str | None) -> list[str]:
    """A sentence on the curves that are undefined, with the reason if it is the same for all."""
    undefined = [line for line in lines if line.stored.undefined]
    reasons = distinct(line.stored.undefined for line in undefined)
    start = "Undefined, " + (reasons[0] if len(reasons) == 1 else "because the rule tolerates fewer liars")
    places = [(line.curve.label, line.level) for line in lines]
    return sentence(start, named([(line.curve.label, line.level) for line in undefined], places, hue))


def _is_in(line: Line, panel: Panel) -> bool:
    return any(other.run.run == line.run.run and other.curve.label == line.curve.label for other in panel.lines)
