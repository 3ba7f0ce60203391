"""The look of figures: the theme, the lines, and the words for keys, values and quantities."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType

from byzcode.specs.components import in_words
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import METHODS
from byzcode.specs.quantities import metrics
from byzcode.studies.fields import in_digits
from byzcode.studies.letters import BUNDLED
from byzcode.studies.study import LineStyle
from byzcode.training.status import Status

INK, SOFT, GRID = "#1A1A1A", "#555555", "#E6E6E6"

#: Font sizes, in points.
TITLE, PANEL, LABEL, TICK, SMALL = 11.0, 9.5, 9.0, 8.0, 8.0

_THEME: dict[str, Any] = {
    "font.family": list(BUNDLED),
    "mathtext.fontset": "stix",
    "font.size": LABEL,
    "axes.titlesize": PANEL,
    "axes.titlepad": 6.0,
    "axes.labelsize": LABEL,
    "axes.labelpad": 3.0,
    "xtick.labelsize": TICK,
    "ytick.labelsize": TICK,
    "legend.fontsize": LABEL - 0.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.solid_capstyle": "round",
    "lines.dash_capstyle": "butt",
    "errorbar.capsize": 0.0,
    "figure.dpi": 300.0,  # as in saved files: hinted letters have other widths at another dpi
    "pdf.fonttype": 42,  # keep letters as text: journals refuse type 3 fonts
    "svg.fonttype": "path",
    "svg.hashsalt": "byzcode",  # else the ids in the svg are random
}


@contextmanager
def theme() -> Iterator[None]:
    """Draw in our theme, whatever the user's matplotlibrc says, and restore the settings afterwards."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the caption says so
        mpl.rcdefaults()
        mpl.rcParams.update(sns.axes_style("ticks") | sns.plotting_context("paper") | _THEME)
        yield


_DASHES: dict[str, tuple[float, ...]] = {
    "solid": (),
    "dashed": (4.0, 1.5),
    "dotted": (1.0, 1.1),
    "dashdot": (5.0, 1.4, 1.0, 1.4),
}
_UNFILLED = {"x": "X", "+": "P"}


def line_style(style: LineStyle, color: ColorType | None = None, phase: float = 0.0) -> dict[str, Any]:
    """Colour, dashes and width for ``Axes.plot``.

    ``phase``, 0 to 1, shifts the dashes: if two curves coincide, one shows in the gaps of the other.
    """
    dashes = _DASHES[style.dashes]
    pattern: Any = (phase * sum(dashes), dashes) if dashes else "-"
    return {"color": color or style.color, "linestyle": pattern, "linewidth": style.width}


def marker_style(style: LineStyle, color: ColorType | None = None, *, hollow: bool = False) -> dict[str, Any]:
    """The marker for ``Axes.plot``: filled, with a white rim that separates crossing curves; or hollow."""
    shade = color or style.color
    marker = _UNFILLED.get(style.marker, style.marker)
    size = {"*": 6.5, "D": 3.8, "s": 4.2, "P": 5.6, "X": 5.4}.get(marker, 4.8)
    look = {"markerfacecolor": "white", "markeredgecolor": shade, "markeredgewidth": 1.0}
    filled = {"markerfacecolor": shade, "markeredgecolor": "white", "markeredgewidth": 0.5}
    return {"marker": marker, "markersize": size, **(look if hollow else filled)}


#: The marks of early endings of seeds. They differ in shape, and no curve uses them.
MARKS: dict[Status, dict[str, Any]] = {
    Status.DIVERGED: {"marker": "x", "markersize": 6.0, "markeredgewidth": 1.8},
    Status.OVERFLOWED: {"marker": "+", "markersize": 7.5, "markeredgewidth": 1.8},
    Status.POISONED: {"marker": (6, 2, 0), "markersize": 7.5, "markeredgewidth": 1.2},
    Status.UNDEFINED: {"marker": r"$\varnothing$", "markersize": 7.0, "markeredgewidth": 0.3},
}


