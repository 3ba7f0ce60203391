"""How messages are shortened: compressors, in one table.

``COMPRESSORS[name](messages, draws, number_bits, **options)`` maps messages (R, N, D) to what the server reads of
them, (R, N, D), and the bits that each device sent. The docstring of each gives its delta, for which
E ||C(x) - x||^2 <= delta ||x||^2; ``byzcode.theory.constants.DELTA`` holds them.
"""

from collections.abc import Callable

from byzcode.compression.bernoulli import bernoulli
from byzcode.compression.compressor import Compressed
from byzcode.compression.identity import identity
from byzcode.compression.natural import natural
from byzcode.compression.qsgd import qsgd
from byzcode.compression.random_k import random_k
from byzcode.compression.scaled_sign import scaled_sign
from byzcode.compression.top_k import top_k

COMPRESSORS: dict[str, Callable[..., Compressed]] = {
    "identity": identity,
    "random_k": random_k,
    "bernoulli": bernoulli,
    "top_k": top_k,
    "qsgd": qsgd,
    "scaled_sign": scaled_sign,
    "natural": natural,
}

__all__ = ["COMPRESSORS", "Compressed"]
