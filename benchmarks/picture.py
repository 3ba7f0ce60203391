"""The picture of the benchmarks: whole runs against other codes and the floor, and growth with N, M and D.

python benchmarks/picture.py [results/benchmarks.csv]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from byzcode.figures.style import SMALL, SOFT, TITLE, theme
from byzcode.storage.atomic import replacing

#: Codes, from quick to slow, their words and marks.
CODES = {
    "floor": ("floor: reading the bytes once", "|"),
    "byzcode": ("byzcode", "o"),
    "byzfl, batched": ("byzfl's rules on batched gradients", "s"),
    "plain": ("plain torch loop over devices", "D"),
    "byzfl": ("byzfl's Client and Server", "^"),
}
#: Of each case the least time is marked; a line leads to the median of the rounds.
CAPTION = (
    "CPU time on one core; marks: best of the rounds, lines: up to their median. "
    "Left: amortised over 2,000 iterations. Right: from N = 100, M = 1000, D = 100, r = 40."
)


def draw(table: pd.DataFrame) -> Figure:
    with theme():
        figure = Figure(figsize=(9.6, 3.9), layout="constrained")
        FigureCanvasAgg(figure)
        colors = dict(zip(CODES, sns.color_palette("colorblind", len(CODES)), strict=True))
        colors["floor"], colors["byzcode"] = (0.35, 0.35, 0.35), sns.color_palette("colorblind")[0]
        left, right = figure.subplots(1, 2, width_ratios=[1.7, 1.0])
        _runs(left, table[table.family == "run"], colors)
        _growth(right, table[(table.family == "growth") & (table.code == "byzcode")])
        sns.despine(fig=figure)
        figure.suptitle("How long one iteration of one run takes", x=0.01, ha="left", size=TITLE, weight="bold")
        figure.supxlabel(CAPTION, x=0.01, ha="left", size=SMALL, color=SOFT)
        return figure


def _runs(axes: Axes, runs: pd.DataFrame, colors: dict[str, tuple[float, float, float]]) -> None:
    names = list(dict.fromkeys(runs.case))
    words = [name.replace("_", " ").replace(" random k,", " random-k,\n").replace("nnm", "NNM") for name in names]
    ours = runs[runs.code == "byzcode"]
    floors = ours.assign(code="floor", best_us=ours.best_us / ours.this_over_floor, median_us=float("nan"))
    every = pd.concat([runs, floors])
    for code, (label, marker) in CODES.items():
        rows = every[every.code == code]
        places = [names.index(name) for name in rows.case]
        axes.hlines(places, rows.best_us, rows.median_us, color=colors[code], linewidth=1.4)
        size = 90 if marker == "|" else 26
        axes.scatter(rows.best_us, places, size, color=[colors[code]], marker=marker, label=label, zorder=3)
    axes.set(xscale="log", xlabel="microseconds a run-iteration", yticks=range(len(names)), yticklabels=words)
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.35, 1.0), ncols=2, fontsize=SMALL)


def _growth(axes: Axes, growth: pd.DataFrame) -> None:
    parts = growth.case.str.extract(r"(?P<rule>.*), (?P<letter>\w) = (?P<size>\d+)")
    growth = growth.assign(**parts)
    ladders = list(growth.groupby(["rule", "letter"], sort=False))
    for ((rule, letter), rows), color, marker in zip(
        ladders, sns.color_palette("colorblind", len(ladders)), "osD^v", strict=False
    ):
        sizes = rows["size"].astype(int)
        label = f"{letter} grows, {rule}".replace("_", " ").replace("nnm", "NNM")
        axes.plot(sizes / sizes.min(), rows.best_us, color=color, marker=marker, markersize=4, label=label)
    axes.set(xscale="log", yscale="log", xlabel="times the size of the paper", ylabel="microseconds a run-iteration")
    axes.set_xticks([10.0**power for power in range(5)])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, fontsize=SMALL)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, comment="#")


def save(path: Path) -> Path:
    """Draw a table of benchmarks beside it."""
    out = path.with_suffix(".png")
    with replacing(out) as temporary:
        draw(read(path)).savefig(temporary, format="png", dpi=160, metadata={"Software": "byzcode"})
    return out


if __name__ == "__main__":
    print(save(Path(re.sub(r"\.png$", ".csv", sys.argv[1]) if len(sys.argv) > 1 else "results/benchmarks.csv")))
