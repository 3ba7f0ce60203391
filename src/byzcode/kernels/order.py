"""Order statistics over the devices."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byzcode.kernels.native import function
from byzcode.kernels.select import least
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Above this number of devices numpy's sort is faster: a network has N log^2 N comparators and leaves the cache.
WIDEST = 512

#: The statistics of statistic.cpp, by their number there.
_SORTED, _MEDIAN, _TRIMMED_MEAN, _NEAREST_MEDIAN, _NEAREST_TRIMMED_MEAN = range(5)


def sort_devices(messages: Tensor) -> Tensor:
    """Sort each coordinate of (..., N, D) over the devices, NaN last.

    The CPU uses a sorting network along the coordinates or numpy's SIMD sort, 6 to 14 times faster than torch's in
    float64. A GPU uses torch's sort.
    """
    quick = _statistic(messages, _SORTED, 0, 0, messages.shape[-2])
    if quick is not None:
        return quick
    if messages.device.type == "cpu":
        return torch.from_numpy(np.sort(messages.detach().contiguous().numpy(), axis=-2))
    return messages.sort(dim=-2).values


def median(messages: Tensor) -> Tensor:
    """The median, (..., D), of (..., N, D) over N: the midpoint of the two central values if N is even."""
    devices = messages.shape[-2]
    quick = _statistic(messages, _MEDIAN, 0, (devices - 1) // 2, devices // 2 + 1)
    return _middle(sort_devices(messages)) if quick is None else quick


def trimmed_mean(messages: Tensor, f: int) -> Tensor:
    """Mean, (..., D), of the values of (..., N, D) after removing the f smallest and the f largest."""
    kept = messages.shape[-2] - f
    quick = _statistic(messages, _TRIMMED_MEAN, f, f, kept)
    return total(sort_devices(messages)[..., f:kept, :]) / (kept - f) if quick is None else quick


def mean_near_median(messages: Tensor, f: int) -> Tensor:
    """Mean, (..., D), of the N - f values of (..., N, D) nearest to their median; ties go to the lower value."""
    quick = _statistic(messages, _NEAREST_MEDIAN, f, 0, messages.shape[-2])
    if quick is not None:
        return quick
    ordered = sort_devices(messages)
    return _mean_of_nearest(ordered, _middle(ordered), f)


def mean_near_trimmed_mean(messages: Tensor, f: int) -> Tensor:
    """Mean, (..., D), of the N - f values of (..., N, D) nearest to their trimmed mean; ties go to the lower value."""
    devices = messages.shape[-2]
    quick = _statistic(messages, _NEAREST_TRIMMED_MEAN, f, 0, devices)
    if quick is not None:
        return quick
    ordered = sort_devices(messages)
    return _mean_of_nearest(ordered, total(ordered[..., f : devices - f, :]) / (devices - 2 * f), f)


def total(values: Tensor) -> Tensor:
    """The sum over devices, (..., D), of (..., N, D); on the CPU in the order of the devices."""
    if values.device.type != "cpu":
        return values.sum(dim=-2)
    array = values.detach().contiguous().numpy()
    if array.shape[-1] == 1:  # numpy would sum a single column pairwise, in another order
        return torch.from_numpy(np.add.accumulate(array, axis=-2)[..., -1, :])
    return torch.from_numpy(np.add.reduce(array, axis=-2))


def _middle(ordered: Tensor) -> Tensor:
    """The median, (..., D), of values (..., N, D) sorted over N: the midpoint of the two central values."""
    devices = ordered.shape[-2]
    low, high = ordered[..., (devices - 1) // 2, :], ordered[..., devices // 2, :]
    return 0.5 * low + 0.5 * high  # halve first: the sum of two huge numbers could overflow


def _mean_of_nearest(ordered: Tensor, centre: Tensor, f: int) -> Tensor:
    """Mean of the N - f values nearest to a centre, per coordinate; ties go to the lower value.

    ``ordered`` (..., N, D) is sorted over N, ``centre`` is (..., D); returns (..., D). The nearest values are
    consecutive, so the s-th smallest is dropped exactly if the (s + N - f)-th is nearer, for each s < f.
    """
    kept = ordered.shape[-2] - f
    middle = centre.unsqueeze(-2)
    upper = middle - ordered[..., :f, :] > ordered[..., kept:, :] - middle  # false for NaN, which is sorted last
    # Each value is either added or not, never added and subtracted again. If f > N / 2, a value has two counterparts.
    taken = torch.ones_like(ordered, dtype=torch.bool)
    taken[..., :f, :] = ~upper
    taken[..., kept:, :] &= upper
    return total(torch.where(taken, ordered, 0.0)) / kept


def mean_of_least(messages: Tensor, scores: Tensor, kept: int) -> Tensor:
    """Mean, (..., D), of the ``kept`` messages (..., N, D) with the smallest scores (..., N); ties as in ``least``."""
    return take_devices(messages, least(scores, messages, kept)).mean(dim=-2)


def take_devices(messages: Tensor, chosen: Tensor) -> Tensor:
    """The messages (..., K, D) of the devices ``chosen`` (..., K)."""
    devices, dimension = messages.shape[-2:]
    taken = messages.reshape(-1, dimension).index_select(0, _places(chosen, devices))
    return taken.view(*chosen.shape, dimension)


def put_devices(messages: Tensor, chosen: Tensor, others: Tensor) -> Tensor:
    """The messages (..., N, D), those of the devices ``chosen`` (..., K) replaced by ``others`` (..., K, D)."""
    devices, dimension = messages.shape[-2:]
    out = messages.clone(memory_format=torch.contiguous_format)
    others = others.expand(*chosen.shape, dimension).reshape(-1, dimension)
    out.view(-1, dimension).index_copy_(0, _places(chosen, devices), others)
    return out


def _places(chosen: Tensor, devices: int) -> Tensor:
    """The indices of the chosen devices (..., K) in the flat list of the devices of all runs."""
    runs = chosen.shape[:-1].numel()
    if runs > 1:
        chosen = chosen + _firsts(runs, devices, chosen.device).view(*chosen.shape[:-1], 1)
    return chosen.reshape(-1)


@lru_cache(maxsize=64)  # an iteration needs the same numbers a few times
def _firsts(runs: int, devices: int, device: torch.device) -> Tensor:
    """The place of the first device of each run in the flat list of the devices of all runs, (runs,)."""
    with torch.inference_mode(mode=False):  # also callers outside of inference mode get it
        return torch.arange(0, runs * devices, devices, device=device)


def _statistic(messages: Tensor, which: int, f: int, first: int, last: int) -> Tensor | None:
    """A statistic of statistic.cpp, which needs the sorted values ``first`` to ``last``; None if not available."""
    devices, dimension = messages.shape[-2:]
    compiled = function("statistic", messages)
    if compiled is None or devices > WIDEST:
        return None
    messages, batch = messages.contiguous(), messages.shape[:-2]
    out = messages.new_empty(messages.shape if which == _SORTED else (*batch, dimension))
    pairs, place = _network(devices, first, last)
    compiled(messages.data_ptr(), out.data_ptr(), place, batch.numel(), devices, dimension, len(pairs), which, f)
    return out


@cache
def _network(size: int, first: int, last: int) -> tuple[NDArray[np.int32], int]:
    """A network and its address in memory."""
    pairs = network(size, first, last)
    return pairs, pairs.ctypes.data


def network(size: int, first: int, last: int) -> NDArray[np.int32]:
    """The comparators, (C, 2), of a network on ``size`` values that sorts the positions ``first`` to ``last``.

    Batcher's merge exchange (Knuth, The Art of Computer Programming 5.2.2, algorithm M), without the comparators that
    do not affect these positions.
    """
    comparators: list[NDArray[np.int32]] = []
    top = 1 << max((size - 1).bit_length() - 1, 0)
    width = top
    while width > 0:
        reach, offset, distance = top, 0, width
        while True:
            low = np.arange(size - distance, dtype=np.int32)
            low = low[(low & width) == offset]
            comparators.append(np.stack([low, low + distance], axis=-1))
            if reach == width:
                break
            distance, reach, offset = reach - width, reach // 2, width
        width //= 2
    needed = np.zeros(size, dtype=bool)
    needed[first:last] = True
    kept = []
    for pairs in reversed(comparators):  # the comparators of a step have no position in common
        pairs = pairs[needed[pairs].any(axis=-1)]
        needed[pairs] = True
        kept.append(pairs)
    return np.ascontiguousarray(np.concatenate(kept[::-1])) if kept else np.empty((0, 2), dtype=np.int32)