def mark_style(status: Status, color: ColorType = INK) -> dict[str, Any]:
    """The mark of the early ending of a seed, for ``Axes.plot``."""
    return MARKS[status] | {"linestyle": "none", "color": color}


def mark_legend(endings: Iterable[Status]) -> list[Artist]:
    """The legend entries for the early endings of seeds, each once."""
    present = set(endings)
    return [Line2D([], [], **mark_style(status), label=status.word) for status in MARKS if status in present]


def ramp(levels: int) -> list[ColorType]:
    """Colours for ordered levels, from dark to light also in grey; the lightest is still clear on white."""
    colors = mpl.colormaps["viridis"]
    return [colors(0.8 * place / max(1, levels - 1)) for place in range(levels)]


#: The words for keys of a RunSpec: the symbol in titles, and the label of an axis.
_KEYS = {
    "redundancy": ("$r$", "redundancy $r$"),
    "tasks": ("$d$", "tasks per device $d$"),
    "redundancy_or_tasks": ("$r$ or $d$", "subsets per device, $r$ or $d$"),
    "devices": ("$N$", "number of devices $N$"),
    "problem.subsets": ("$M$", "number of subsets $M$"),
    "problem.dimension": ("$D$", "number of parameters $D$"),
    "problem.samples_per_subset": ("samples per subset", "samples per subset"),
    "problem.sigma_h": (r"$\sigma_H$", r"heterogeneity $\sigma_H$"),
    "problem.label_noise": ("label noise", "standard deviation of the label noise"),
    "byzantine.compressed": ("lies compressed:", "whether lies are compressed"),
    "byzantine.alpha": (r"$\alpha$", r"Byzantine fraction $\alpha$"),
    "assumed_alpha": (r"$\alpha'$", r"assumed Byzantine fraction $\alpha'$"),
    "step_size": (r"$\eta L$", r"step size $\eta L$"),
    "momentum": (r"$\beta$", r"server momentum $\beta$"),
}
#: Keys that titles leave out, because their values are clear by themselves.
_PLAIN = {
    "aggregation",
    "allocation",
    "assignment",
    "attack",
    "byzantine.identities",
    "compression",
    "dtype",
    "encoding",
    "method",
    "pre_aggregation",
    "problem",
}
_VALUES = {
    "True": "yes",
    "False": "no",
    "redrawn": "liars redrawn",
    "persistent": "liars persistent",
    "chosen": "liars chosen",
}


class Quantity(NamedTuple):
    """The words and the formula of a measured quantity. A share is drawn on a linear axis from 0 to 1."""

    words: str
    symbol: str
    share: bool = False


QUANTITIES = {
    "loss": Quantity("training loss", r"$F(\theta)$"),
    "excess_loss": Quantity("excess loss", r"$F(\theta)-F^{\star}$"),
    "aggregation_error": Quantity("aggregation error", r"$\|\hat{g}-\nabla F\|$"),
    "honest_dispersion": Quantity("honest dispersion", r"$(\mathrm{mean}\,\|g_i-\bar{g}\|^2)^{1/2}$"),
    "coding_bias": Quantity("coding bias", r"$\|\bar{g}-\nabla F\|$"),
    "heterogeneity": Quantity("heterogeneity", r"$(\mathrm{mean}\,\|\nabla f_k-\nabla F\|^2)^{1/2}$"),
    "largest_heterogeneity": Quantity("largest heterogeneity", r"$\max\,\|\nabla f_k-\nabla F\|$"),
    "gradient_norm": Quantity("gradient norm", r"$\|\nabla F\|$"),
    "distance_to_optimum": Quantity("distance to optimum", r"$\|\theta-\theta^{\star}\|$"),
    "estimated_f": Quantity("estimated number of liars", r"$\hat{f}$"),
    **{name: Quantity(metric.words, metric.symbol, metric.linear) for name, metric in metrics().items()},
}


class BoundLook(NamedTuple):
    """The words, the meaning and the line style of a bound."""

    words: str
    meaning: str
    line: dict[str, Any]


