"""Counter-based random streams.

Every random number depends only on (seed, purpose, iteration): not on the method, the rule, the redundancy, the order
of evaluation or other runs. Two methods with the same seed therefore see the same data and the same Byzantine devices.
The generator is Philox 4x64 (Salmon et al. 2011). Its key is derived from seed and purpose. The iteration is the
highest word of its counter, which leaves 2^192 draws per iteration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Number of iterations whose orders are drawn together, which is about ten times faster than one by one.
BLOCK = 64


class Stream:
    """The random numbers of one seed for one purpose."""

    def __init__(self, seed: int, purpose: str) -> None:
        digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
        self._bits = np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64))
        self._state = self._bits.state
        self._generator = np.random.Generator(self._bits)

    def at(self, iteration: int) -> np.random.Generator:
        """The generator at the start of an iteration's draws (valid until the next call of ``at``)."""
        self._state["state"]["counter"][:] = (0, 0, 0, iteration)
        self._bits.state = self._state  # this also empties the buffer: the state was saved before the first draw
        return self._generator


class Draws:
    """Random tensors for an attack or a compressor in one iteration, with a leading axis of R seeds.

    The tensors have the dtype and the device of ``like``. The streams are positioned at the first draw, not before.
    """

    def __init__(self, streams: Sequence[Stream], iteration: int, like: Tensor) -> None:
        self._streams, self._iteration, self._like = streams, iteration, like
        self._kept: Tensor | None = None

    @cached_property
    def _generators(self) -> list[np.random.Generator]:
        return [stream.at(self._iteration) for stream in self._streams]

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, (R, *shape)."""
        return self._tensor([generator.standard_normal(shape) for generator in self._generators])

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), (R, *shape)."""
        return self._tensor([generator.random(shape) for generator in self._generators])

    def exponential(self, *shape: int) -> Tensor:
        """Exponential numbers with mean 1, (R, *shape)."""
        return self._tensor([generator.standard_exponential(shape) for generator in self._generators])

    def for_messages(self, messages: Tensor, *, shared: bool = False) -> Tensor:
        """Uniform numbers for each entry of messages (R, N, D), or (R, 1, D) if shared; the same at every call."""
        return self._for_messages(1 if shared else messages.shape[-2], messages.shape[-1])

    def _for_messages(self, devices: int, dimension: int) -> Tensor:
        if self._kept is None:
            self._kept = self.uniform(devices, dimension)
        return self._kept

    def of_devices(self, chosen: Tensor, devices: int) -> Draws:
        """What ``for_messages`` draws for all ``devices``, but for messages of the devices ``chosen`` (R, K) only."""
        return _OfDevices(self, chosen, devices)

    def _tensor(self, arrays: list[NDArray[np.float64]]) -> Tensor:
        stacked = torch.from_numpy(arrays[0][None] if len(arrays) == 1 else np.stack(arrays))
        if self._like.is_cuda:
            return _uploaded(stacked.to(self._like.dtype), self._like.device)
        return stacked.to(self._like)


class _OfDevices(Draws):
    """The draws for the messages of some devices."""

    def __init__(self, all_draws: Draws, chosen: Tensor, devices: int) -> None:
        super().__init__((), all_draws._iteration, all_draws._like)  # without streams: it draws nothing of its own
        self._all, self._chosen, self._devices = all_draws, chosen.unsqueeze(-1), devices

    def for_messages(self, messages: Tensor, *, shared: bool = False) -> Tensor:
        """Of the numbers of all devices, those of these devices."""
        if shared:
            return self._all.for_messages(messages, shared=True)
        drawn = self._all._for_messages(self._devices, messages.shape[-1])
        return drawn.gather(-2, self._chosen.expand(*messages.shape))


def _uploaded(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a tensor to a GPU asynchronously, from pinned memory; torch keeps that memory until the copy is done."""
    return tensor.pin_memory().to(device, non_blocking=True)


class Orders:
    """Uniformly random orders of ``size`` items per seed, redrawn at each iteration or the same throughout.

    The first f devices of an order are Byzantine, so the Byzantine sets of a seed are nested in f and depend on nothing
    else. At most ``BLOCK`` iterations are stored, on ``device``.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        size: int,
        purpose: str,
        *,
        redrawn: bool,
        device: torch.device | str = "cpu",
        first: int | None = None,
    ) -> None:
        self._streams = [Stream(seed, purpose) for seed in seeds]
        self._size, self._redrawn, self._device, self._first = size, redrawn, device, first
        self._block = -1
        self._orders: Tensor
        self._parts: list[tuple[Tensor, Tensor]]

    def at(self, iteration: int) -> Tensor:
        """The order of an iteration, (R, size)."""
        offset = self._offset(iteration)
        return self._orders[offset]

    def parts(self, iteration: int) -> tuple[Tensor, Tensor]:
        """The first entries of that order, (R, first), and the remaining ones, (R, size - first)."""
        offset = self._offset(iteration)
        return self._parts[offset]

    def _offset(self, iteration: int) -> int:
        """The position of an iteration in its block; draws the block if it is not the current one."""
        block, offset = divmod(iteration if self._redrawn else 0, BLOCK)
        if block != self._block:
            drawn = torch.from_numpy(np.stack([self._drawn(stream, block) for stream in self._streams], axis=1))
            orders = _uploaded(drawn, self._device) if "cuda" in str(self._device) else drawn.to(self._device)
            if self._first is not None:
                first, others = orders[..., : self._first].unbind(), orders[..., self._first :].unbind()
                self._parts = list(zip(first, others, strict=True))
            self._orders, self._block = orders, block
        return offset

    def _drawn(self, stream: Stream, block: int) -> NDArray[np.int64]:
        """The orders of one seed, (BLOCK, size): items sorted by random priorities, ties by index."""
        priority = stream.at(block).bit_generator.random_raw((BLOCK, self._size))
        # Store the index in the lowest bits: sorting these numbers is four times faster than an argsort.
        bits = np.uint64(max(self._size - 1, 1).bit_length())
        packed = (priority >> bits << bits) | np.arange(self._size, dtype=np.uint64)
        packed.sort(axis=-1)
        return (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
