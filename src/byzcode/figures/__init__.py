"""Figures: one module per kind of plot, in one table.

``FIGURES[kind](request, results)`` draws the figure of a :class:`~byzcode.figures.request.Request` from the files under
``results``, and returns the page with the data that it shows. A new kind is one new file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from byzcode.figures.allocation import allocation
from byzcode.figures.bounds import bounds
from byzcode.figures.heatmap import heatmap
from byzcode.figures.page import Drawing
from byzcode.figures.price import price
from byzcode.figures.ratio import ratio
from byzcode.figures.request import Request
from byzcode.figures.style import theme
from byzcode.figures.sweep import sweep
from byzcode.figures.trajectories import trajectories
from byzcode.figures.variance import variance
from byzcode.specs.parsing import parse

FIGURES: dict[str, Callable[[Request, Path], Drawing]] = {
    "trajectories": trajectories,
    "sweep": sweep,
    "heatmap": heatmap,
    "ratio": ratio,
    "price": price,
    "allocation": allocation,
    "variance": variance,
    "bounds": bounds,
}

__all__ = ["FIGURES", "draw"]


def draw(request: Mapping[str, Any], results: Path, out: Path) -> None:
    """Draw a figure (the JSON of ``figure_json``, parsed) as ``out``.pdf, .svg and .png, and its data as ``out``.csv.

    The same results give the same bytes. Raises UserError if a file is missing, foreign or cannot be written.
    """
    parsed = parse(Request, request, "figure request")
    with theme():
        FIGURES[parsed.plot.kind](parsed, Path(results)).save(Path(out))
