"""Messages in fewer bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from byzcode.compression import COMPRESSORS
from byzcode.front import forms, gradients, named
from byzcode.front.draws import draws_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

T = TypeVar("T")

WHERE = "compress"


class Compressed(NamedTuple, Generic[T]):
    """Messages as the server reads them, and the bits of each, a number if all have the same length, else (..., N)."""

    messages: T
    bits: int | Tensor | NDArray[np.int64]


def compress(
    compressor: str, messages: T, *, message_bits: int = 32, seed: int = 0, iteration: int = 0, **options: Any
) -> Compressed[T]:
    """Compress the messages of N devices, each by itself; the layers of a message are one vector.

    An uncompressed number takes ``message_bits``. Random numbers are those of a run with this seed in this iteration;
    along leading axes the seed grows by 1. Gradients pass through identity, random_k, bernoulli and top_k, at the
    entries that were kept; the other compressors raise an error for messages that require one. Raises UserError.

    >>> import byzcode as bz, numpy as np
    >>> bz.compress("top_k", np.array([[3.0, -4.0, 0.5, 1.0]]), share=0.5)
    Compressed(messages=array([[ 3., -4.,  0.,  0.]]), bits=68)
    """
    entry = named.entry(COMPRESSORS, compressor, WHERE, "compressor")
    own = named.options("compression", compressor, options, WHERE)
    bits = named.whole(message_bits, WHERE, "message_bits", 1, 1024)
    form = forms.read(messages, WHERE)
    if compressor not in COMPRESSORS.added:
        gradients.check(form.messages, compressor, gradients.COMPRESSORS, WHERE)
    made = entry(form.runs, draws_of(form.runs, seed, iteration, WHERE), bits, **own)
    if compressor in COMPRESSORS.added:
        gradients.kept(made.messages, form.messages, compressor, WHERE)
    return Compressed(form.several(made.messages), made.bits if isinstance(made.bits, int) else form.each(made.bits))
