"""The page that every figure shares: title, panels, one legend, caption, each in its own strip of a sheet of paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine

from byzcode.figures.request import Request
from byzcode.figures.style import SMALL, SOFT, TITLE
from byzcode.wholefile import text, whole

#: Inches.
_WIDTHS = {1: 4.8, 2: 6.2}
_WIDTH, _EDGE, _GAP = 7.2, 0.08, 0.1

#: No dates and no versions: the same picture is the same file.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"Creator": "byzcode", "Producer": None, "CreationDate": None},
    "svg": {"Creator": "byzcode", "Date": None},
    "png": {"Software": "byzcode"},
}


class Page:
    """A figure of fixed width whose height follows from what is on it.

    Title, legend and caption are measured and get strips of their own, so that nothing covers anything.
    """

    def __init__(self, request: Request, rows: int, columns: int, *, aspect: float = 0.75, **shared: Any) -> None:
        self.request = request
        self.width = _WIDTHS.get(columns, _WIDTH)
        self.panel_height = float(np.clip(aspect * (self.width - 0.6) / columns, 1.4, 2.8))
        self.figure = Figure(figsize=(self.width, rows * self.panel_height))
        self.canvas = FigureCanvasAgg(self.figure)
        self.axes: list[list[Axes]] = self.figure.subplots(rows, columns, squeeze=False, **shared).tolist()

    def arrange(self, handles: Sequence[Artist], notes: Sequence[str]) -> None:
        """Put title, legend and caption around the panels. ``notes`` follow the caption of the study."""
        figure, rows = self.figure, len(self.axes)
        sns.despine(fig=figure)
        title = figure.text(0, 0, self._wrapped(self.request.title, TITLE, weight="bold"), **_TEXT, size=TITLE)
        title.set(weight="bold", va="top")
        below = [self._wrapped(" ".join([self.request.plot.caption, *notes]), SMALL)]
        if paper := self.request.paper:
            below.append(self._wrapped(f"Source: {paper.source}; our name for its figure: {paper.figure}.", SMALL))
        caption = figure.text(0, 0, "\n".join(below), **_TEXT, size=SMALL, color=SOFT, va="bottom", linespacing=1.25)
        legend = figure.legend(handles=handles, ncols=self._legend_columns(handles), **_LEGEND)

        title_height, legend_height, caption_height = (
            part.get_window_extent().height / figure.dpi for part in (title, legend, caption)
        )
        foot = _EDGE + caption_height + _GAP + legend_height + _GAP
        ceiling = foot + rows * (self.panel_height + 0.2) + 0.22
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
        """Give the panels their sizes, again where something has been added since."""
        engine = ConstrainedLayoutEngine(rect=self._room, w_pad=0.06, h_pad=0.05, wspace=0.02, hspace=0.03)
        engine.execute(self.figure)
        for axes in self.figure.axes:
            # The solver's last bits depend on where its variables lie in memory; files should not.
            axes.set_position(np.round(axes.get_position(original=True).bounds, 4))
            axes.set_in_layout(True)

    def _legend_columns(self, handles: Sequence[Artist]) -> int:
        """As many columns as fit: short rows read across."""
        for columns in range(len(handles), 1, -1):
            trial = self.figure.legend(handles=handles, ncols=columns, **_LEGEND)
            width = trial.get_window_extent().width / self.figure.dpi
            trial.remove()
            rows = -(-len(handles) // columns)
            # The widest that fits, then as few columns as that number of rows needs: the last row is then full.
            if width <= 0.98 * self.width - 2 * _EDGE:
                return -(-len(handles) // rows)
        return 1

    def _wrapped(self, text: str, size: float, weight: str = "normal") -> str:
        """Text in lines that fit the page, measured, not guessed."""
        renderer = self.canvas.get_renderer()  # type: ignore[no-untyped-call]
        font = FontProperties(size=size, weight=weight)
        room = (self.width - 2 * _EDGE) * self.figure.dpi
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            width, _, _ = renderer.get_text_width_height_descent(longer, font, ismath=False)
            if width > room and lines[-1]:
                lines.append(word)
            else:
                lines[-1] = longer
        return "\n".join(lines)


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


@dataclass(frozen=True)
class Drawing:
    """A finished page and the data that it shows."""

    page: Page
    data: pd.DataFrame

    def save(self, out: Path) -> list[Path]:
        """Write ``out`` with the suffixes pdf, svg, png and csv; each file whole or not there. Raises UserError.

        Returns their paths.
        """
        for kind, metadata in _METADATA.items():
            with whole(out.with_name(f"{out.name}.{kind}")) as path:
                self.page.figure.savefig(path, format=kind, metadata=metadata | {"Title": self.page.request.title})
        with text(out.with_name(f"{out.name}.csv")) as file:
            self.data.to_csv(file, index=False, lineterminator="\n")
        return [out.with_name(f"{out.name}.{kind}") for kind in (*_METADATA, "csv")]
