"""Sparse weighted sums of rows: the coded gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def weighted_rows(rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """``out[i] = sum_s weight[i, s] rows[index[i, s]]``, never through a dense matrix.

    ``rows`` (K, D); ``index`` and ``weight`` (I, S); returns (I, D). Each sum runs over s in order, so a result does
    not depend on what else is in the batch. Cost: I S D multiplications.
    """
    return torch.nn.functional.embedding_bag(index, rows, per_sample_weights=weight, mode="sum")