BOUNDS = {
    "rule": BoundLook(
        "bound by the messages",
        "the rule's constant with dispersion and bias as measured; always holds",
        {"linestyle": "-", "linewidth": 3.2, "alpha": 0.3},
    ),
    "device": BoundLook(
        "bound by the heterogeneity, device by device",
        "every device holds its worst possible subsets; always holds",
        {"linestyle": (0, (7.0, 2.0)), "linewidth": 1.0},
    ),
    "pairs": BoundLook(
        "bound by the largest heterogeneity",
        "by the subsets that any two devices share; always holds",
        {"linestyle": (0, (3.0, 1.0, 1.0, 1.0, 1.0, 1.0)), "linewidth": 1.0},
    ),
    "allocation": BoundLook(
        "bound by the heterogeneity",
        "the worst subsets for the allocation, for any messages; always holds",
        {"linestyle": (0, (1.0, 1.2)), "linewidth": 1.2},
    ),
    "expected": BoundLook(
        "bound in expectation",
        "over tasks that are reassigned, for any messages",
        {"linestyle": (0, (4.0, 1.5)), "linewidth": 1.2},
    ),
}

COSTS = {
    "iteration": "iteration",
    "gradients_computed": "gradients computed\nby all devices",
    "bits_sent": "bits sent\nby all devices",
    "wall_time": "modelled time\nin least times of a gradient",
}


def number(value: float) -> str:
    """A number as text, with a true minus sign."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


_RAISED = str.maketrans("-0123456789", "\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float) -> str:
    """A number in plain text, rounded to one digit, with a power of ten."""
    digit, _, power = f"{value:.0e}".partition("e")
    return f"{digit} \N{MULTIPLICATION SIGN} 10{str(int(power)).translate(_RAISED)}" if value else "0"


def value_words(key: str, value: Any) -> str:
    """The words for a value of a key, without the key. Two numbers that differ have different words."""
    if value is None:
        return "without"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return in_digits(value).replace("-", "\N{MINUS SIGN}")
    if key == "method" and value in METHODS:
        return METHODS[value].title
    name, options, rest = str(value).partition(" (")  # a component of a grid: "name (option value)"
    entry = _table_of(key).get(name)
    words = in_words(name, entry) if entry else _VALUES.get(name, name.replace("_", " "))
    shown = (options + rest).replace("share ", "k/D = ").replace("_", " ").replace(" -", " \N{MINUS SIGN}")
    return literal(words + shown)


def _table_of(key: str) -> Mapping[str, Any]:
    """The table whose entries a key of a run, or an option of a problem, names; empty if it names none."""
    head, _, option = key.partition(".")
    of_options = [entry.tables for entry in COMPONENTS.get(head, {}).values() if hasattr(entry, "tables")]
    return COMPONENTS.get(key) or next((tables[option] for tables in of_options if option in tables), {})


def level_words(key: str | None, value: Any) -> str:
    """The title of a panel for a key at a value; empty without a key."""
    if key is None or value is None:
        return ""
    words = value_words(key, value)
    if key in _PLAIN:
        return words
    label = _label(key)
    symbol = label[0] if label else key.split(".")[-1].replace("_", " ")
    is_name = symbol[0] != "$"
    return f"{symbol} {words}" if is_name else f"{symbol} = {words}"


def axis_words(key: str) -> str:
    """The label of an axis for a key."""
    label = _label(key)
    return label[1] if label else key.replace(".", ", ").replace("_", " ")


def _label(key: str) -> tuple[str, str] | None:
    """The labels of a key in titles and on axes, from a component's entry or from the table above; None without any."""
    table, _, option = key.partition(".")
    entries = COMPONENTS[table].values() if option and table in COMPONENTS else ()
    labels = [getattr(entry, "labels", {}) for entry in entries]
    return next((known[option] for known in labels if option in known), _KEYS.get(key))


def literal(text: str) -> str:
    """Escape dollars in a user's text, so that they do not begin a formula."""
    return text.replace("$", r"\$")
