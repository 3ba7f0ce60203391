"""The page that every figure shares: title, panels, one legend, caption, each in its own strip of a sheet of paper."""

from __future__ import annotations

import io
import os
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

from byzcode.errors import UserError
from byzcode.figures.request import Request
from byzcode.figures.style import SMALL, SOFT, TITLE

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
        self.panel_height = float(np.clip(aspect * (self.width - 0.6) / columns, 1.25, 2.8))
        self.figure = Figure(figsize=(self.width, rows * self.panel_height))
        self.canvas = FigureCanvasAgg(self.figure)
        self.axes: list[list[Axes]] = self.figure.subplots(rows, columns, squeeze=False, **shared).tolist()

    def arrange(self, handles: Sequence[Artist], notes: Sequence[str]) -> None:
        """Put title, legend and caption around the panels. ``notes`` follow the caption of the study."""
        figure, rows = self.figure, len(self.axes)
        sns.despine(fig=figure)
        title = self._wrapped(self.request.title, TITLE, weight="bold")
        below = [self._wrapped(" ".join([self.request.plot.caption, *notes]), SMALL)]
        if paper := self.request.paper:
            below.append(self._wrapped(f"Source: {paper.source}; our name for its figure: {paper.figure}.", SMALL))
        caption = "\n".join(below)

        columns = self._legend_columns(handles)
        legend = figure.legend(handles=handles, ncols=columns, **_LEGEND) if handles else None
        legend_height = legend.get_window_extent().height / figure.dpi if legend else 0.0
        title_height, caption_height = _height(title, TITLE), _height(caption, SMALL)
        foot = _EDGE + caption_height + (_GAP + legend_height if legend else 0.0) + _GAP
        total = foot + rows * (self.panel_height + 0.2) + 0.22 + title_height + _EDGE
        figure.set_size_inches(self.width, total)
        left = _EDGE / self.width
        figure.text(left, 1 - _EDGE / total, title, size=TITLE, weight="bold", va="top", parse_math=False)
        figure.text(
            left, _EDGE / total, caption, size=SMALL, color=SOFT, va="bottom", parse_math=False, linespacing=1.3
        )
        if legend:
            legend.set_loc("lower center")
            legend.set_bbox_to_anchor((0.5, (_EDGE + caption_height + _GAP) / total))
        ceiling = total - _EDGE - title_height - _GAP
        figure.set_layout_engine(
            "constrained",
            rect=(left, foot / total, 1 - 2 * left, (ceiling - foot) / total),
            w_pad=0.04,
            h_pad=0.05,
            wspace=0.02,
            hspace=0.03,
        )
        figure.draw_without_rendering()

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
        renderer = self.canvas.get_renderer()
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


def _height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * size * 1.5 / 72


@dataclass(frozen=True)
class Drawing:
    """A finished page and the data that it shows."""

    page: Page
    data: pd.DataFrame

    def save(self, out: Path) -> None:
        """Write ``out`` with the suffixes pdf, svg, png and csv; each file whole or not there. Raises UserError."""
        for kind, metadata in _METADATA.items():
            picture = io.BytesIO()
            self.page.figure.savefig(picture, format=kind, metadata=metadata)
            _write(out.with_name(f"{out.name}.{kind}"), picture.getvalue())
        table = self.data.to_csv(index=False, lineterminator="\n")
        _write(out.with_name(f"{out.name}.csv"), table.encode())


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
