"""The alternatives of a recommendation: allocations and compressors; and a choice with its bounds and its cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from byzcode.compression import COMPRESSORS
from byzcode.recommend.need import NUMBER, Need
from byzcode.recommend.words import behind, count
from byzcode.specs.methods import METHODS
from byzcode.theory.expectations import Expected, disjoint_lists, redrawn_tasks, sampled_lists


@dataclass(frozen=True)
class Shortening:
    """A compressor, and the number of bits of a compressed message."""

    name: str
    options: Mapping[str, Any]
    bits: int

    @property
    def lossless(self) -> bool:
        """Whether messages are sent as they are."""
        return COMPRESSORS[self.name].lossless

    @property
    def words(self) -> str:
        """The text in the table."""
        if self.lossless:
            return "none"
        options = [f"{key} {value:.3g}" if key == "share" else f"{key} {value}" for key, value in self.options.items()]
        return f"{self.name} ({', '.join(options)})" if options else self.name


@dataclass(frozen=True)
class Advice:
    """A configuration: its floors of ||grad F||^2, expected and in the worst case (None if not known), and its cost.

    If the lists are ``kept`` during training, the expectation holds only at the start, before theta depends on them.
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
        """The title of the method, and the pre-aggregator, if any."""
        return METHODS[self.method].title + behind(self.before)

    @property
    def curve(self) -> dict[str, Any]:
        """The fields of a run that the configuration sets, in the form of a study's curve."""
        fields: dict[str, Any] = {"method": self.method, "redundancy": self.redundancy}
        if METHODS[self.method].server == "rule":
            fields |= {"pre_aggregation": self.before, "aggregation": self.rule}
        if not self.shortening.lossless:
            fields["compression"] = {"name": self.shortening.name, **self.shortening.options}
        return fields


def shortenings(dimension: int, most: float) -> Iterator[Shortening]:
    """The unbiased compressors whose messages have a known length of at most ``most`` bits."""
    for name, compressor in COMPRESSORS.items():
        if not compressor.unbiased or compressor.bits is None:
            continue
        for options in compressor.choices(dimension, NUMBER, most):
            bits = compressor.bits(dimension, NUMBER, **options)
            if bits <= min(most, NUMBER * dimension):
                yield Shortening(name, options, bits)


@dataclass(frozen=True)
class Lists:
    """An allocation: the number of subsets per device, E dispersion^2 and E bias^2, and a description in words."""

    redundancy: int
    expected: Expected
    words: str


def _uncoded(need: Need) -> Lists | str:
    size = need.devices, need.subsets, min(need.share, need.subsets // need.devices)
    left = need.subsets - size[2] * need.devices
    words = f"{size[2]} of its own to each device" + (f", {count(left, 'subset')} to none" if left else "")
    return Lists(size[2], disjoint_lists(*size, need.f), words)


def _sampled(need: Need) -> Lists | str:
    if need.subsets < 2:
        return "it needs 2 subsets"
    if need.share < 2:
        return f"it needs 2 gradients per device, {2 * need.devices} in total"
    size = need.devices, need.subsets, need.share
    words = f"{size[2]} drawn by each device"
    return Lists(size[2], sampled_lists(*size, need.f), words)


def _cyclic(need: Need) -> Lists | str:
    task, rest = divmod(need.subsets, need.devices)
    if rest:
        return f"it needs a multiple of {need.devices} subsets; got {need.subsets}"
    if need.devices < 2:
        return "it needs 2 devices"
    tasks = need.share // task
    if tasks < 2:
        return f"it needs 2 tasks of {count(task, 'gradient')} per device, {2 * task * need.devices} gradients in total"
    size = need.devices, need.subsets, tasks * task
    words = f"{tasks} tasks per device, reassigned in each iteration"
    return Lists(size[2], redrawn_tasks(*size, need.f), words)


METHODS_TRIED: dict[str, Callable[[Need], Lists | str]] = {"rba_dl": _uncoded, "cra_dl": _sampled, "lad": _cyclic}
