"""The number of entries that a sparsifier keeps, and the bits that name a kept entry."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

Share = Annotated[float, Field(gt=0, le=1, description="k / D, the share of entries that are kept.")]


def kept_of(dimension: int, share: float) -> int:
    """The number k that is nearest to ``share`` times D, at least 1."""
    return max(1, math.floor(round(share * dimension, 9) + 0.5))


def place_bits(dimension: int) -> int:
    """The bits that name one of D entries, ceil(log2 D)."""
    return (dimension - 1).bit_length()
