"""The layout of every figure: title, panels, legend and caption, each in a strip of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from byzcode.figures.fit import Ruler
from byzcode.figures.panels import fit, hide_names, name, nothing_in
from byzcode.figures.request import Request
from byzcode.figures.scale import Positions
from byzcode.figures.style import LABEL, SMALL, SOFT, TITLE
from byzcode.storage.atomic import replacing, text
from byzcode.studies import letters
from byzcode.studies.papers import figure_words

#: Sizes in inches.
_WIDTHS = {1: 4.8, 2: 6.2}
_WIDTH, _EDGE, _GAP = 7.2, 0.08, 0.1

#: Metadata without dates and versions, so that equal figures are equal files.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"Creator": "byzcode", "Producer": None, "CreationDate": None},
    "svg": {"Creator": "byzcode", "Date": None},
    "png": {"Software": "byzcode"},
}


class Page:
    """A figure of fixed width, whose height follows from its content.

    Title, legend and caption are measured and get strips of their own, so that nothing overlaps.
    """

    def __init__(
        self,
        request: Request,
        rows: int,
        columns: int,
        *,
        aspect: float = 0.75,
        extra: float = 0.0,
        wide: bool = False,
        **shared: Any,
    ) -> None:
        self.request = request
        self._extra = extra  # inches for labels between rows of panels
        self.width = _WIDTH if wide else _WIDTHS.get(columns, _WIDTH)
        self.panel_height = float(np.clip(aspect * (self.width - 0.6) / columns, 1.4, 2.8))
        self.figure = Figure(figsize=(self.width, rows * self.panel_height))
        self.canvas = FigureCanvasAgg(self.figure)
        self.ruler = Ruler(self.canvas.get_renderer(), self.figure.dpi)  # type: ignore[no-untyped-call]
        self.axes: list[list[Axes]] = self.figure.subplots(rows, columns, squeeze=False, **shared).tolist()

    def nothing_in(self, axes: Axes) -> None:
        """Note in a panel that it is empty; the caption says why."""
        nothing_in(axes)

    def arrange(self, handles: Sequence[Artist], notes: Sequence[str], places: Positions | None = None) -> None:
        """Put title, legend and caption around the panels. ``notes`` follow the caption of the study.

        ``places`` are the positions along the x axes, which may have names instead of numbers.
        """
        figure = self.figure
        sns.despine(fig=figure)
        notes = [*notes, *self._take_fonts([*notes, *(str(handle.get_label()) for handle in handles)])]
        title = figure.text(0, 0, self._wrapped(self.request.heading, TITLE, weight="bold"), **_TEXT, size=TITLE)
        title.set(weight="bold", va="top")
        below = {**_TEXT, "size": SMALL, "color": SOFT, "va": "bottom", "linespacing": 1.25}
        caption = figure.text(0, 0, self._caption(notes), **below)
        for handle in handles:
            self._fit_entry(handle)
        legend = figure.legend(handles=handles, ncols=self._legend_columns(handles), **_LEGEND)
        self._strips = title, legend, caption
        extra, more = 0.0, []
        if places is not None and places.words:
            hide_names(self.axes, places)
            self._stack(0.0)
            names = name(self.axes, places, self.ruler)
            extra, more = names.extra, names.notes
            caption.set_text(self._caption([*notes, *more]))
        self._stack(extra)
        self._fit(extra)

    def refit(self) -> None:
        """Set the sizes of the panels after adding something beside them, and break their words anew."""
        self.settle()
        self._fit(self._stacked)

    def _fit(self, extra: float) -> None:
        fitting = fit(self.axes, self.width, self.ruler)
        if fitting.changed:
            self._stack(extra + fitting.extra)

    def _take_fonts(self, texts: Sequence[str]) -> list[str]:
        """Select fonts that have the letters of the texts; returns a note on letters that no font has."""
        request = self.request
        paper = [request.paper.source, request.paper.figure] if request.paper else []
        fonts = letters.fonts_for([request.heading, request.plot.caption, *paper, *texts])
        mpl.rcParams["font.family"] = [*letters.BUNDLED, *fonts.families]
        return [f"Boxes: {letters.message(fonts.missing)}."] if fonts.missing else []

    def _caption(self, notes: Sequence[str]) -> str:
        """The caption of the study followed by the notes, and in a paragraph of its own the source."""
        paragraphs = [" ".join([self.request.plot.caption, *notes])]
        if paper := self.request.paper:
            paragraphs.append(f"Source: {paper.source}; {figure_words(paper)}.")
        return "\n".join(self._wrapped(paragraph, SMALL) for paragraph in paragraphs)

    def _stack(self, extra: float) -> None:
        """Stack title, panels, legend and caption; the panels get ``extra`` inches for long labels."""
        figure, (title, legend, caption) = self.figure, self._strips
        self._stacked = extra
        title_height, legend_height, caption_height = (
            part.get_window_extent().height / figure.dpi for part in (title, legend, caption)
        )
        foot = _EDGE + caption_height + _GAP + legend_height + _GAP
        ceiling = foot + len(self.axes) * (self.panel_height + 0.2) + 0.22 + self._extra + extra
        total = ceiling + _GAP + title_height + _EDGE
        left = _EDGE / self.width
        figure.set_size_inches(self.width, total)
        title.set_position((left, 1 - _EDGE / total))
        caption.set_position((left, _EDGE / total))
        legend.set_loc("lower center")
        legend.set_bbox_to_anchor((0.5, (_EDGE + caption_height + _GAP) / total))
        self._room = (left, foot / total, 1 - 2 * left, (ceiling - foot) / total)
        self.settle()

    def settle(self) -> None:
        """Set the sizes of the panels."""
        engine = ConstrainedLayoutEngine(rect=self._room, w_pad=0.06, h_pad=0.05, wspace=0.02, hspace=0.03)
        engine.execute(self.figure)
        for axes in self.figure.axes:
            # The solver's last bits depend on memory addresses; round them, so that files do not.
            axes.set_position(np.round(axes.get_position(original=True).bounds, 4))
            axes.set_in_layout(True)

    def _legend_columns(self, handles: Sequence[Artist]) -> int:
        """The number of columns of the legend: as many as fit."""
        for columns in range(len(handles), 1, -1):
            trial = self.figure.legend(handles=handles, ncols=columns, **_LEGEND)
            width = trial.get_window_extent().width / self.figure.dpi
            trial.remove()
            rows = -(-len(handles) // columns)
            # Take the widest layout that fits, then the fewest columns with as many rows, which fills the last row.
            if width <= 0.98 * self.width - 2 * _EDGE:
                return -(-len(handles) // rows)
        return 1

    def _fit_entry(self, handle: Artist) -> None:
        """Break the label of a legend entry that is wider than the page."""
        label, room = str(handle.get_label()), 0.98 * self.width - 2 * _EDGE - _HANDLE
        if self.ruler.width(label, _ENTRY, math=True) > room:
            handle.set_label(self.ruler.wrapped(label, room, _ENTRY, math=True))

    def _wrapped(self, text: str, size: float, weight: str = "normal") -> str:
        """The text in lines that fit the page."""
        return self.ruler.wrapped(text, self.width - 2 * _EDGE, size, weight=weight)


_TEXT: dict[str, Any] = {"parse_math": False, "in_layout": False}
_LEGEND: dict[str, Any] = {
    "loc": "lower left",
    "frameon": False,
    "handlelength": 2.8,
    "columnspacing": 1.6,
    "handletextpad": 0.6,
    "labelspacing": 0.35,
    "borderpad": 0.0,
    "borderaxespad": 0.0,
}


#: The size of a legend's entries in points, and the width of an entry without its text in inches.
_ENTRY, _HANDLE = LABEL - 0.5, (2.8 + 0.6) * (LABEL - 0.5) / 72


@dataclass(frozen=True)
class Drawing:
    """A finished page and the data that it shows."""

    page: Page
    data: pd.DataFrame

    def save(self, out: Path, *kinds: str) -> list[Path]:
        """Write ``out`` with the suffixes pdf, svg, png and csv, or those given, each atomically; return the paths.

        Raises UserError if a file cannot be written.
        """
        paths = [out.with_name(f"{out.name}.{kind}") for kind in kinds or (*_METADATA, "csv")]
        for place in paths:
            kind = place.suffix.removeprefix(".")
            if kind == "csv":
                with text(place) as file:
                    self.data.to_csv(file, index=False, lineterminator="\n")
                continue
            with replacing(place) as path:
                metadata = _METADATA[kind] | {"Title": self.page.request.title}
                self.page.figure.savefig(path, format=kind, metadata=metadata)
        return paths
