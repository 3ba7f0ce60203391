"""The decoder of DRACO's cyclic code (Chen et al., 1803.09877): it locates lies by their syndromes and erases them."""

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
from byzcode.kernels.erase import Eraser, screened
from byzcode.kernels.product import product
from byzcode.lazy import torch
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

#: The gradient is recovered to eps^RECOVERED of the messages' scale, per coordinate: 5e-7 in double precision, 2e-3
#: in single. The scale is the (s + 1)-th largest of the messages' largest entries, so some honest message has at least
#: this scale.
RECOVERED = 0.4

#: The residual, in eps, that rounding may cause; up to 26 was seen. It is accepted even if RECOVERED demands less.
ROUNDING = 1e3


def prepare(devices: int, subsets: int, redundancy: int) -> Decode:
    """The decoder for one size: locate up to s lies, erase them, solve, and verify on all other devices.

    Messages (R, N, 2 D) of real and imaginary parts to the gradient (R, D). Cost: s N D per set of devices that is
    tried: none without lies, one if the lies are linearly independent, at most seven; on a GPU always six. A CPU makes
    the first attempt in real numbers (:mod:`byzcode.kernels.erase`), and searches only if it fails.

    The syndromes Y = C_R^H messages, (2 s, D), depend on the lies alone: Y = sum over liars of c_i e_i, c_i a column
    of C_R^H. A polynomial of degree L that vanishes at the liars' nodes annihilates every L + 1 consecutive entries
    of every column of Y (Prony). L = s always works; L = 3 s / 2 keeps more digits if the lies have at least rank 2;
    L = 2 s - 1 keeps most if they are linearly independent (MUSIC). Fixed random mixtures reduce all equations to s.
    The devices at whose nodes all solutions are smallest are suspect. The decoder erases the first s suspects, or takes
    s/4 more and then pardons those with the smallest lies. If the other N - s devices agree with a codeword, it is the
    right one: any other codeword differs from it on s + 1 of them.

    Exact among s liars, s = (N r / M - 1) / 2, in exact arithmetic. In double precision the decoder may not find the
    set, and the run then fails. This was seen for parallel lies of sizes from 1e-8 to 1e5, and for neighbours on the
    circle from s = 0.3 N. Two explanations may also be closer than rounding. The residual is limited so that neither
    moves the gradient by more than RECOVERED, as far as ROUNDING allows (N = 100: up to s = 13; at s = 20 a forger
    might move it by 4e-4 of the scale, but none that we tried did). With more than s liars decoding fails, unless s + 1
    holders of a common task agree on a false gradient of it: they are the majority of its holders, and are not noticed.
    """
    code = cyclic_code(devices, most_liars(devices, subsets, redundancy))

    @cache
    def decoder_for(dimension: int, dtype: torch.dtype, device: torch.device) -> _Decoder:
        return _Decoder(code, dimension, torch.finfo(dtype).eps, device)

    def decode(messages: Tensor) -> Decoded:
        return decoder_for(messages.shape[-1] // 2, messages.dtype, messages.device).decode(messages)

    return decode


def most_liars(devices: int, subsets: int, redundancy: int) -> int:
    """The largest s below half of the number of devices that hold a subset."""
    return (devices * redundancy // subsets - 1) // 2


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """The conditions of the cyclic allocation, and an odd d = N r / M."""
    reason = cyclic.refuses(devices, subsets, redundancy)
    if reason is not None or devices * redundancy // subsets % 2:
        return reason
    size = subsets // devices
    near = [str(other) for other in (redundancy - size, redundancy + size) if other <= subsets]
    return f"N r / M = {redundancy // size} must be odd, 2 s + 1, to tolerate s liars; nearest: {' or '.join(near)}"


class _Attempt(NamedTuple):
    """The mean of all gradients, (R, D) complex, if some devices are left out, and the doubt about it.

    ``doubt`` (R,) is the residual of the other messages in the worst coordinate, in units of the allowed residual.
    """

    gradient: Tensor
    doubt: Tensor

    def or_better(self, other: _Attempt) -> _Attempt:
        """Per run, this attempt if its doubt is at most 1, else the attempt with less doubt."""
        take = (self.doubt > 1) & (other.doubt < self.doubt)
        return _Attempt(
            torch.where(take.unsqueeze(-1), other.gradient, self.gradient),
            torch.where(take, other.doubt, self.doubt),
        )


class _Decoder:
    """All that depends only on N, s, D and the precision of the messages, on one CPU or GPU."""

    def __init__(self, code: CyclicCode, dimension: int, eps: float, device: torch.device) -> None:
        def constant(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(array.astype(np.complex128)).to(device)

        self._liars = s = code.liars
        self._leading, self._columns = constant(code.leading), constant(code.checks.T.copy())
        rows = np.vstack([code.checks, code.leading])
        self._rows = torch.from_numpy(np.vstack([rows.real, rows.imag])).to(device)
        self._none, self._some = (
            max(eps**RECOVERED / amplification, ROUNDING * eps) for amplification in (code.unerased, code.erased)
        )
        self._attempt = Eraser(code.phases, code.real_checks, dimension, self._none, self._some)
        # There are D (2 s - L) equations; s of them must be independent. 2 s mixed columns retain all information.
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
        received = messages.double()
        if received.device.type == "cpu":
            gradient, doubt = self._attempt(received)
            hard = (doubt > 1) & doubt.isfinite()
            if hard.any():
                gradient[hard], doubt[hard] = self._search(received[hard])
        else:
            gradient, doubt = self._search(received)
        failed = ~(doubt <= 1)
        return Decoded(gradient.to(messages.dtype).masked_fill_(failed.unsqueeze(-1), 0.0), failed)

    def _search(self, received: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient (R, D) and the doubt about it (R,), from messages (R, N, 2 D), by all likely sets of liars."""
        known, unit = screened(received, self._liars)
        on_cpu = received.device.type == "cpu"
        if not on_cpu or known.any():
            received = received.masked_fill(known.unsqueeze(-1), 0.0)

        rows = self._rows / unit.unsqueeze(-1)  # rounds nothing, and all results are in units
        syndromes, leading = _times(rows, received)
        best = _Attempt(leading, _largest(syndromes) / self._none)
        # An attempt with doubt of at most 1 stays. A GPU tries all sets, because checking the doubt would wait for it.
        sets = self._sets(syndromes @ self._projection, known)
        while not (on_cpu and (best.doubt <= 1).all()) and (erased := next(sets, None)) is not None:
            best = best.or_better(self._without(erased, rows, received))
        lost = known.sum(dim=-1) > self._liars
        return best.gradient.real * unit, best.doubt.masked_fill(lost, torch.inf)

    def _sets(self, mixed: Tensor, known: Tensor) -> Iterator[Tensor]:
        """Sets of s devices that may be the liars, (R, s), the cheapest and likeliest first.

        Each set is sorted by device number, because the order of suspicion varies with rounding in a batch.
        """
        ranked = []
        for length in self._locators:
            ranked.append(self._suspects(mixed, known, length))
            yield ranked[-1][:, : self._liars].sort(dim=-1).values
        for suspects in reversed(ranked):
            yield self._pardon(mixed, suspects).sort(dim=-1).values

    def _suspects(self, mixed: Tensor, known: Tensor, length: int) -> Tensor:
        """The s + s/4 devices at whose nodes the locators of a degree are smallest, (R, K), most suspect first."""
        s = self._liars
        mixture, nodes = self._locators[length]
        windows = mixed.unfold(-2, length + 1, 1).flatten(1, 2)  # (R, equations, L + 1)
        locators = torch.linalg.qr((mixture @ windows).mT, mode="complete").Q[..., s:]
        value = (locators.mH @ nodes).abs().square().sum(dim=-2).masked_fill(known, -1.0)
        suspects: Tensor = value.topk(min(s + math.ceil(s / 4), 2 * s - 1), largest=False).indices
        return suspects

    def _pardon(self, mixed: Tensor, suspects: Tensor) -> Tensor:
        """The s suspects whose lies are largest if all other devices are honest, (R, s)."""
        q, r = self._split(suspects)
        lies = torch.linalg.solve_triangular(r, q.mH @ mixed, upper=True).norm(dim=-1)
        return suspects.gather(-1, lies.topk(self._liars).indices)

    def _without(self, erased: Tensor, rows: Tensor, received: Tensor) -> _Attempt:
        """The attempt that uses the messages of all but the ``erased`` devices (R, s)."""
        q, r = self._split(erased)
        kept = received.new_ones(received.shape[:2]).scatter(-1, erased, 0.0)
        syndromes, leading = _times(rows * kept.unsqueeze(-2), received)
        explained = q.mH @ syndromes
        # The gradient is that of the kept messages - leading @ lies with r @ lies = explained; the lies are not needed.
        weight = torch.linalg.solve_triangular(r.mT, self._leading[erased].unsqueeze(-1), upper=False)
        gradient = leading - (weight.mT @ explained).squeeze(-2)
        return _Attempt(gradient, _largest(syndromes - q @ explained) / self._some)

    def _split(self, devices: Tensor) -> tuple[Tensor, Tensor]:
        """QR of the columns of C_R^H at some devices (R, K): (R, 2 s, K) and (R, K, K)."""
        q, r = torch.linalg.qr(self._columns[devices].mT)
        return q, r


def _times(rows: Tensor, received: Tensor) -> tuple[Tensor, Tensor]:
    """The syndromes (R, 2 s, D) and the leading coefficient (R, D), by products of real matrices.

    ``rows`` (R, 4 s + 2, N) are the real parts of all rows and then the imaginary parts, ``received`` (R, N, 2 D).
    """
    real, imaginary = product(rows, received).chunk(2, dim=-2)
    (direct, crossed), (other, twice) = real.chunk(2, dim=-1), imaginary.chunk(2, dim=-1)
    made = torch.complex(direct - twice, crossed + other)
    return made[:, :-1], made[:, -1]


def _largest(syndromes: Tensor) -> Tensor:
    """The largest norm of a column: (R, 2 s, D) to (R,)."""
    squares = syndromes.real.square() + syndromes.imag.square()
    return squares.sum(dim=-2).amax(dim=-1).sqrt()


def redundancies(devices: int, subsets: int) -> Sequence[int]:
    """The multiples of M / N, if that is an integer."""
    size, rest = divmod(subsets, devices)
    return range(0) if rest else range(size, subsets + 1, size)


ENTRY = Decoder(prepare, most_liars, refuses, redundancies)
