"""Histograms of overlaps and replications, beside their expected distributions and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from byzcode.allocation import ALLOCATIONS
from byzcode.allocation.laws import Law
from byzcode.analysis.spread import spread
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Request, distinct
from byzcode.figures.style import INK, SOFT, TICK, level_words, number, value_words
from byzcode.figures.words import listing, lone_seed, seeds_of
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage import allocations
from byzcode.storage.layout import STAGES

_BAR = "#9CC3DC"
_LAW: dict[str, Any] = {"color": INK, "linewidth": 0.8, "marker": "o", "markersize": 1.5}
_TARGET: dict[str, Any] = {"color": "#D55E00", "linewidth": 1.3, "linestyle": (0, (4, 1.5))}
#: Counts below this fraction of the most frequent count are not drawn.
_RARE = 1e-3
_OVERLAP = ("subsets shared\nby two devices", "share of pairs")
_REPLICATION = ("devices that\nhold a subset", "share of subsets")
#: The smallest number of counts that a panel spans.
_LEAST = 5.0
#: Up to this many allocations get a row each; more are drawn two per row.
_LINES = 3


@dataclass(frozen=True)
class Counts:
    """A histogram: the share of each count per seed, the target and the expected distribution."""

    quantity: str
    shares: NDArray[np.float64]  # (R, number of counts), each row sums to 1
    target: float
    law: Law | None
    note: str

    @property
    def is_known(self) -> bool:
        """Whether there are counts; a single device has no pairs."""
        return bool(np.isfinite(self.shares).all())

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over seeds."""
        mean: NDArray[np.float64] = self.shares.mean(axis=0)
        return mean

    @property
    def expected(self) -> NDArray[np.float64]:
        """The expected share of each count; NaN without a law."""
        counts = range(self.shares.shape[1])
        return np.array([self.law(count) if self.law else np.nan for count in counts])


@dataclass(frozen=True)
class Stored:
    """An allocation file and the curves that use it."""

    spec: AllocationSpec
    labels: list[str]
    overlap: Counts
    replication: Counts


def allocation(request: Request, results: Path) -> Drawing:
    """Draw ``kind: allocation``. Raises UserError."""
    users: dict[str, list[str]] = {}
    for curve in request.curves:
        for run in curve.runs:
            look = next(look for look in curve.looks if run.method in look.methods)
            users.setdefault(run.allocation, []).append(look.label)
    stored = [_read(STAGES["allocate"].path(results, name), name, distinct(labels)) for name, labels in users.items()]
    abreast = 1 if len(stored) <= _LINES else 2
    page = Page(request, -(-len(stored) // abreast), 2 * abreast, aspect=0.5 if abreast == 1 else 0.85)
    pairs = [(row[2 * place], row[2 * place + 1]) for row in page.axes for place in range(abreast)]
    for pair in pairs[len(stored) :]:
        for axes in pair:
            axes.remove()
    titles = _titles([entry.spec for entry in stored])
    for entry, (left, right), title in zip(stored, pairs, titles, strict=False):
        if entry.overlap.is_known:
            _draw(left, entry.overlap, page.panel_height)
        else:
            page.nothing_in(left)
            left.set(xticks=[], yticks=[])
        _draw(right, entry.replication, page.panel_height)
        for axes, (x, y) in ((left, _OVERLAP), (right, _REPLICATION)):
            axes.set_title(title)
            axes.set_xlabel(x if abreast > 1 else x.replace("\n", " "), linespacing=0.95)
            axes.set_ylabel(y)
    page.arrange(_legend(stored), _notes(stored, titles))
    tables = [_table(name, entry, counts) for name, entry in zip(users, stored, strict=True) for counts in _both(entry)]
    return Drawing(page, pd.concat(tables))


def _read(path: Path, name: str, labels: list[str]) -> Stored:
    """Read an allocation. Raises UserError."""
    stored = allocations.load(path, name)
    spec, dataset = stored.spec, stored.dataset()
    devices, subsets, redundancy = spec.devices, spec.subsets, spec.redundancy
    form = ALLOCATIONS[spec.allocation.name].laws
    known = form(devices, subsets, redundancy, **spec.allocation.options) if form else None
    pairs = dataset["overlap_count"].to_numpy().astype(float)
    copies = dataset["replication"].to_numpy()
    counts = np.array([np.bincount(row, minlength=copies.max() + 1) for row in copies])
    missed = f"uncovered {number(round(float(dataset['uncovered'].mean()), 1))}"
    if known:
        missed += f"\nexpected {number(round(subsets * known.replication(0), 1))}"
    return Stored(
        spec,
        labels,
        Counts(
            "overlap",
            pairs / pairs.sum(axis=1, keepdims=True) if devices > 1 else np.full_like(pairs, np.nan),
            redundancy**2 / subsets,
            known and known.overlap,
            _moments(dataset, "overlap"),
        ),
        Counts(
            "replication",
            counts / subsets,
            devices * redundancy / subsets,
            known and known.replication,
            f"{_moments(dataset, 'replication')}\n{missed}",
        ),
    )


def _moments(dataset: Any, quantity: str) -> str:
    mean, std = (float(dataset[f"{quantity}_{part}"].mean()) for part in ("mean", "std"))
    return f"{mean:.2f} ± {std:.2f}"


def _draw(axes: Axes, counts: Counts, height: float) -> None:
    mean, expected = counts.mean, counts.expected
    high = max(mean.max(), np.nanmax(expected, initial=0.0))
    expected = np.where(expected > _RARE * high, expected, np.nan)
    shown = np.flatnonzero((mean > _RARE * high) | np.isfinite(expected))
    first, last = min(shown[0], counts.target), max(shown[-1], counts.target)
    places = np.arange(len(mean))
    over = spread(counts.shares)
    axes.bar(places, mean, width=0.8, color=_BAR, zorder=2)
    axes.vlines(places[mean > 0], over.low[mean > 0], over.high[mean > 0], color=SOFT, linewidth=0.8, zorder=3)
    joined = np.isfinite(expected).sum() > 2  # do not join fewer points
    axes.plot(places, expected, **_LAW | ({} if joined else {"linestyle": "none"}), zorder=4)
    axes.vlines(counts.target, 0, 1.1 * high, **_TARGET, zorder=5)
    # Reserve the top of the panel for three lines of text.
    axes.set_ylim(0, 1.1 * high / (1 - 3.6 * TICK / (0.7 * 72 * height)))
    axes.text(0.98, 0.98, counts.note, transform=axes.transAxes, ha="right", va="top", size=TICK, linespacing=1.15)
    wider = max(0.0, _LEAST - (last - first))  # a single count should not fill its panel
    begin = max(0.0, first - wider / 2)
    axes.set_xlim(begin - 0.7, max(last, begin + _LEAST) + 0.7)
    axes.xaxis.set_major_locator(MultipleLocator(max(1, round((last - first) / 5))))
    axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1]) if high > 0.6 else MaxNLocator(nbins=4))
    axes.grid(visible=False, axis="x")


