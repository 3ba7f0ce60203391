"""Which method, redundancy, rule and compressor to use: what the bounds say fits a budget, and what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from byzcode.aggregation import RULES
from byzcode.bounds import (
    Expected,
    compressed,
    random_labels,
    rule_constant,
    sampled_lists,
    spectral,
    weights_of,
)
from byzcode.coding import DECODERS
from byzcode.compression.kept import kept_of, place_bits
from byzcode.errors import UserError, complain
from byzcode.methods import METHODS
from byzcode.studies.spec import RunSpec
from byzcode.theory import DELTA, KAPPA

#: Bits of one number in a message.
NUMBER = 32
#: The weights of so many pairs of a device and a subset are looked at; more are refused.
LARGEST = 4 * 10**7
#: A run whose redundancy is this factor away is no measurement of what is recommended.
FARTHEST = 2.0
#: Quantisers that are tried, by their levels.
_LEVELS = tuple(2**power for power in range(13))
_TITLES = {"trimmed_mean": "trimmed mean", "geometric_median": "geometric median"}


@dataclass(frozen=True)
class Need:
    """What is asked for. Budgets are for an iteration of all devices together; no bits stand for no limit.

    ``heterogeneity`` is betahat, the root mean squared distance of the subsets' gradients from the true one.
    """

    devices: int
    alpha: float
    heterogeneity: float
    gradients: int
    bits: int | None
    subsets: int
    dimension: int

    @property
    def f(self) -> int:
        """The number of liars, alpha N rounded half up, as in a run."""
        return int(round(self.alpha * self.devices, 9) + 0.5)

    @property
    def share(self) -> int:
        """How many subsets each device can hold."""
        return min(self.gradients // self.devices, self.subsets)

    @property
    def message(self) -> float:
        """How many bits each device can send."""
        return math.inf if self.bits is None else self.bits // self.devices


@dataclass(frozen=True)
class Shortening:
    """A compressor, and the bits of its message."""

    name: str
    options: Mapping[str, Any]
    bits: int

    @property
    def words(self) -> str:
        """As a table says it."""
        if self.name == "identity":
            return "none"
        said = [f"{key} {value:.3g}" if key == "share" else f"{key} {value}" for key, value in self.options.items()]
        return f"{self.name} ({', '.join(said)})" if said else self.name


@dataclass(frozen=True)
class Advice:
    """A configuration: its floors of ||grad F||^2, expected and in the worst case (None: not known), and its cost.

    Where lists are ``kept`` the expectation is that of the start, when nothing has been fitted to them yet.
    """

    method: str
    redundancy: int
    rule: str
    before: str
    shortening: Shortening
    floor: float
    worst: float | None
    kept: bool
    gradients: int
    bits: int
    reason: str

    @property
    def title(self) -> str:
        """The method, and what is in front of its rule."""
        return METHODS[self.method].title + (" behind NNM" if self.before == "nnm" else "")

    @property
    def curve(self) -> dict[str, Any]:
        """The fields of a run that it settles, as a curve of a study has them."""
        fields: dict[str, Any] = {"method": self.method, "redundancy": self.redundancy}
        if METHODS[self.method].server == "rule":
            fields |= {"pre_aggregation": self.before, "aggregation": self.rule}
        if self.shortening.name != "identity":
            fields["compression"] = {"name": self.shortening.name, **self.shortening.options}
        return fields


def need(
    devices: int,
    alpha: float,
    heterogeneity: float,
    gradients: int,
    bits: int | None = None,
    subsets: int | None = None,
    dimension: int = 100,
) -> Need:
    """What is asked for, checked. Raises UserError where it is wrong or nothing can meet it."""
    asked = Need(devices, alpha, heterogeneity, gradients, bits, devices if subsets is None else subsets, dimension)
    wrong = _complaint(asked)
    if wrong is not None:
        raise complain("byzcode recommend", *wrong)
    return asked


def _complaint(asked: Need) -> tuple[str, object, str] | None:
    devices = asked.devices
    for key, value in (("--devices", devices), ("--dimension", asked.dimension)):
        if value < 1:
            return key, value, "allowed: 1 or more"
    if not 0 <= asked.alpha < 0.5:
        return "--alpha", asked.alpha, "allowed: 0 to less than 1/2; no server can tell who lies if half of them do"
    if 2 * asked.f >= devices:
        return "--alpha", asked.alpha, f"f = {asked.f} of {devices} devices lie, rounded half up: no minority"
    if not (0 <= asked.heterogeneity < math.inf):
        return "--heterogeneity", asked.heterogeneity, "allowed: 0 or more, a finite number"
    if asked.subsets < devices:
        return "--subsets", asked.subsets, f"allowed: {devices} or more, one for each device"
    if asked.subsets * devices > LARGEST:
        return "--subsets", asked.subsets, f"allowed: up to {LARGEST // devices} for {devices} devices"
    if asked.gradients < devices:
        return "--budget-gradients", asked.gradients, f"allowed: {devices} or more, one gradient for each device"
    least = NUMBER * devices
    if asked.bits is not None and asked.bits < least:
        reason = f"allowed: {least} or more; no compressor sends less than a number of {NUMBER} bits for each device"
        return "--budget-bits", asked.bits, reason
    return None


# --- what there is to choose from ------------------------------------------------------------------------------------


def shortenings(dimension: int, most: float) -> Iterator[Shortening]:
    """The unbiased compressors whose messages have a known length, at most ``most`` bits; nothing first."""
    found = [Shortening("identity", {}, NUMBER * dimension), Shortening("natural", {}, 9 * dimension)]
    found += [Shortening("qsgd", {"levels": s}, NUMBER + dimension * (1 + s.bit_length())) for s in _LEVELS]
    for mask, entry in (("independent", NUMBER + place_bits(dimension)), ("shared", NUMBER)):
        kept = min(int(min(most, NUMBER * dimension) // entry), dimension - 1)
        if kept >= 1:
            share = kept / dimension
            found.append(Shortening("random_k", {"share": share, "mask": mask}, entry * kept_of(dimension, share)))
    return (one for one in found if one.bits <= min(most, NUMBER * dimension))


@dataclass(frozen=True)
class _Lists:
    """A way to hold subsets: E dispersion^2 and bias^2, the worst case, and when the expectation holds."""

    redundancy: int
    expected: Expected
    spectral: float
    words: str


def _uncoded(asked: Need) -> _Lists | str:
    redundancy = min(asked.share, asked.subsets // asked.devices)
    weights = _weights(asked, "rba_dl", redundancy)
    left = asked.subsets - redundancy * asked.devices
    words = f"{redundancy} of its own to each device" + (f", {left} subsets to none" if left else "")
    return _Lists(redundancy, random_labels(weights, asked.f), float(spectral(weights)), words)


def _sampled(asked: Need) -> _Lists | str:
    if asked.share < 2:
        return f"it needs 2 gradients a device, {2 * asked.devices} in all"
    expected = sampled_lists(asked.devices, asked.subsets, asked.share, asked.f)
    worst = float(spectral(_weights(asked, "cra_dl", asked.share)))
    return _Lists(asked.share, expected, worst, f"{asked.share} drawn by each device")


def _cyclic(asked: Need) -> _Lists | str:
    size, rest = divmod(asked.subsets, asked.devices)
    if rest:
        return f"it needs a multiple of {asked.devices} subsets; got {asked.subsets}"
    tasks = asked.share // size
    if tasks < 2:
        return f"it needs 2 tasks of {size} gradients a device, {2 * size * asked.devices} in all"
    weights = _weights(asked, "lad", tasks * size)
    words = f"{tasks} tasks a device, assigned anew in each iteration"
    return _Lists(tasks * size, random_labels(weights, asked.f), float(spectral(weights)), words)


_METHODS: dict[str, Callable[[Need], _Lists | str]] = {"rba_dl": _uncoded, "cra_dl": _sampled, "lad": _cyclic}
#: The same method where messages are compressed.
_SHORT = {"lad": "com_lad"}


def _weights(asked: Need, method: str, redundancy: int) -> Any:
    spec = RunSpec.parse(
        {
            "method": method,
            "problem": {"name": "linear_regression", "subsets": asked.subsets, "dimension": asked.dimension},
            "devices": asked.devices,
            "redundancy": redundancy,
            "aggregation": "median",
            "byzantine": {"alpha": asked.alpha},
            "seeds": [0],
        },
        "byzcode recommend",
    )
    return weights_of(spec)[0]


# --- what is best ----------------------------------------------------------------------------------------------------


def recommend(asked: Need) -> tuple[list[Advice], list[str]]:
    """Configurations that fit the budgets, the least floor first; and why methods that are not among them are not.

    Of each method the best rule without and with nearest neighbour mixing, each with its best compressor. Raises
    UserError where nothing has a bound.
    """
    found, refused = _exact(asked)
    for name, hold in _METHODS.items():
        lists = hold(asked)
        if isinstance(lists, str):
            refused.append(f"{METHODS[name].title}: {lists}.")
            continue
        for before in ("none", "nnm"):
            found.append(min(_ruled(asked, name, lists, before), key=_order))
    bounded = sorted((one for one in found if math.isfinite(one.floor)), key=_order)
    refused += [
        f"{one.title}: no bound; with what fits into the bits the error may be as large as the gradient."
        for one in found
        if not math.isfinite(one.floor)
    ]
    if not bounded:
        raise UserError("byzcode recommend: nothing that fits has a bound: " + " ".join(refused))
    return bounded, refused


def _order(one: Advice) -> tuple[float, float, int, int, bool]:
    worst = math.inf if one.worst is None else one.worst
    return one.floor, worst, one.gradients, one.bits, one.before != "none"


def _exact(asked: Need) -> tuple[list[Advice], list[str]]:
    """DRACO with the fewest copies that bear f liars, where these fit."""
    found, refused = [], []
    for name, numbers in (("draco_repetition", 1), ("draco_cyclic", 2)):
        title, decoder = METHODS[name].title, DECODERS[METHODS[name].decoder]
        copies = 2 * asked.f + 1
        least = -(-asked.subsets * copies // asked.devices)
        sizes = [
            r
            for r in range(least, asked.subsets + 1)
            if asked.subsets % r == 0 or r * asked.devices % asked.subsets == 0
        ]
        bits = numbers * NUMBER * asked.dimension
        redundancy = next(
            (
                r
                for r in sizes
                if decoder.refuses(asked.devices, asked.subsets, r) is None
                and decoder.bears(asked.devices, asked.subsets, r) >= asked.f
            ),
            None,
        )
        if redundancy is None:
            refused.append(f"{title}: no size of it has {copies} copies of each of {asked.subsets} subsets.")
        elif redundancy * asked.devices > asked.gradients:
            reason = f"{copies} copies of each subset are {redundancy * asked.devices} gradients"
            refused.append(f"{title}: {reason}, more than {asked.gradients}.")
        elif bits > asked.message:
            refused.append(f"{title}: its messages are {bits * asked.devices} bits, whole, more than {asked.bits}.")
        else:
            found.append(
                Advice(
                    name,
                    redundancy,
                    "",
                    "none",
                    Shortening("identity", {}, bits),
                    0.0,
                    0.0,
                    False,
                    redundancy * asked.devices,
                    bits * asked.devices,
                    f"{copies} copies of each subset fit, so the gradient is decoded exactly.",
                )
            )
    return found, refused


def _ruled(asked: Need, name: str, lists: _Lists, before: str) -> Iterator[Advice]:
    """A method with every rule and every compressor that fits, behind a pre-aggregator."""
    honest, unit = asked.devices - asked.f, asked.heterogeneity**2
    for rule in (*KAPPA, "mean"):
        kappa = rule_constant(rule, before, asked.devices, asked.f)
        if kappa is None or RULES[rule].most_liars(asked.devices) < asked.f:
            continue
        for short in shortenings(asked.dimension, asked.message):
            delta = DELTA[short.name](asked.dimension, **short.options)
            expected = compressed(lists.expected, delta, honest, shared=short.options.get("mask") == "shared")
            factor = float(expected.floor(kappa))
            whole = short.name == "identity"
            yield Advice(
                method=name if whole else _SHORT.get(name, name),
                redundancy=lists.redundancy,
                rule=rule,
                before=before,
                shortening=short,
                floor=factor * unit if math.isfinite(factor) else factor,
                worst=(kappa + 1) / honest * lists.spectral * unit if whole else None,
                kept=name != "lad",
                gradients=asked.devices * lists.redundancy,
                bits=asked.devices * short.bits,
                reason=_reason(asked, lists, rule, before, kappa, short, delta),
            )


def _reason(asked: Need, lists: _Lists, rule: str, before: str, kappa: float, short: Shortening, delta: float) -> str:
    variance = float(lists.expected.dispersion[0] + lists.expected.bias[0])
    told = f"{lists.words[0].upper()}{lists.words[1:]}: a message is off by {variance:.3g} of S² on average"
    of = f"{_title(rule)} behind NNM" if before == "nnm" else f"the {_title(rule)}"
    told += f", of which {of} leaves at most κ = {kappa:.3g} times the spread"
    if short.name != "identity":
        told += f"; {short.words} adds δ = {delta:.3g} of what is sent"
    return told + "."


def _title(rule: str) -> str:
    return _TITLES.get(rule, rule)


# --- what was measured -----------------------------------------------------------------------------------------------

#: What a summary must have to be of use here.
_COLUMNS = (
    "devices",
    "alpha",
    "method",
    "redundancy",
    "aggregation",
    "pre_aggregation",
    "compression",
    "attack",
    "gradient_norm_median",
    "heterogeneity_median",
)


def measurements(results: Path, asked: Need) -> pd.DataFrame:
    """The rows of all summaries in ``results`` with as many devices and liars; files that do not serve are passed."""
    tables = []
    for path in sorted((results / "summaries").glob("*.csv")):
        try:
            table = pd.read_csv(path)
        except (OSError, ValueError):
            continue
        if set(_COLUMNS) <= set(table.columns):
            tables.append(table[list(_COLUMNS)])
    if not tables:
        return pd.DataFrame(columns=list(_COLUMNS))
    rows = pd.concat(tables).drop_duplicates()
    return rows[(rows["devices"] == asked.devices) & np.isclose(rows["alpha"], asked.alpha)]


def measured(advice: Advice, rows: pd.DataFrame, heterogeneity: float) -> str:
    """What was measured of a configuration, in words: its worst attack at the nearest redundancy, if any is near.

    The squared gradient norm at the plateau, over the squared heterogeneity there, times that which is asked about.
    """
    same = rows["method"] == advice.method
    if METHODS[advice.method].server == "rule":
        same &= (rows["aggregation"] == advice.rule) & (rows["pre_aggregation"] == advice.before)
        same &= rows["compression"] == advice.shortening.name
    distance = np.abs(np.log(rows["redundancy"] / advice.redundancy)).where(same)
    chosen = rows[(distance == distance.min()) & (distance <= np.log(FARTHEST))]
    if chosen.empty:
        return ""
    ratio = ((chosen["gradient_norm_median"] / chosen["heterogeneity_median"]) ** 2).fillna(np.inf)  # it diverged
    at, attack = int(chosen["redundancy"].iloc[0]), str(chosen["attack"].loc[ratio.index[int(np.argmax(ratio))]])
    worst = float(ratio.max()) * heterogeneity**2
    seen = _number(worst) if math.isfinite(worst) else "diverged"
    return f"{seen} (r = {at}, {attack.replace('_', ' ')})"


def table(asked: Need, found: Sequence[Advice], rows: pd.DataFrame) -> Table:
    """What is recommended, best first."""
    drawn = Table(
        title=f"N = {asked.devices}, f = {asked.f} liars, M = {asked.subsets} subsets, D = {asked.dimension}, "
        f"heterogeneity S = {_number(asked.heterogeneity)}",
        caption="Floors of ||grad F||² by the bounds: for the worst liars, and in the worst case for the worst subsets "
        "too. What is measured is often far below them. * Of the start: lists that are kept come to be fitted.",
    )
    told = [measured(one, rows, asked.heterogeneity) for one in found]
    for header in ("method", "r", "rule", "compressor"):
        drawn.add_column(header)
    for header in ("floor, expected", "floor, worst case", "gradients", "bits"):
        drawn.add_column(header, justify="right")
    if any(told):
        drawn.add_column("measured")
    for one, seen in zip(found, told, strict=True):
        rule = _title(one.rule) + (" behind NNM" if one.before == "nnm" else "") if one.rule else "decoder"
        drawn.add_row(
            METHODS[one.method].title,
            str(one.redundancy),
            rule,
            one.shortening.words,
            _number(one.floor) + ("*" if one.kept else ""),
            "" if one.worst is None else _number(one.worst),
            str(one.gradients),
            str(one.bits),
            *([seen] if any(told) else []),
        )
    return drawn


def _number(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-15 else value:.3g}"
