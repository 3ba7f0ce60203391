"""The tables of encoders, by which devices combine the gradients of their subsets, and of decoders for the server.

``ENCODERS[name](assigned, subsets, **options)`` returns the weight of each assigned subset's gradient, (N, S). If
weights are complex, a device sends 2 D numbers: the real part of its combination and then the imaginary part.
``DECODERS[name].prepare(devices, subsets, redundancy)`` returns a function of the messages, see :class:`Decoder`.
"""

from byzcode.coding.decoder import Decoder
from byzcode.coding.decoders import DECODERS
from byzcode.coding.encoder import Encoder
from byzcode.coding.encoders import ENCODERS

__all__ = ["DECODERS", "ENCODERS", "Decoder", "Encoder"]
