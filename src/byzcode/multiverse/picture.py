"""The figure of the multiverse: how often each claim is supported, and which choices decide it."""

from __future__ import annotations

import re
import textwrap
from itertools import pairwise
from string import ascii_lowercase
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from byzcode.errors import UserError
from byzcode.figures.page import Drawing, Page
from byzcode.figures.style import INK, SMALL, SOFT, literal, number
from byzcode.figures.words import seeds_of
from byzcode.multiverse.deciding import FALSE_DISCOVERIES
from byzcode.multiverse.stored import VERDICTS, alternatives, each_once
from byzcode.specs.components import in_words
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import METHODS

#: Colours of verdicts, Okabe and Ito's blue and orange, which also differ in grey; and their markers.
_COLORS = {"supported": "#0072B2", "undecided": "#E2E2E2", "refuted": "#E69F00"}
_MARKERS = {"supported": "o", "undecided": "D", "refuted": "X"}
#: Steps of Cramer's V and their colours.
_STEPS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
_SHADES = ("#FAFAFA", *(mpl.colors.to_hex(mpl.colormaps["Purples"](tone)) for tone in (0.25, 0.45, 0.65, 0.95)))

#: Sizes in inches.
_WIDTH, _ROW, _HEAD = 7.2, 0.145, 0.95
_LONGEST = 38
_SMALLEST = 6.5
#: Words that titles of methods and components have in capitals.
_TITLES = [method.title for method in METHODS.values()]
_TITLES += [in_words(name, entry) for table in COMPONENTS.values() for name, entry in table.items()]
_ABBREVIATIONS = {word.lower() for title in _TITLES for word in re.findall(r"\b[A-Z]{2,}\b", title)}


def picture(table: pd.DataFrame, claims: pd.DataFrame, choices: pd.DataFrame) -> Drawing:
    """Draw the results of :mod:`byzcode.multiverse.deciding`, with a row per claim and a column per choice.

    Raises UserError if no reading is random.
    """
    if choices.empty:
        raise UserError("multiverse: no reading of kind random; a picture shows how often verdicts occur among these")
    claims = claims[claims["cell"] == ""]
    letters = {
        choice: dict(zip(values, ascii_lowercase, strict=False)) for choice, values in alternatives(table).items()
    }
    decided = _decided(choices, letters)
    ranked = choices.drop_duplicates("choice").sort_values("rank")["choice"].tolist()
    title = "Which published claims hold under which readings"
    request: Any = SimpleNamespace(  # the parts of a request that a page needs
        title=title,
        heading=title,
        plot=SimpleNamespace(
            caption="The verdict on each claim if the choices that the papers leave open are drawn at random."
        ),
        paper=None,
    )
    page = Page(request, 1, 2, sharey=True, width_ratios=[1, 3.4])
    places = _places(claims)
    page.width, page.panel_height = _WIDTH, _HEAD + _ROW * (max(places.values()) + 1)
    bars, grid = page.axes[0]
    _bars(bars, claims, places)
    _grid(grid, decided, ranked, places)
    _rows(bars, places)
    page.arrange(_legend(), _notes(table, ranked, letters))
    data = claims[["study", "claim", "readings", *VERDICTS, "supported_low", "supported_high", "primary"]]
    return Drawing(page, data.merge(decided, on=["study", "claim"]))


def _decided(choices: pd.DataFrame, letters: dict[str, dict[str, str]]) -> pd.DataFrame:
    """One row per claim and choice, with the value that supports the claim most often (ties: refutes it least)."""
    best = choices.sort_values(["supported", "refuted"], ascending=[False, True], kind="stable")
    best = best.drop_duplicates(["study", "claim", "choice"]).sort_index()
    columns = best[["study", "claim", "choice", "rank", "mean_v", "v", "q", "decides"]]
    marks = [letters[choice].get(value, "*") for choice, value in zip(best["choice"], best["value"], strict=True)]
    return columns.assign(holds_most_at=best["value"], letter=marks)


def _places(claims: pd.DataFrame) -> dict[tuple[str, str], int]:
    """The row of each claim and heading; a heading is a claim without a name, and row 0 is the mean of all claims."""
    places = {("", ""): 0}
    for study, claim in zip(claims["study"], claims["claim"], strict=True):
        if (study, "") not in places:
            places[study, ""] = len(places)
        places[study, claim] = len(places)
    return places


def _bars(axes: Axes, claims: pd.DataFrame, places: dict[tuple[str, str], int]) -> None:
    """Draw the shares of verdicts, and beside them the verdict under the primary reading."""
    rows = [places[key] for key in zip(claims["study"], claims["claim"], strict=True)]
    shares = np.vstack([claims[list(VERDICTS)].mean().to_numpy(), claims[list(VERDICTS)].to_numpy()])
    left = np.zeros(len(shares))
    for verdict, share in zip(VERDICTS, shares.T, strict=True):
        axes.barh([0, *rows], share, left=left, height=0.72, color=_COLORS[verdict], linewidth=0)
        left += share
    axes.hlines(rows, claims["supported_low"], claims["supported_high"], color=INK, linewidth=0.9)
    for row, verdict in zip(rows, claims["primary"], strict=True):
        axes.plot(1.13, row, **_marker(verdict))
    axes.set(xlim=(0, 1.22), xticks=[0, 0.5, 1], xticklabels=["0", "50", "100 %"])
    axes.text(1.13, -0.75, "primary", rotation=55, size=SMALL - 1, ha="left", va="bottom", rotation_mode="anchor")
    axes.set_xlabel("share of random readings", size=SMALL)
    axes.grid(visible=False)


