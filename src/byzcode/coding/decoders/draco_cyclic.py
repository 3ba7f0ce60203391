"""Locating lies by their syndromes and erasing them: the decoder of DRACO's cyclic code (Chen et al., 1803.09877)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import cyclic
from byzcode.coding.cyclic_code import CyclicCode, cyclic_code
from byzcode.coding.decoder import Decode, Decoded, Decoder
from byzcode.lazy import torch
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

#: The gradient is recovered to eps^RECOVERED of the messages' scale, per coordinate: 5e-7 in double precision, 2e-3
#: in single. Scale: the (s + 1)-th largest of the messages' largest entries, at most that of an honest one.
RECOVERED = 0.4

#: What rounding may leave unexplained, in eps: up to 26 was seen. It is borne even where RECOVERED asks for less.
ROUNDING = 1e3

#: A message this many times larger than the (s + 1)-th largest one is taken for a lie: one of those s + 1 is honest.
OUT_OF_SCALE = 1e3


def prepare(devices: int, subsets: int, redundancy: int) -> Decode:
    """The decoder for one size: locate up to s lies, erase them, solve, and verify on all other devices.

    Messages (R, N, 2 D) of real and imaginary parts to the gradient (R, D). Cost: s N D for each set of devices that
    is tried: none without lies, one where the lies are linearly independent, six at most; on a GPU always six.

    The syndromes Y = C_R^H messages, (2 s, D), depend on the lies alone: Y = sum over liars of c_i e_i, c_i a column
    of C_R^H. A polynomial of degree L that vanishes at the liars' nodes annihilates every L + 1 consecutive entries
    of every column of Y (Prony). L = s serves always; L = 3 s / 2 keeps more digits if the lies have rank 2 at least;
    L = 2 s - 1 most, if they are linearly independent (MUSIC). Fixed random mixtures make s equations of all, and the
    devices at whose nodes all solutions are smallest are suspect. The s first are erased, or s/4 more of which the
    smallest lies are then pardoned. If the other N - s agree with one codeword, that settles it: any other codeword
    differs from it on s + 1 of them.

    Bears s liars, s = (N r / M - 1) / 2. In exact arithmetic that is all. In double precision the set may not be
    found, and the run then fails: seen where lies are parallel and of sizes from 1e-8 to 1e5, and for
    neighbours on the circle from s = 0.3 N.
    Two explanations may also be nearer than rounding; the residual is held so small that none moves the gradient by
    more than RECOVERED says, as far as ROUNDING allows (N = 100: to s = 13; at s = 20 a forger might move it by 4e-4
    of the scale, but none that we tried did). Beyond s liars it fails, unless s + 1 who hold a common task agree on a
    false gradient of it: they are most of its holders, and win unnoticed.
    """
    code = cyclic_code(devices, bears(devices, subsets, redundancy))

    @cache
    def decoder_for(dimension: int, dtype: torch.dtype, device: torch.device) -> _Decoder:
        return _Decoder(code, dimension, torch.finfo(dtype).eps, device)

    def decode(messages: Tensor) -> Decoded:
        return decoder_for(messages.shape[-1] // 2, messages.dtype, messages.device).decode(messages)

    return decode


def bears(devices: int, subsets: int, redundancy: int) -> int:
    """Half of the devices that hold a subset, less than that."""
    return (devices * redundancy // subsets - 1) // 2


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """As the cyclic allocation, and d = N r / M is odd."""
    reason = cyclic.refuses(devices, subsets, redundancy)
    if reason is not None or devices * redundancy // subsets % 2:
        return reason
    size = subsets // devices
    near = [str(other) for other in (redundancy - size, redundancy + size) if other <= subsets]
    return f"N r / M = {redundancy // size} must be odd, 2 s + 1, to bear s liars; nearest: {' or '.join(near)}"


class _Attempt(NamedTuple):
    """The mean of all gradients, (R, D) complex, if some devices are left out, and what speaks against it.

    ``doubt`` (R,): what no codeword explains in the other messages, in the worst coordinate, in parts of what may be.
    """

    gradient: Tensor
    doubt: Tensor

    def or_better(self, other: _Attempt) -> _Attempt:
        """Per run the first that is beyond doubt, else the one with less of it."""
        take = (self.doubt > 1) & (other.doubt < self.doubt)
        return _Attempt(
            torch.where(take.unsqueeze(-1), other.gradient, self.gradient),
            torch.where(take, other.doubt, self.doubt),
        )


class _Decoder:
    """All that depends on N, s, D and the messages' precision alone, on one device."""

    def __init__(self, code: CyclicCode, dimension: int, eps: float, device: torch.device) -> None:
        def constant(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(array.astype(np.complex128)).to(device)

        self._liars = s = code.liars
        self._checks, self._leading = constant(code.checks), constant(code.leading)
        self._columns = self._checks.T.contiguous()
        self._none, self._some = (
            max(eps**RECOVERED / amplification, ROUNDING * eps) for amplification in (code.unerased, code.erased)
        )
        # D (2 s - L) equations, of which s must be independent. As many columns as syndromes say all that there is.
        columns, stream = min(dimension, 2 * s), Stream(0, "draco_cyclic")
        lengths = [length for length in (3 * s // 2, s, 2 * s - 1) if length == s or columns * (2 * s - length) >= s]
        self._projection = constant(stream.at(0).standard_normal((dimension, columns)))
        self._locators = {
            length: (
                constant(stream.at(length).standard_normal((s, columns * (2 * s - length)))),
                constant(code.powers(-np.arange(length + 1))),
            )
            for length in (lengths if s else ())
        }

    def decode(self, messages: Tensor) -> Decoded:
        """Messages (R, N, 2 D) to the gradient (R, D)."""
        size = messages.abs().amax(dim=-1).nan_to_num(nan=torch.inf, posinf=torch.inf)
        scale = size.topk(self._liars + 1).values[..., -1:]
        known = ~(size <= OUT_OF_SCALE * scale) | size.isinf()
        lost = known.sum(dim=-1) > self._liars
        unit = torch.where((scale > 0) & scale.isfinite(), scale, 1.0).double()
        real, imaginary = (messages.double() / unit.unsqueeze(-1)).chunk(2, dim=-1)
        received = torch.complex(real, imaginary).masked_fill(known.unsqueeze(-1), 0.0)

        syndromes = self._checks @ received
        best = _Attempt(self._leading @ received, _largest(syndromes) / self._none)
        # What is beyond doubt stays. A GPU, which would have to be waited for, is not asked and tries all sets.
        sets, asked = self._sets(syndromes @ self._projection, known), messages.device.type == "cpu"
        while not (asked and ((best.doubt <= 1) | lost).all()) and (erased := next(sets, None)) is not None:
            best = best.or_better(self._without(erased, received))
        failed = ~(best.doubt <= 1) | lost
        gradient = (best.gradient.real * unit).to(messages.dtype)
        return Decoded(gradient.masked_fill(failed.unsqueeze(-1), 0.0), failed)

    def _sets(self, mixed: Tensor, known: Tensor) -> Iterator[Tensor]:
        """Sets of s devices that may be the liars, (R, s), the cheapest and likeliest first.

        In the order of their numbers: how suspect each of them is varies in its last bits with the batch.
        """
        ranked = []
        for length in self._locators:
            ranked.append(self._suspects(mixed, known, length))
            yield ranked[-1][:, : self._liars].sort(dim=-1).values
        for suspects in reversed(ranked):
            yield self._pardon(mixed, suspects).sort(dim=-1).values

    def _suspects(self, mixed: Tensor, known: Tensor, length: int) -> Tensor:
        """The s + s/4 devices, most suspect first, at whose nodes the locators of a degree are smallest, (R, K)."""
        s = self._liars
        mixture, nodes = self._locators[length]
        windows = mixed.unfold(-2, length + 1, 1).flatten(1, 2)  # (R, equations, L + 1)
        locators = torch.linalg.qr((mixture @ windows).mT, mode="complete").Q[..., s:]
        value = (locators.mH @ nodes).abs().square().sum(dim=-2).masked_fill(known, -1.0)
        suspects: Tensor = value.topk(min(s + math.ceil(s / 4), 2 * s - 1), largest=False).indices
        return suspects

    def _pardon(self, mixed: Tensor, suspects: Tensor) -> Tensor:
        """The s of the suspects whose lies are the largest if all others are honest, (R, s)."""
        q, r = self._split(suspects)
        lies = torch.linalg.solve_triangular(r, q.mH @ mixed, upper=True).norm(dim=-1)
        return suspects.gather(-1, lies.topk(self._liars).indices)

    def _without(self, erased: Tensor, received: Tensor) -> _Attempt:
        """What the messages of all but the ``erased`` devices (R, s) say."""
        q, r = self._split(erased)
        kept = torch.ones_like(received[..., 0]).scatter(-1, erased, 0.0).unsqueeze(-1) * received
        syndromes = self._checks @ kept
        explained = q.mH @ syndromes
        # leading @ (kept - lies) where r @ lies = explained; the lies themselves are not needed.
        weight = torch.linalg.solve_triangular(r.mT, self._leading[erased].unsqueeze(-1), upper=False)
        gradient = self._leading @ kept - (weight.mT @ explained).squeeze(-2)
        return _Attempt(gradient, _largest(syndromes - q @ explained) / self._some)

    def _split(self, devices: Tensor) -> tuple[Tensor, Tensor]:
        """QR of the columns of C_R^H at some devices (R, K): (R, 2 s, K) and (R, K, K)."""
        q, r = torch.linalg.qr(self._columns[devices].mT)
        return q, r


def _largest(syndromes: Tensor) -> Tensor:
    """The largest norm of a column: (R, 2 s, D) to (R,)."""
    largest: Tensor = syndromes.norm(dim=-2).amax(dim=-1)
    return largest


def redundancies(devices: int, subsets: int) -> Sequence[int]:
    """Multiples of M / N, if that is whole."""
    size, rest = divmod(subsets, devices)
    return range(0) if rest else range(size, subsets + 1, size)


ENTRY = Decoder(prepare, bears, refuses, redundancies)