def _titles(specs: Sequence[AllocationSpec]) -> list[str]:
    """Titles that distinguish the allocations: the redundancy, and all else that differs."""

    def parts(spec: AllocationSpec) -> dict[str, str]:
        options = {key: f"{key} {value}" for key, value in spec.allocation.options.items()}
        sizes = {"N": f"$N$ = {spec.devices}", "M": f"$M$ = {spec.subsets}"}
        return {"name": value_words("allocation", spec.allocation.name)} | options | sizes

    described = [parts(spec) for spec in specs]
    common = [key for key in described[0] if all(key in other for other in described)]
    differing = [key for key in common if len({other[key] for other in described}) > 1]
    return [
        ", ".join([*(words[key] for key in differing), level_words("redundancy", spec.redundancy)])
        for words, spec in zip(described, specs, strict=True)
    ]


def _legend(stored: Sequence[Stored]) -> list[Artist]:
    handles: list[Artist] = [Patch(color=_BAR, label="as drawn")]
    if any(entry.overlap.law for entry in stored):
        handles.append(Line2D([], [], **_LAW, label="expected distribution"))
    handles.append(Line2D([], [], **_TARGET, label="balanced: $r^2/M$ shared, $N\\,r/M$ copies"))
    return handles


def _notes(stored: Sequence[Stored], titles: Sequence[str]) -> list[str]:
    seeds = [len(entry.overlap.shares) for entry in stored]
    notes = [
        f"Bars: mean over {seeds_of(seeds)}; whiskers: interquartile range over seeds. Numbers: mean ± standard "
        "deviation within one allocation, and the number of subsets that no device holds, with its expectation.",
        *lone_seed("whisker", seeds),
    ]
    if not all(entry.overlap.is_known for entry in stored):
        notes.append("A single device has no pairs, so no subsets are shared.")
    if len({label for entry in stored for label in entry.labels}) > 1:
        pairs = zip(stored, titles, strict=True)
        users = [f"{listing(entry.labels)} ({title.replace('$', '')})" for entry, title in pairs]
        notes.append(f"Curves that use them: {'; '.join(users)}.")
    return notes


def _both(stored: Stored) -> tuple[Counts, Counts]:
    return stored.overlap, stored.replication


def _table(name: str, stored: Stored, counts: Counts) -> pd.DataFrame:
    over = spread(counts.shares)
    return pd.DataFrame(
        {
            "allocation": name,
            "scheme": stored.spec.allocation.name,
            "devices": stored.spec.devices,
            "subsets": stored.spec.subsets,
            "redundancy": stored.spec.redundancy,
            "quantity": counts.quantity,
            "x": np.arange(counts.shares.shape[1]),
            "mean": counts.mean,
            "median": over.median,
            "q25": over.low,
            "q75": over.high,
            "expected": counts.expected,
            "seeds": len(counts.shares),
        }
    )
