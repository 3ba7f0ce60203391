"""The tables of encoders, by which devices combine gradients, and of decoders and votes for the server.

``ENCODERS[name](assigned, subsets, **options)`` returns the weight of each assigned subset's gradient, (N, S). If
weights are complex, a device sends 2 D numbers: the real part of its combination and then the imaginary part.
``DECODERS[name].prepare(devices, subsets, redundancy)`` returns a function of the messages, see :class:`Decoder`.
``VOTES[name].prepare(holders, devices, f)`` returns a function of the copies of files, see :class:`Vote`.
"""

from byzcode.coding.decoder import Decoder
from byzcode.coding.decoders import DECODERS
from byzcode.coding.encoder import Encoder
from byzcode.coding.encoders import ENCODERS
from byzcode.coding.vote import Vote
from byzcode.coding.votes import VOTES

__all__ = ["DECODERS", "ENCODERS", "VOTES", "Decoder", "Encoder", "Vote"]
