"""The gradients of the subsets of a linear layer, summed for each device while in the cache: float32 on a CPU.

The gradient of a subset is the sum over its examples of left outer right, (o, i). It is never stored: the compiled code
makes a few rows and columns of it in registers, and adds them to the sums of the devices that hold the subset. Sums run
over examples and then over subsets in order, so a result does not depend on the rest of the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from byzcode.kernels.gather import DENSE, Code
from byzcode.kernels.native import function
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Inputs of the narrowest layer that the compiled code takes: a vector.
NARROWEST = 16


class Layer(NamedTuple):
    """Derivatives with respect to a layer's outputs, (R, K, o), its inputs (R, K, i), and subsets' sizes, (R, M)."""

    left: Tensor
    right: Tensor
    sizes: Tensor

    @property
    def parameters(self) -> int:
        """The number of weights, o i."""
        return self.left.shape[-1] * self.right.shape[-1]


def takes(like: Tensor) -> bool:
    """Whether there is compiled code for tensors like this."""
    return function("outer", like) is not None


def is_sparse(code: Code, subsets: int) -> bool:
    """Whether devices hold so few of the subsets that a matrix product of codes and gradients is slower."""
    return code.assigned.shape[-1] < DENSE * subsets


def coded(layer: Layer, code: Code, out: Tensor) -> bool:
    """Write the coded gradients into ``out`` (R, N, o i), a part of the messages; False if the layer is not taken.

    Cost: K o i, and N S o i multiplications.
    """
    compiled = function("outer", layer.left, layer.right, code.weight, out)
    places = (code.assigned, code.weight, code.devices, code.names)
    if compiled is None or not (_as_expected(layer, *places) and _in_rows(out)):
        return False
    runs, devices, slots = code.assigned.shape
    pointers = [None if each is None else each.data_ptr() for each in (*layer, *places, out)]
    compiled(*pointers, runs, layer.sizes.shape[1], *_shape(layer), devices, slots, out.stride(1))
    return True


def squared_distances(layer: Layer, centre: Tensor, out: Tensor) -> bool:
    """Add to ``out`` (R, M), in float64, the squared distances of the subsets' gradients from ``centre`` (R, o i).

    False if the layer is not taken. Cost: K o i.
    """
    compiled = function("spread", layer.left, layer.right, centre)
    if compiled is None or not (_as_expected(layer, out) and centre.stride(-1) == 1):
        return False
    pointers = [each.data_ptr() for each in (*layer, centre, out)]
    compiled(*pointers, *layer.sizes.shape, *_shape(layer), centre.stride(0))
    return True


def _shape(layer: Layer) -> tuple[int, int]:
    return layer.left.shape[-1], layer.right.shape[-1]


def _in_rows(out: Tensor) -> bool:
    """Whether the compiled code can write there: all messages are as far from each other, and dense along D."""
    return out.stride(2) == 1 and out.stride(0) == out.shape[1] * out.stride(1)


def _as_expected(layer: Layer, *others: Tensor | None) -> bool:
    """Whether types and strides are those that the compiled code requires."""
    if layer.right.shape[-1] < NARROWEST or layer.sizes.dtype != torch.int64:
        return False
    return all(each is None or each.is_contiguous() for each in (*layer, *others))
