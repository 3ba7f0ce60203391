"""Find the configurations that fit a budget, and rank them by their bounds."""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter

from byzcode.aggregation import RULES
from byzcode.coding import DECODERS, ENCODERS
from byzcode.compression import COMPRESSORS
from byzcode.errors import UserError
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.recommend.choices import METHODS_TRIED, Advice, Lists, Shortening, shortenings
from byzcode.recommend.need import NUMBER, Need
from byzcode.recommend.words import behind, count
from byzcode.specs.methods import METHODS
from byzcode.theory import overlaps
from byzcode.theory.constants import rule_constant
from byzcode.theory.expectations import compressed

#: The pre-aggregators that are tried: those with a known constant.
_BEFORE = tuple(name for name, before in PRE_AGGREGATORS.items() if before.kappa is not None)
#: The pre-aggregator and the compressor that leave messages unchanged.
_IDLE = next(name for name, before in PRE_AGGREGATORS.items() if before.idle)
_LOSSLESS = next(name for name, compressor in COMPRESSORS.items() if compressor.lossless)
#: By method, its name when messages are compressed.
_SHORT = {"lad": "com_lad"}


def recommend(need: Need) -> tuple[list[Advice], list[str]]:
    """The configurations that fit the budgets, by increasing floor; and for each refused method the reason.

    Each method appears with its best rule and compressor, once for each pre-aggregator. Raises UserError if no
    configuration has a bound.
    """
    advised, refused = _exact(need)
    for name, hold in METHODS_TRIED.items():
        lists = hold(need)
        if isinstance(lists, str):
            refused.append(f"{METHODS[name].title}: {lists}.")
            continue
        for before in _BEFORE:
            advised.append(min(ruled(need, name, lists, before), key=_order))
            if not math.isfinite(advised[-1].floor):
                refused.append(_unbounded(need, advised[-1], _enough_for(need, name, lists, before)))
    bounded = sorted((advice for advice in advised if math.isfinite(advice.floor)), key=_order)
    if not bounded:
        hint = "" if need.bits is None else f" (--budget-bits {least_bits(need)} would be enough)"
        raise UserError(
            f"byzcode recommend: no configuration within the budgets has a bound{hint}: " + " ".join(refused)
        )
    return bounded, refused


def _unbounded(need: Need, advice: Advice, enough: int | None) -> str:
    if need.bits is None or enough is None:
        return f"{advice.title}: no bound; the error may be as large as the gradient."
    return (
        f"{advice.title}: no bound; with messages that fit into {need.bits} bits the error may be as large as the "
        f"gradient; --budget-bits {enough} would be enough."
    )


def least_bits(need: Need) -> int:
    """The least budget of bits for which a configuration has a bound. Uncompressed uncoded messages always have one."""
    budgets = [advice.bits for advice in _exact(replace(need, bits=None))[0]]
    for name, hold in METHODS_TRIED.items():
        lists = hold(need)
        if not isinstance(lists, str):
            budgets += [enough for before in _BEFORE if (enough := _enough_for(need, name, lists, before)) is not None]
    return min(budgets)


def _enough_for(need: Need, name: str, lists: Lists, before: str) -> int | None:
    """The least budget of bits with which a method has a bound; None if it has none even with uncompressed messages."""

    def bounded(message: int) -> bool:
        limited = replace(need, bits=need.devices * message)
        return any(math.isfinite(advice.floor) for advice in ruled(limited, name, lists, before))

    lengths = range(NUMBER, NUMBER * need.dimension + 1)  # bisect: longer messages have a smaller compression error
    at = bisect_left(lengths, True, key=bounded)
    return need.devices * lengths[at] if at < len(lengths) else None


def _order(advice: Advice) -> tuple[float, float, int, int, bool]:
    worst = math.inf if advice.worst is None else advice.worst
    return advice.floor, worst, advice.gradients, advice.bits, not PRE_AGGREGATORS[advice.before].idle


