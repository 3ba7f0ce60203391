"""The words of a figure of trajectories: the entries of its legend, and the sentences after its caption."""

from __future__ import annotations

import itertools
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
    QUANTITIES,
    level_words,
    line_style,
    literal,
    mark_legend,
    marker_style,
)
from byzcode.figures.words import in_plain, listing, lone_seed, named, seeds_of, sentence, with_ending
from byzcode.specs.methods import METHODS
from byzcode.studies.plots import TrajectoryPlot
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
                Line2D([], [], color=shade, linewidth=3.0, label=level_words(request.shown(plot.hue), level))
                for level, shade in hues
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


def notes(request: Request, plot: TrajectoryPlot, panels: Sequence[Panel], views: Sequence[View]) -> list[str]:
    """Sentences that explain what the figure shows and say what it leaves out."""
    lines = [(line, panel, views[panel.row]) for panel in panels for line in panel.lines]
    hue = request.shown(plot.hue)
    seeds = [line.stored.seeds for line, *_ in lines]
    sentences = [f"Lines: median over {seeds_of(seeds)}; bands: interquartile range.", *lone_seed("band", seeds)]
    if any(line.stored.is_cut and view.shows(line) for line, _, view in lines):
        sentences.append("A band ends at the median where its quartile is infinite.")
    drawn = {name for line, *_ in lines for name in line.stored.bounds}
    overlaid = [BOUNDS[name] for name in plot.overlay or () if name in drawn]
    sentences += [f"{bound.words.capitalize()}: {bound.meaning}." for bound in overlaid]
    sentences += coinciding(plot, panels)
    sentences += _ended(request, plot, panels)
    sentences += _undefined([line for line, *_ in lines], hue)
    everything = [(line.curve.label, line.level) for line, *_ in lines]
    chosen: dict[tuple[str, str], list[Line]] = {}
    for line, panel, view in lines:
        for start in _missing(line, view):
            chosen.setdefault((start, panel.measure.y), []).append(line)
    for start, quantity in sorted(chosen, key=lambda key: _ORDER.index(key[0])):
        names = named([(line.curve.label, line.level) for line in chosen[start, quantity]], everything, hue)
        which = f", the {QUANTITIES[quantity].words}" if len(plot.quantities) > 1 else ""
        sentences += sentence(start + which, names)
    repeated = [line for line, panel, _ in lines if _is_everywhere(line, panel, panels)]
    points = [(line.curve.label, line.level) for line in repeated]
    return sentences + sentence("The same in every panel", named(points, everything, hue))


#: Lines are said to coincide in the loss if they end within this fraction of each other, and their excess does not.
_COINCIDE, _DIFFER = 0.05, 0.1


def coinciding(plot: TrajectoryPlot, panels: Sequence[Panel]) -> list[str]:
    """A sentence on the coded methods whose losses coincide at the end, if the figure shows the excess, too."""
    if not {"loss", "excess_loss"} <= set(plot.quantities):
        return []
    ends: dict[str, list[list[float]]] = {"loss": [], "excess_loss": []}
    labels = distinct(line.curve.label for panel in panels for line in panel.lines if _is_coded(line))
    for quantity, values in ends.items():
        for panel in panels:
            if panel.measure.y == quantity:
                last = {line.curve.label: float(line.stored.y.median[-1]) for line in panel.lines}
                values.append([last.get(label, float("nan")) for label in labels])
    loss, excess = (np.array(values) for values in ends.values())
    found: list[str] = []
    for one, other in itertools.combinations(range(len(labels)), 2):
        with np.errstate(all="ignore"):
            near = np.abs(loss[:, one] / loss[:, other] - 1) < _COINCIDE
            apart = np.abs(np.log(excess[:, one] / excess[:, other])) > _DIFFER
        if near.all() and apart.any():
            found += [labels[one], labels[other]]
    if not found:
        return []
    return [f"In the loss these end within 5 % of each other, so see the excess loss: {listing(found)}."]


def _is_coded(line: Line) -> bool:
    return METHODS[line.run.method].coded


def _is_everywhere(line: Line, panel: Panel, panels: Sequence[Panel]) -> bool:
    """Whether a line is the same in all of several panels of its measure."""
    alike = [other for other in panels if other.measure == panel.measure]
    return len(alike) > 1 and all(_is_in(line, other) for other in alike)


