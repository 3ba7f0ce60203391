"""Matrix products that are bitwise the same alone and in a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


#: MKL's order of summation depends on the address of a matrix modulo this number of bytes.
ALIGNED = 64


def product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix products (..., I, K) by (..., K, J), bitwise the same alone and in a batch.

    MKL's order of summation depends on the batch and on addresses. The CPU therefore multiplies the matrices one by
    one, from aligned addresses. Cost: I J K.
    """
    if left.device.type != "cpu":
        return torch.matmul(left, right)
    pairs = zip(left.reshape(-1, *left.shape[-2:]), right.reshape(-1, *right.shape[-2:]), strict=True)
    products = [torch.mm(_aligned(a), _aligned(b)) for a, b in pairs]
    made = products[0] if len(products) == 1 else torch.stack(products) if products else left.new_empty(0)
    return made.view(*left.shape[:-1], right.shape[-1])


#: Outputs up to which single precision is faster with the outputs along the rows.
NARROW = 32


def outputs_of(inputs: Tensor, weight: Tensor) -> Tensor:
    """The outputs (R, K, o) of a linear map with weights (R, o, i), of inputs (R, K, i). Cost: K o i.

    In single precision a few outputs are computed along the rows, where MKL takes about half the time. In double
    precision the bits are those of the plain product.
    """
    if inputs.device.type == "cpu" and inputs.dtype == torch.float32 and weight.shape[-2] <= NARROW:
        return product(weight, inputs.mT).mT.contiguous()
    return product(inputs, weight.mT)


def times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Matrices (R, I, K) times vectors (R, K), (R, I), bitwise the same alone and in a batch. Cost: I K."""
    if matrices.device.type != "cpu":
        return torch.bmm(matrices, vectors.unsqueeze(-1)).squeeze(-1)
    products = [torch.mv(_aligned(a), _aligned(b)) for a, b in zip(matrices.unbind(), vectors.unbind(), strict=True)]
    return torch.stack(products) if len(products) > 1 else products[0].unsqueeze(0)


def batched(left: Tensor, right: Tensor) -> Tensor:
    """Products (R, M, I, K) by (R, M, K, J) of many small matrices, with the same bits for a run alone and in a batch.

    On the CPU the M products of a run are made together, run by run, for the reason in :func:`product`. Cost: M I J K.
    """
    if left.device.type != "cpu":
        return torch.matmul(left, right)
    made = [torch.bmm(_aligned(a), _aligned(b)) for a, b in zip(left.unbind(), right.unbind(), strict=True)]
    return torch.stack(made) if len(made) > 1 else made[0].unsqueeze(0)


def by_run(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """A function of entries or rows, of values (R, ...), with the same bits for a run alone and in a batch.

    On the CPU torch vectorises exp, log and similar functions, and computes the last few entries of an array otherwise.
    """
    if values.device.type != "cpu" or len(values) == 1:
        return function(values)
    return torch.stack([function(each) for each in values.unbind()])


def _aligned(tensor: Tensor) -> Tensor:
    return tensor if tensor.data_ptr() % ALIGNED == 0 else tensor.clone()