def _exact(need: Need) -> tuple[list[Advice], list[str]]:
    """The DRACO codes with the fewest copies that tolerate f Byzantine devices, and why the others do not fit."""
    exact, refused = [], []
    for name, method in METHODS.items():
        if method.server != "decoder":
            continue
        title, copies = method.title, 2 * need.f + 1
        bits = ENCODERS[method.fixed["encoding"]].numbers * NUMBER * need.dimension
        redundancy = _bearing(need, method.decoder)
        if redundancy is None:
            refused.append(f"{title}: no redundancy gives {count(copies, 'copy')} of each of {need.subsets} subsets.")
        elif redundancy * need.devices > need.gradients:
            reason = f"it needs {redundancy * need.devices} gradients for {count(copies, 'copy')} of each subset"
            refused.append(f"{title}: {reason}, more than {need.gradients}.")
        elif bits > need.message:
            reason = f"its uncompressed messages have {bits * need.devices} bits, more than {need.bits}"
            refused.append(f"{title}: {reason}; --budget-bits {bits * need.devices} would be enough.")
        else:
            exact.append(
                Advice(
                    name,
                    redundancy,
                    "",
                    _IDLE,
                    Shortening(_LOSSLESS, {}, bits),
                    0.0,
                    0.0,
                    False,
                    redundancy * need.devices,
                    bits * need.devices,
                    f"{copies} copies of each subset fit, so the gradient is decoded exactly."
                    if need.f
                    else "No device is Byzantine, so one copy of each subset gives the exact gradient.",
                )
            )
    return exact, refused


def _bearing(need: Need, code: str) -> int | None:
    """The least redundancy with which a code tolerates f Byzantine devices, or None."""
    decoder, (devices, subsets) = DECODERS[code], (need.devices, need.subsets)
    sizes = decoder.redundancies(devices, subsets)
    least = -(-subsets * (2 * need.f + 1) // devices)
    for redundancy in sizes[bisect_left(sizes, least) :]:
        served = decoder.refuses(devices, subsets, redundancy) is None
        if served and decoder.most_liars(devices, subsets, redundancy) >= need.f:
            return redundancy
    return None


def _constants(need: Need, before: str) -> Iterator[tuple[float, str]]:
    """The constants and names of the rules that tolerate f Byzantine devices and have a constant."""
    for name, rule in RULES.items():
        kappa = rule_constant(name, before, need.devices, need.f)
        if kappa is not None and rule.most_liars(need.devices) >= need.f:
            yield kappa, name


def ruled(need: Need, name: str, lists: Lists, before: str) -> Iterator[Advice]:
    """A method and a pre-aggregator with every rule that has a constant and every compressor that fits."""
    honest, unit = need.devices - need.f, need.heterogeneity**2
    allocation = METHODS[name].defaults["allocation"]
    spectral = overlaps.spectral(allocation, need.devices, need.subsets, lists.redundancy)
    for kappa, rule in sorted(_constants(need, before), key=itemgetter(0)):
        for short in shortenings(need.dimension, need.message):
            compressor = COMPRESSORS[short.name]
            delta = compressor.delta(need.dimension, **short.options)
            shared = compressor.shared(**short.options)
            factor = float(compressed(lists.expected, delta, honest, shared=shared).floor(kappa))
            lossless = compressor.lossless
            yield Advice(
                method=name if lossless else _SHORT.get(name, name),
                redundancy=lists.redundancy,
                rule=rule,
                before=before,
                shortening=short,
                floor=_times(factor, unit),
                worst=_times((kappa + 1) / honest * spectral, unit) if lossless else None,
                kept=name != "lad",
                gradients=need.devices * lists.redundancy,
                bits=need.devices * short.bits,
                reason=_reason(lists, rule, before, kappa, short, delta),
            )


def _times(factor: float, unit: float) -> float:
    """The product, capped at the largest finite float if the factor is finite."""
    return min(factor * unit, sys.float_info.max) if math.isfinite(factor) else factor


def _reason(lists: Lists, rule: str, before: str, kappa: float, short: Shortening, delta: float) -> str:
    variance = float(lists.expected.dispersion[0] + lists.expected.bias[0])
    text = f"{lists.words[0].upper()}{lists.words[1:]}: the mean squared error of a message is {variance:.3g} of S²"
    words = ("" if behind(before) else "the ") + RULES[rule].words + behind(before)
    text += f"; {words} leaves at most κ = {kappa:.3g} times the spread"
    if not short.lossless:
        text += f"; {short.words} adds δ = {delta:.3g} of the squared norm of a message"
    return text + "."