_BELOW, _ABOVE = "Falls below its panel", "Rises above its panel"
_UNDER = "Below its panel throughout"
_ZERO, _REACHES = "Zero throughout, so not drawn", "Reaches 0 or below, which a logarithmic axis cannot show"
_NEGATIVE = "Never above 0, so not drawn"
_INFINITE = "Infinite in at least half of the seeds, although fewer had ended, so not drawn there"
_NOTHING = "Not measured, so not drawn"
_START = "Only its start is known, at a cost of 0, which a logarithmic axis cannot show"
_ORDER = (_BELOW, _UNDER, _ABOVE, _ZERO, _NEGATIVE, _REACHES, _INFINITE, _NOTHING, _START)


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
            yield _UNDER if finite.max() < view.bottom else _BELOW
        if stored.ending is Status.FINISHED and finite.max() > view.top:
            yield _ABOVE
        if finite.min() <= 0:
            yield _REACHES
    if (np.isposinf(median) & (2 * stored.ended < stored.seeds)).any():
        yield _INFINITE
    if stored.visible.any() and not (stored.x[stored.visible] >= view.start).any():
        yield _START


def _ended(request: Request, plot: TrajectoryPlot, panels: Sequence[Panel]) -> list[str]:
    """Sentences on the seeds that ended early, counted in each panel."""
    first = [panel for panel in panels if panel.measure == plot.measures[0]]
    everywhere = [_place(request, plot, panel) for panel in first]
    words: dict[str, dict[str, list[Place]]] = {}  # by line, what ended, and the panels where
    for panel, place in zip(first, everywhere, strict=True):
        for line in panel.lines:
            if endings := endings_in_words(line.stored.status, line.stored.since):
                level = in_plain(level_words(request.shown(plot.hue), line.level))
                name = f"{line.curve.label} at {level}" if level else line.curve.label
                words.setdefault(name, {}).setdefault(", ".join(endings), []).append(place)
    if not words:
        return []
    worst = "as less than any other" if first[0].lines[0].stored.share else "as infinite"
    ended = [
        f"{name} ({'; '.join(said + in_panels(places, everywhere) for said, places in by_ending.items())})"
        for name, by_ending in words.items()
    ]
    at = "iteration" if all(measure.x == "iteration" for measure in plot.measures) else "iteration or cost"
    return [
        f"A seed that ends early counts {worst}; if the median does too, a mark on the edge of the panel shows why, at "
        f"the {at} where it does; a thin line leads to it from where the curve leaves the panel.",
        "Marks that would overlap are side by side.",
        *sentence("Ended early, by panel and iteration", ended),
    ]


#: A panel, as the words for the levels of its row and of its column.
Place = tuple[str, ...]


def _place(request: Request, plot: TrajectoryPlot, panel: Panel) -> Place:
    titles = [level_words(request.shown(getattr(plot, field)), level) for field, level in panel.levels.items()]
    return tuple(in_plain(title) for title in titles if title)


def in_panels(places: Sequence[Place], everywhere: Sequence[Place]) -> str:
    """The panels of a count as " in a and b"; nothing if there is one panel.

    Panels that are all those of some rows, or of some columns, are named by these rows or columns alone.
    """
    if len(everywhere) == 1:
        return ""
    if set(places) == set(everywhere):
        return " in every panel"
    for part in range(len(everywhere[0])):
        levels = {place[part] for place in places}
        if {place for place in everywhere if place[part] in levels} == set(places):
            return f" in {listing(place[part] for place in places)}"
    return f" in {listing(' with '.join(place) for place in places)}"


def _undefined(lines: Sequence[Line], hue: str | None) -> list[str]:
    """A sentence on the curves that are undefined, with the reason if it is the same for all."""
    undefined = [line for line in lines if line.stored.undefined]
    reasons = distinct(line.stored.undefined for line in undefined)
    start = "Undefined, " + (reasons[0] if len(reasons) == 1 else "because the rule tolerates fewer liars")
    places = [(line.curve.label, line.level) for line in lines]
    return sentence(start, named([(line.curve.label, line.level) for line in undefined], places, hue))


def _is_in(line: Line, panel: Panel) -> bool:
    return any(other.run.run == line.run.run and other.curve.label == line.curve.label for other in panel.lines)
