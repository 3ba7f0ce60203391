"""Which method, redundancy, rule and compressor to use: what the bounds say fits a budget, and what was measured."""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from byzcode.aggregation import RULES
from byzcode.coding import DECODERS, ENCODERS
from byzcode.compression import COMPRESSORS
from byzcode.errors import UserError, complain
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.specs.methods import METHODS
from byzcode.specs.run import MOST_NUMBERS, RunSpec
from byzcode.storage import checksums
from byzcode.storage.layout import STAGES
from byzcode.theory import overlaps
from byzcode.theory.bounds import Expected, compressed, disjoint_lists, redrawn_tasks, sampled_lists
from byzcode.theory.constants import rule_constant

#: Bits of one number in a message.
NUMBER = 32
#: So many pairs of a device and a subset are looked at; more are refused. There is a subset for each device, at least.
LARGEST = 4 * 10**7
MOST_DEVICES = math.isqrt(LARGEST)
#: A run has no more parameters.
MOST_DIMENSION = 10**9
#: The largest heterogeneity, and the least above 0: its square, and what bounds multiply it by, are still numbers.
MOST, LEAST = 1e150, 1e-150
#: A run whose redundancy is this factor away is no measurement of what is recommended.
FARTHEST = 2.0


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
    def lossless(self) -> bool:
        """Whether messages are sent as they are."""
        return COMPRESSORS[self.name].lossless

    @property
    def words(self) -> str:
        """As a table says it."""
        if self.lossless:
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
        return METHODS[self.method].title + _behind(self.before)

    @property
    def curve(self) -> dict[str, Any]:
        """The fields of a run that it settles, as a curve of a study has them."""
        fields: dict[str, Any] = {"method": self.method, "redundancy": self.redundancy}
        if METHODS[self.method].server == "rule":
            fields |= {"pre_aggregation": self.before, "aggregation": self.rule}
        if not self.shortening.lossless:
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
    """The key, its value and what is allowed of the first mistake, if there is one. What is allowed is accepted."""
    devices, subsets = asked.devices, asked.subsets
    if not 1 <= devices <= MOST_DEVICES:
        return "--devices", devices, f"allowed: 1 to {MOST_DEVICES}"
    minority = (devices - 1) // 2
    most = f"{math.floor(10**6 * minority / devices) / 10**6:g}"
    if not 0 <= asked.alpha < 0.5:
        allowed = f"allowed: 0 to less than 1/2, of {devices} devices 0 to {most}"
        return "--alpha", asked.alpha, f"{allowed}; no server can tell who lies if half of them do"
    if asked.f > minority:
        reason = f"f = {asked.f} of {devices} devices lie, rounded half up: no minority"
        return "--alpha", asked.alpha, f"{reason}; allowed: 0 to {most}"
    if not (asked.heterogeneity == 0 or LEAST <= asked.heterogeneity <= MOST):
        return "--heterogeneity", asked.heterogeneity, f"allowed: 0, and {LEAST:g} to {MOST:g}"
    if not devices <= subsets <= LARGEST // devices:
        return "--subsets", subsets, f"allowed: {devices} to {LARGEST // devices}, one for each device at least"
    largest = min(MOST_DIMENSION, MOST_NUMBERS // subsets)
    if not 1 <= asked.dimension <= largest:
        return "--dimension", asked.dimension, f"allowed: 1 to {largest}, with {subsets} subsets"
    if asked.gradients < devices:
        return "--budget-gradients", asked.gradients, f"allowed: {devices} or more, one gradient for each device"
    if asked.bits is not None and asked.bits < NUMBER * devices:
        reason = f"no compressor sends less than a number of {NUMBER} bits for each device"
        return "--budget-bits", asked.bits, f"allowed: {_enough(asked)} or more, where something has a bound; {reason}"
    return None


# --- what there is to choose from ------------------------------------------------------------------------------------


def shortenings(dimension: int, most: float) -> Iterator[Shortening]:
    """The unbiased compressors whose messages have a known length, at most ``most`` bits; nothing first."""
    for name, compressor in COMPRESSORS.items():
        if not compressor.unbiased or compressor.bits is None:
            continue
        for options in compressor.choices(dimension, NUMBER, most):
            bits = compressor.bits(dimension, NUMBER, **options)
            if bits <= min(most, NUMBER * dimension):
                yield Shortening(name, options, bits)


@dataclass(frozen=True)
class _Lists:
    """A way to hold subsets: how many a device holds, E dispersion^2 and bias^2, and the same in words."""

    redundancy: int
    expected: Expected
    words: str


def _uncoded(asked: Need) -> _Lists | str:
    size = asked.devices, asked.subsets, min(asked.share, asked.subsets // asked.devices)
    left = asked.subsets - size[2] * asked.devices
    words = f"{size[2]} of its own to each device" + (f", {_count(left, 'subset')} to none" if left else "")
    return _Lists(size[2], disjoint_lists(*size, asked.f), words)


def _sampled(asked: Need) -> _Lists | str:
    if asked.subsets < 2:
        return "it needs 2 subsets"
    if asked.share < 2:
        return f"it needs 2 gradients a device, {2 * asked.devices} in all"
    size = asked.devices, asked.subsets, asked.share
    words = f"{size[2]} drawn by each device"
    return _Lists(size[2], sampled_lists(*size, asked.f), words)


def _cyclic(asked: Need) -> _Lists | str:
    task, rest = divmod(asked.subsets, asked.devices)
    if rest:
        return f"it needs a multiple of {asked.devices} subsets; got {asked.subsets}"
    if asked.devices < 2:
        return "it needs 2 devices"
    tasks = asked.share // task
    if tasks < 2:
        return f"it needs 2 tasks of {_count(task, 'gradient')} a device, {2 * task * asked.devices} in all"
    size = asked.devices, asked.subsets, tasks * task
    words = f"{tasks} tasks a device, assigned anew in each iteration"
    return _Lists(size[2], redrawn_tasks(*size, asked.f), words)


_METHODS: dict[str, Callable[[Need], _Lists | str]] = {"rba_dl": _uncoded, "cra_dl": _sampled, "lad": _cyclic}
#: What is tried in front of a rule.
_BEFORE = tuple(name for name, before in PRE_AGGREGATORS.items() if before.kappa is not None)
#: What leaves messages as they are.
_IDLE = next(name for name, before in PRE_AGGREGATORS.items() if before.idle)
_LOSSLESS = next(name for name, compressor in COMPRESSORS.items() if compressor.lossless)
#: The same method where messages are compressed.
_SHORT = {"lad": "com_lad"}


def _run(asked: Need, curve: Mapping[str, Any]) -> RunSpec:
    """A run of what is asked for, as a curve has it."""
    fields = {
        "problem": {"name": "linear_regression", "subsets": asked.subsets, "dimension": asked.dimension},
        "devices": asked.devices,
        "byzantine": {"alpha": asked.alpha},
        "seeds": [0],
    }
    return RunSpec.parse(fields | dict(curve), "byzcode recommend")


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
        for before in _BEFORE:
            found.append(min(_ruled(asked, name, lists, before), key=_order))
            if not math.isfinite(found[-1].floor):
                refused.append(_unbounded(asked, found[-1], _enough_for(asked, name, lists, before)))
    bounded = sorted((one for one in found if math.isfinite(one.floor)), key=_order)
    if not bounded:
        would = "" if asked.bits is None else f" (--budget-bits {_enough(asked)} would do)"
        raise UserError(f"byzcode recommend: nothing that fits has a bound{would}: " + " ".join(refused))
    return bounded, refused


def _unbounded(asked: Need, one: Advice, enough: int | None) -> str:
    if asked.bits is None or enough is None:
        return f"{one.title}: no bound; the error may be as large as the gradient."
    return (
        f"{one.title}: no bound; with what fits into {asked.bits} bits the error may be as large as the gradient; "
        f"--budget-bits {enough} would do."
    )


def _enough(asked: Need) -> int:
    """The least budget of bits with which something has a bound; whole messages of uncoded gradients always have."""
    found = [one.bits for one in _exact(replace(asked, bits=None))[0]]
    for name, hold in _METHODS.items():
        lists = hold(asked)
        if not isinstance(lists, str):
            found += [enough for before in _BEFORE if (enough := _enough_for(asked, name, lists, before)) is not None]
    return min(found)


def _enough_for(asked: Need, name: str, lists: _Lists, before: str) -> int | None:
    """The least budget of bits with which a method has a bound; None where it has none with whole messages."""

    def bounded(message: int) -> bool:
        given = replace(asked, bits=asked.devices * message)
        return any(math.isfinite(one.floor) for one in _ruled(given, name, lists, before))

    lengths = range(NUMBER, NUMBER * asked.dimension + 1)  # of a longer message more is kept, and less is added to it
    at = bisect_left(lengths, True, key=bounded)
    return asked.devices * lengths[at] if at < len(lengths) else None


def _order(one: Advice) -> tuple[float, float, int, int, bool]:
    worst = math.inf if one.worst is None else one.worst
    return one.floor, worst, one.gradients, one.bits, not PRE_AGGREGATORS[one.before].idle


def _exact(asked: Need) -> tuple[list[Advice], list[str]]:
    """DRACO with the fewest copies that bear f liars, where these fit."""
    found, refused = [], []
    for name, method in METHODS.items():
        if method.server != "decoder":
            continue
        title, copies = method.title, 2 * asked.f + 1
        bits = ENCODERS[method.fixed["encoding"]].numbers * NUMBER * asked.dimension
        redundancy = _bearing(asked, method.decoder)
        if redundancy is None:
            refused.append(f"{title}: no size of it has {_count(copies, 'copy')} of each of {asked.subsets} subsets.")
        elif redundancy * asked.devices > asked.gradients:
            reason = f"it needs {redundancy * asked.devices} gradients for {_count(copies, 'copy')} of each subset"
            refused.append(f"{title}: {reason}, more than {asked.gradients}.")
        elif bits > asked.message:
            reason = f"its messages are {bits * asked.devices} bits, whole, more than {asked.bits}"
            refused.append(f"{title}: {reason}; --budget-bits {bits * asked.devices} would do.")
        else:
            found.append(
                Advice(
                    name,
                    redundancy,
                    "",
                    _IDLE,
                    Shortening(_LOSSLESS, {}, bits),
                    0.0,
                    0.0,
                    False,
                    redundancy * asked.devices,
                    bits * asked.devices,
                    f"{copies} copies of each subset fit, so the gradient is decoded exactly."
                    if asked.f
                    else "Nobody lies, so one copy of each subset is enough to have the gradient exactly.",
                )
            )
    return found, refused


def _bearing(asked: Need, code: str) -> int | None:
    """The least redundancy with which a code bears f liars, or None."""
    decoder, (devices, subsets) = DECODERS[code], (asked.devices, asked.subsets)
    sizes = decoder.redundancies(devices, subsets)
    least = -(-subsets * (2 * asked.f + 1) // devices)
    for redundancy in sizes[bisect_left(sizes, least) :]:
        served = decoder.refuses(devices, subsets, redundancy) is None
        if served and decoder.bears(devices, subsets, redundancy) >= asked.f:
            return redundancy
    return None


def _constants(asked: Need, before: str) -> Iterator[tuple[float, str]]:
    """The constants of the rules that bear f liars and have one."""
    for name, rule in RULES.items():
        kappa = rule_constant(name, before, asked.devices, asked.f)
        if kappa is not None and rule.most_liars(asked.devices) >= asked.f:
            yield kappa, name


def _ruled(asked: Need, name: str, lists: _Lists, before: str) -> Iterator[Advice]:
    """A method with every rule and every compressor that fits, behind a pre-aggregator."""
    honest, unit = asked.devices - asked.f, asked.heterogeneity**2
    allocation = METHODS[name].defaults["allocation"]
    spectral = overlaps.spectral(allocation, asked.devices, asked.subsets, lists.redundancy)
    for kappa, rule in sorted(_constants(asked, before), key=itemgetter(0)):
        for short in shortenings(asked.dimension, asked.message):
            compressor = COMPRESSORS[short.name]
            delta = compressor.delta(asked.dimension, **short.options)
            shared = compressor.shared(**short.options)
            factor = float(compressed(lists.expected, delta, honest, shared=shared).floor(kappa))
            whole = compressor.lossless
            yield Advice(
                method=name if whole else _SHORT.get(name, name),
                redundancy=lists.redundancy,
                rule=rule,
                before=before,
                shortening=short,
                floor=_times(factor, unit),
                worst=_times((kappa + 1) / honest * spectral, unit) if whole else None,
                kept=name != "lad",
                gradients=asked.devices * lists.redundancy,
                bits=asked.devices * short.bits,
                reason=_reason(asked, lists, rule, before, kappa, short, delta),
            )


def _times(factor: float, unit: float) -> float:
    """The product, still a number where the factor is one."""
    return min(factor * unit, sys.float_info.max) if math.isfinite(factor) else factor


def _reason(asked: Need, lists: _Lists, rule: str, before: str, kappa: float, short: Shortening, delta: float) -> str:
    variance = float(lists.expected.dispersion[0] + lists.expected.bias[0])
    told = f"{lists.words[0].upper()}{lists.words[1:]}: a message is off by {variance:.3g} of S² on average"
    of = ("" if _behind(before) else "the ") + RULES[rule].words + _behind(before)
    told += f", of which {of} leaves at most κ = {kappa:.3g} times the spread"
    if not short.lossless:
        told += f"; {short.words} adds δ = {delta:.3g} of what is sent"
    return told + "."


def _behind(before: str) -> str:
    return "" if PRE_AGGREGATORS[before].idle else f" behind {PRE_AGGREGATORS[before].words}"


# --- what was measured -----------------------------------------------------------------------------------------------

#: What a summary must have to be of use here.
_COLUMNS = (
    "devices",
    "subsets",
    "alpha",
    "method",
    "redundancy",
    "allocation",
    "allocation_options",
    "assignment",
    "encoding",
    "aggregation",
    "pre_aggregation",
    "compression",
    "attack",
    "gradient_norm_median",
    "heterogeneity_median",
)


@dataclass(frozen=True)
class Seen:
    """What was measured of a configuration: ||grad F||^2 over S^2 at the plateau, under the worst of its attacks."""

    ratio: float
    redundancy: int
    attack: str
    attacks: frozenset[str]

    def words(self, heterogeneity: float) -> str:
        """As a table says it, of that heterogeneity."""
        floor = _number(self.ratio * heterogeneity**2) if math.isfinite(self.ratio) else "diverged"
        return f"{floor} (r = {self.redundancy}, {self.attack.replace('_', ' ')})"


def measurements(results: Path, asked: Need) -> pd.DataFrame:
    """The summaries' rows in ``results`` of as many devices, subsets and liars; tables that do not serve are passed.

    Raises UserError where one is damaged.
    """
    tables = []
    for path in sorted((results / STAGES["summarise"].folder).glob("*.csv")):
        content = checksums.checked(path, "summarise")
        try:
            table = pd.read_csv(content)
        except ValueError:
            continue
        if set(_COLUMNS) <= set(table.columns):
            tables.append(table[list(_COLUMNS)])
    if not tables:
        return pd.DataFrame(columns=list(_COLUMNS))
    rows = pd.concat(tables, ignore_index=True).drop_duplicates()
    same = (rows["devices"] == asked.devices) & (rows["subsets"] == asked.subsets)
    return rows[same & np.isclose(rows["alpha"], asked.alpha)]


def measured(asked: Need, advice: Advice, rows: pd.DataFrame) -> Seen | None:
    """What was measured of a configuration with its allocation: its worst attack at the nearest redundancy.

    None where no redundancy is near.
    """
    run = _run(asked, advice.curve)
    options = " ".join(f"{name}={value}" for name, value in run.allocation.options.items())
    same = (rows["method"] == run.method) & (rows["allocation"] == run.allocation.name)
    same &= (rows["allocation_options"].astype(object).fillna("") == options) & (rows["encoding"] == run.encoding.name)
    same &= rows["assignment"] == run.assignment
    if METHODS[advice.method].server == "rule":
        same &= (rows["aggregation"] == advice.rule) & (rows["pre_aggregation"] == advice.before)
        same &= rows["compression"] == advice.shortening.name
    near = rows[same & rows["gradient_norm_median"].notna()]  # else it has no level
    distance = np.abs(np.log(near["redundancy"].astype(float) / advice.redundancy))
    chosen = near[(distance == distance.min()) & (distance <= np.log(FARTHEST))]
    if chosen.empty:
        return None
    ratio = (chosen["gradient_norm_median"] / chosen["heterogeneity_median"]) ** 2
    ratio = ratio.fillna(np.inf)  # it diverged
    worst = chosen.iloc[int(np.argmax(ratio))]
    return Seen(float(ratio.max()), int(worst["redundancy"]), str(worst["attack"]), frozenset(chosen["attack"]))


def favourite(told: Sequence[tuple[Advice, Seen | None]]) -> tuple[Advice, str] | None:
    """Which is best by what was measured, and why; None where fewer than two were measured, or all diverged."""
    known = sorted(((one, seen) for one, seen in told if seen is not None), key=lambda pair: pair[1].ratio)
    if len(known) < 2 or math.isinf(known[0][1].ratio):
        return None
    one, seen = known[0]
    rule = f", {RULES[one.rule].words}" if one.rule else ""
    reason = f"{_number(seen.ratio)} of S² at worst (r = {seen.redundancy}, {seen.attack.replace('_', ' ')})"
    reason += f", the least of {len(known)} rows that were measured"
    if len({other.attacks for _, other in known}) > 1:
        reason += "; they did not meet the same attacks"
    return one, f"{one.title}{rule}. {reason[0].upper()}{reason[1:]}."


def table(asked: Need, told: Sequence[tuple[Advice, Seen | None]]) -> Table:
    """What is recommended, best first, each beside what was measured of it."""
    drawn = Table(
        title=f"N = {asked.devices}, f = {asked.f} liars, M = {asked.subsets} subsets, D = {asked.dimension}, "
        f"heterogeneity S = {_number(asked.heterogeneity)}",
        caption="Floors of ||grad F||² by the bounds: for the worst liars, and in the worst case for the worst subsets "
        "too. They hold where S bounds the heterogeneity throughout training; it grows where theta runs away, so a run "
        "may diverge all the same. What is measured is often far below them. * No floor: lists that are kept come to "
        "be fitted, so this is the expectation at the start only.",
    )
    for header in ("method", "r", "rule", "compressor"):
        drawn.add_column(header)
    for header in ("floor, expected", "floor, worst case", "gradients", "bits"):
        drawn.add_column(header, justify="right")
    some = any(seen is not None for _, seen in told)
    if some:
        drawn.add_column("measured")
    for one, seen in told:
        rule = RULES[one.rule].words + _behind(one.before) if one.rule else "decoder"
        drawn.add_row(
            METHODS[one.method].title,
            str(one.redundancy),
            rule,
            one.shortening.words,
            _number(one.floor) + ("*" if one.kept else ""),
            "" if one.worst is None else _number(one.worst),
            str(one.gradients),
            str(one.bits),
            *(["" if seen is None else seen.words(asked.heterogeneity)] if some else []),
        )
    return drawn


def _count(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    return f"{number} {what[:-1]}ies" if what.endswith("y") else f"{number} {what}s"


def _number(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-15 else value:.3g}"
