"""What a device sends of what it holds, and how it is decoded: encoders and decoders, one table each.

``ENCODERS[name](held, subsets, **options)`` gives the weight of each held subset's gradient, (N, S). Where weights are
complex, a device sends 2 D numbers, the real part of its combination and then the imaginary one.
``DECODERS[name].prepare(devices, subsets, redundancy)`` gives a function of the messages, see :class:`Decoder`.
"""

from byzcode.coding.decoder import Decoder
from byzcode.coding.decoders import DECODERS
from byzcode.coding.encoder import Encoder
from byzcode.coding.encoders import ENCODERS

__all__ = ["DECODERS", "ENCODERS", "Decoder", "Encoder"]
