"""Gradient codes: who holds which subsets, what devices send, and how a server reads it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import ALLOCATIONS, EMPTY
from byzcode.coding import DECODERS, ENCODERS
from byzcode.errors import UserError, complain
from byzcode.front import forms, gradients, named
from byzcode.kernels.gather import Code, coded_rows
from byzcode.lazy import torch
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage import allocations

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class Decoded(NamedTuple):
    """The gradient, in the form of one message, and whether decoding failed: a truth value, or (...) of them.

    After a failure the gradient is 0.
    """

    gradient: Any
    failed: Any


def allocate(
    allocation: str, devices: int, subsets: int, redundancy: int, *, seed: int = 0, **options: Any
) -> NDArray[np.int32]:
    """The subsets that each device holds, (N, S), in ascending order; -1 fills the rows of devices that hold fewer.

    They are those of a run with this seed. Raises UserError; ``byzcode allocations`` lists which sizes are supported.

    >>> import byzcode as bz
    >>> bz.allocate("cyclic", devices=4, subsets=4, redundancy=2).tolist()
    [[0, 1], [1, 2], [2, 3], [0, 3]]
    """
    named.entry(ALLOCATIONS, allocation, "allocate", "allocation")
    values = {
        "allocation": {"name": allocation, **options},
        "devices": devices,
        "subsets": subsets,
        "redundancy": redundancy,
        "seeds": [named.whole(seed, "allocate", "seed", 0, 2**32 - 1)],
    }
    lists: NDArray[np.int32] = allocations.draw(AllocationSpec.parse(values, "allocate"))[0]
    return lists


def encode(encoding: str, gradients_of_subsets: Any, assigned: Any, **options: Any) -> Any:
    """The messages of N devices, which combine the gradients of the M subsets that they hold.

    ``gradients_of_subsets`` have the forms of messages: an array (..., M, D), or a list of M gradients, such as lists
    of layers. The messages come in the same form, (..., N, D) or a list of N. ``assigned`` (N, S) are the subsets that
    each device holds, as from :func:`allocate`. draco_cyclic sends 2 D numbers, the real part and then the imaginary
    part, so it takes arrays (..., M, D) alone. Encoding is linear, and gradients pass through it. Raises UserError.

    >>> import byzcode as bz, numpy as np
    >>> held = bz.allocate("cyclic", 3, 3, 2)
    >>> bz.encode("uniform", np.array([[1.0], [3.0], [5.0]]), held).ravel().tolist()
    [2.0, 4.0, 3.0]
    """
    entry = named.entry(ENCODERS, encoding, "encode", "encoding")
    own = named.options("encoding", encoding, options, "encode")
    form = forms.read(gradients_of_subsets, "encode", "gradients")
    lists = _lists(assigned, form.devices)
    try:
        weights = entry(lists, form.devices, **own)
    except ValueError as error:
        raise UserError(f"encode: {encoding}: {error}") from None
    if np.iscomplexobj(weights) and form.build is not None:
        raise complain("encode", "encoding", encoding, "sends 2 D numbers; allowed: gradients in an array (..., M, D)")
    parts = (weights.real, weights.imag) if np.iscomplexobj(weights) else (weights,)
    sent = [_coded(form.runs, lists, part) for part in parts]
    return form.several(torch.cat(sent, dim=-1))


def decode(decoder: str, messages: Any, *, subsets: int, redundancy: int) -> Decoded:
    """The exact mean of the gradients of all subsets, from messages among which few enough are lies.

    ``messages`` are those of :func:`encode`: of the repetition code with uniform weights, or of draco_cyclic. Decoders
    vote or locate lies, so they have no gradient: messages that require one raise an error. Raises UserError.

    >>> import byzcode as bz, numpy as np
    >>> held = bz.allocate("repetition", devices=6, subsets=4, redundancy=2)
    >>> sent = bz.encode("uniform", np.array([[1.0], [2.0], [3.0], [6.0]]), held)
    >>> received = bz.attack("constant", sent, liars=[1, 4])
    >>> bz.decode("repetition", received, subsets=4, redundancy=2)
    Decoded(gradient=array([3.]), failed=False)
    """
    entry = named.entry(DECODERS, decoder, "decode", "decoder")
    form = forms.read(messages, "decode")
    held = named.whole(subsets, "decode", "subsets", 1)
    own = named.whole(redundancy, "decode", "redundancy", 1, held)
    reason = entry.refuses(form.devices, held, own)
    if reason is not None:
        raise complain("decode", "redundancy", redundancy, reason)
    if decoder == "draco_cyclic" and (form.build is not None or form.messages.shape[-1] % 2):
        raise UserError("decode: draco_cyclic reads messages of 2 D numbers; allowed: an array (..., N, 2 D)")
    gradients.check(form.messages, decoder, (), "decode")
    gradient, failed = entry.prepare(form.devices, held, own)(form.runs)
    return Decoded(form.one(gradient), form.each(failed) if form.batch else bool(failed.item()))


def _lists(assigned: Any, subsets: int) -> NDArray[np.int32]:
    """The lists (N, S) of subsets. Raises UserError."""
    lists = assigned.detach().cpu().numpy() if isinstance(assigned, torch.Tensor) else np.asarray(assigned)
    if lists.ndim != 2 or lists.dtype.kind not in "iu" or not lists.size:
        raise UserError("encode: assigned must be (N, S), the subsets of each device, as from allocate")
    if lists.min() < EMPTY or lists.max() >= subsets:
        raise UserError(f"encode: assigned must name subsets 0 to {subsets - 1}, or {EMPTY} for none")
    return lists.astype(np.int32)


def _coded(rows: Tensor, lists: NDArray[np.int32], weights: NDArray[Any]) -> Tensor:
    """Weighted sums (R, N, D) of rows (R, M, D)."""
    places = torch.from_numpy(np.where(lists == EMPTY, 0, lists).astype(np.int64)).to(rows.device)
    factor = torch.from_numpy(np.ascontiguousarray(weights)).to(rows)

    def of(rows: Tensor) -> Tensor:
        code = Code(places.expand(len(rows), -1, -1).contiguous(), factor.expand(len(rows), -1, -1).contiguous())
        return coded_rows(rows, rows.new_ones(rows.shape[:2]), code)

    return gradients.with_twin(of, partial(_twin, places=places, factor=factor), rows)


def _twin(rows: Tensor, *, places: Tensor, factor: Tensor) -> Tensor:
    matrix = factor.new_zeros(len(places), rows.shape[-2]).scatter_add(-1, places, factor)
    return matrix @ rows