def _grid(axes: Axes, decided: pd.DataFrame, ranked: list[str], places: dict[tuple[str, str], int]) -> None:
    """Draw how much each choice decides each claim, and the value with which the claim is supported most often."""
    squares, colors = [], []
    means = decided.drop_duplicates("choice").assign(study="", claim="", decides=False)
    means["v"] = means["mean_v"]
    for _, cell in pd.concat([means, decided]).iterrows():
        column, row = ranked.index(cell["choice"]), places[cell["study"], cell["claim"]]
        shade = _SHADES[_step(cell["v"])]
        squares.append(Rectangle((column - 0.47, row - 0.45), 0.94, 0.9))
        colors.append(shade)
        words = cell["letter"] if cell["decides"] else _hundredths(cell["v"]) if row == 0 else ""
        ink = INK if _step(cell["v"]) < 3 else "white"
        axes.text(column, row, words, size=_SMALLEST if row == 0 else SMALL - 0.5, color=ink, **_CENTRED)
    axes.add_collection(PatchCollection(squares, facecolors=colors, linewidths=0))
    varies = decided["v"].notna().groupby([decided["study"], decided["claim"]]).any()
    for key in varies.index[~varies]:
        words = "the verdict is the same in all random readings"
        axes.text((len(ranked) - 1) / 2, places[key], words, size=_SMALLEST, color=SOFT, style="italic", **_CENTRED)
    axes.set(xlim=(-0.5, len(ranked) - 0.5), xticks=range(len(ranked)))
    axes.xaxis.tick_top()
    axes.set_xticklabels([_words(choice) for choice in ranked], rotation=55, ha="left", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0, pad=1, labelsize=SMALL - 0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("choices, most decisive first", size=SMALL)
    axes.xaxis.set_label_position("bottom")
    axes.grid(visible=False)
    axes.spines[:].set_color("none")


def _rows(axes: Axes, places: dict[tuple[str, str], int]) -> None:
    """Write the names of claims, and in bold above them the names of their studies."""
    names = [_words(claim) if claim else literal(study) or "mean over all claims" for study, claim in places]
    axes.set_yticks(list(places.values()), names, size=SMALL - 0.5)
    for (_, claim), label in zip(places, axes.get_yticklabels(), strict=True):
        label.set_fontweight("normal" if claim else "bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(places.values()) + 0.6, -0.6)
    axes.spines["left"].set_color("none")


def _legend() -> list[Artist]:
    shares = [Patch(color=_COLORS[verdict], label=verdict) for verdict in VERDICTS]
    primary = [
        Line2D([], [], **_marker(verdict), linestyle="none", label=f"{verdict} under the primary")
        for verdict in VERDICTS
    ]
    interval = Line2D([], [], color=INK, linewidth=0.9, label="95 % interval of supported")
    bounds = [f"{number(low)} to {number(high)}" for low, high in pairwise(_STEPS)]
    steps = [
        Patch(facecolor=shade, edgecolor=SOFT, linewidth=0.4, label=f"$V$ {words}")
        for shade, words in zip(_SHADES, bounds, strict=True)
    ]
    return [*shares, *primary, interval, *steps]


def _notes(table: pd.DataFrame, ranked: list[str], letters: dict[str, dict[str, str]]) -> list[str]:
    once = each_once(table)
    heads = once.drop_duplicates("reading")
    counts = heads["kind"].value_counts()
    sizes = " and ".join(sorted(set(heads["size"])))
    key = "; ".join(
        f"{_words(choice)}: {', '.join(f'{letter}={_value(value)}' for value, letter in letters[choice].items())}"
        for choice in ranked
    )
    return [
        f"Left: verdicts over {counts.get('random', 0)} readings in which all choices are drawn at random "
        f"({sizes} size, {seeds_of(once['seeds'].dropna().astype(int))}); a claim tested in several cells is "
        "supported if all are supported and refuted if one is refuted; the intervals are Wilson's.",
        "Right: how much each choice decides the verdict over the same readings, averaged over the other choices, as "
        "Cramer's V, corrected for bias (0: not at all; 1: alone); choices are sorted by their mean over all claims.",
        "Letters mark effects beyond chance (permutation test, false discovery rate "
        f"{FALSE_DISCOVERIES:g} over all squares) and name the value with which the claim is supported most often; "
        f"a is the primary's value. The values: {key}.",
    ]


def _marker(verdict: str) -> dict[str, Any]:
    rim = {"markeredgecolor": INK, "markeredgewidth": 0.5, "clip_on": False}
    size = {"supported": 4.6, "undecided": 3.8, "refuted": 5.2}[verdict]
    return {"marker": _MARKERS[verdict], "markersize": size, "markerfacecolor": _COLORS[verdict], **rim}


def _step(v: float) -> int:
    """The colour step of a value of V; the first for NaN."""
    return 0 if np.isnan(v) else int(np.clip(np.searchsorted(_STEPS, v, side="right") - 1, 0, len(_SHADES) - 1))


def _hundredths(v: float) -> str:
    """A value of V in two digits, as ".25"; "1" if it rounds to 1."""
    return "1" if v >= 0.995 else f"{v:.2f}".removeprefix("0")


def _words(name: str) -> str:
    """The name of a claim or a choice as the label of a row or column."""
    words = " ".join(word.upper() if word in _ABBREVIATIONS else word for word in re.split("[-_ ]+", name))
    return literal(textwrap.shorten(words, _LONGEST, placeholder=" \N{HORIZONTAL ELLIPSIS}"))


def _value(value: str) -> str:
    """The name of an alternative, with true minus signs."""
    return literal(re.sub(r"(?<!\w)-(?=[\d.])", "\N{MINUS SIGN}", value))


_CENTRED: dict[str, Any] = {"ha": "center", "va": "center_baseline", "clip_on": True}
