"""Break the words around panels into lines if they would overlap their neighbours or leave the page."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from matplotlib.axes import Axes
from matplotlib.text import Text

from byzcode.figures.fit import Ruler
from byzcode.figures.scale import Positions
from byzcode.figures.style import LABEL, PANEL, SMALL, SOFT, TICK

#: The distance between words of neighbouring panels, and to the edge of the page, in inches.
_APART, _EDGE = 0.07, 0.02
#: The smallest distance between the numbers of an axis, in inches.
_BETWEEN = 0.045
#: The height of a line, relative to the font size.
_LINE = 1.2
#: The largest number of lines of a title or an axis label.
_MOST = 8
#: The angles of names at an axis, each with the longest line in inches; the first that fits is used.
_ANGLES = ((30, 1.35), (90, 1.6), (90, 2.6))
#: How far names may reach below their axis without extra room, in inches.
_REACH = 0.75
_EMPTY = "nothing to draw"


def nothing_in(axes: Axes) -> None:
    """Note in a panel that it is empty; the caption says why."""
    look: dict[str, Any] = {"ha": "center", "va": "center", "size": SMALL, "color": SOFT, "label": _EMPTY}
    axes.text(0.5, 0.5, f"{_EMPTY}: see below", transform=axes.transAxes, **look).set_in_layout(False)


@dataclass
class Fitting:
    """The changes that made words fit: whether there were any, the extra inches they need, and notes for the reader."""

    changed: bool = False
    extra: float = 0.0
    notes: list[str] = field(default_factory=list)


def fit(rows: Sequence[Sequence[Axes]], width: float, ruler: Ruler) -> Fitting:
    """Break the words around panels of known size, on a page ``width`` inches wide."""
    done = Fitting()
    present = _present(rows)
    rooms = {axes: _room(axes, row, width) for row in present for axes in row}
    size = _size_of_titles(rooms, ruler)
    for row in present:
        for texts, points in (([axes.title for axes in row], size), ([axes.xaxis.label for axes in row], LABEL)):
            lines = max(_break(text, points, rooms[axes], ruler) for axes, text in zip(row, texts, strict=True))
            done.changed |= lines > 0
            done.extra += lines * _LINE * points / 72
        for axes in row:
            own = axes.get_window_extent()
            for text in (text for text in axes.texts if text.get_label() == _EMPTY):
                text.set_text(ruler.wrapped(text.get_text(), 0.92 * own.width / axes.figure.dpi, SMALL))
            height = own.height / axes.figure.dpi + (_LINE * PANEL / 72 if len(present) == 1 else 0.0)
            done.changed |= _break(axes.yaxis.label, LABEL, height, ruler) > 0
    for row in present:
        _turn(done, row)
    return done


def _present(rows: Sequence[Sequence[Axes]]) -> list[list[Axes]]:
    """The panels that have not been removed."""
    return [[axes for axes in row if axes.figure is not None] for row in rows]


def hide_names(rows: Sequence[Sequence[Axes]], places: Positions) -> None:
    """Remove the names from the x axes, to measure the room for them."""
    for axes in (axes for row in _present(rows) for axes in row):
        axes.set_xticks(places.ticks, [""] * len(places.words))


def _turn(done: Fitting, row: Sequence[Axes]) -> None:
    """Rotate the numbers of the x axes of a row by 90 degrees if they would touch."""
    labels = [_labels_in_view(axes) for axes in row]
    boxes = [[label.get_window_extent() for label in each if label.get_rotation() == 0] for each in labels]
    apart = _BETWEEN * row[0].figure.dpi
    if not any(other.x0 - box.x1 < apart for each in boxes for box, other in itertools.pairwise(each)):
        return
    done.changed = True
    done.extra += max(box.width - box.height for each in boxes for box in each) / row[0].figure.dpi
    for axes in row:
        axes.tick_params(axis="x", labelrotation=90)


def _labels_in_view(axes: Axes) -> list[Text]:
    """The labels of the ticks within the limits of an x axis."""
    low, high = sorted(axes.get_xlim())
    ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=False)
    seen = [(place, label) for place, label in ticks if low <= place <= high and label.get_visible()]
    return [label for _, label in sorted(seen, key=itemgetter(0)) if label.get_text()]


def _room(axes: Axes, row: Sequence[Axes], width: float) -> float:
    """The largest width of words that are centred on a panel."""
    middles = [_middle(each) * width for each in row]
    own = _middle(axes) * width
    others = [abs(own - other) for other in middles if other != own]
    return min([2 * min(own, width - own) - 2 * _EDGE, *(distance - _APART for distance in others)])


def _size_of_titles(rooms: Mapping[Axes, float], ruler: Ruler) -> float:
    """The font size of the panels' titles, in points; smaller if a single word would not fit."""
    words = [(word, room) for axes, room in rooms.items() for word in axes.get_title().split()]
    if all(ruler.width(word, PANEL) <= room for word, room in words):
        return PANEL
    for axes in rooms:
        axes.title.set_fontsize(TICK)
    return TICK


def _middle(axes: Axes) -> float:
    box = axes.get_position()
    return float(box.x0 + box.x1) / 2


def _break(text: Text, size: float, room: float, ruler: Ruler) -> int:
    """Break a text whose lines are wider than ``room``; returns by how many lines it grows, at least 1 if broken."""
    words = text.get_text()
    if all(ruler.width(line, size, math=True) <= room for line in words.split("\n")):
        return 0
    text.set(text=ruler.wrapped(words.replace("\n", " "), room, size, math=True, most=_MOST), linespacing=1.0)
    return max(1, text.get_text().count("\n") - words.count("\n"))


def name(rows: Sequence[Sequence[Axes]], places: Positions, ruler: Ruler) -> Fitting:
    """Find an angle at which neighbouring names do not overlap; if there is none, show only some of the names."""
    done, panels, words = Fitting(), [axes for row in _present(rows) for axes in row], places.words
    left, right = panels[0].get_xlim()
    spacing = min(axes.get_window_extent().width / axes.figure.dpi for axes in panels) / (right - left)
    height = _LINE * TICK / 72
    for angle, longest in _ANGLES:
        most = math.floor(spacing * math.sin(math.radians(angle)) / height)
        broken = [ruler.wrapped(word, longest, TICK, math=True) for word in words]
        if max(word.count("\n") + 1 for word in broken) <= most:
            break
    else:
        broken = [ruler.wrapped(word, longest, TICK, math=True, most=max(1, most)) for word in words]
        if any(len(word) < len(short) for word, short in zip(broken, words, strict=True)):
            done.notes.append("The table beside the figure has the names that end in dots in full.")
    every = max(1, math.ceil(height / spacing / math.sin(math.radians(angle))))
    if every > 1:
        broken = [word if place % every == 0 else "" for place, word in enumerate(broken)]
        done.notes.append(f"Only one in {every} of the values on the x axis is labelled.")
    anchor: dict[str, Any] = {"ha": "right", "rotation_mode": "anchor"} | ({"va": "center"} if angle == 90 else {})
    for axes in panels:
        axes.set_xticks(places.ticks, broken, rotation=angle, linespacing=1.0, **anchor)
    if broken != words or angle != _ANGLES[0][0]:
        reach = max(ruler.width(line, TICK, math=True) for word in broken for line in word.split("\n"))
        done.extra += max(0.0, reach * math.sin(math.radians(angle)) + height - _REACH)
    return done
