"""Liars chosen against the allocation: the set of devices whose silence unbalances the honest messages most. Ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Inner products are rounded to this part of the largest one, so that equal ones are equal, and their sums exact.
_GRID = 2.0**-30


def chosen(gram: NDArray[np.float64], f: int) -> NDArray[np.int64]:
    """The order of the N devices in which the first f are the worst liars that a search finds.

    ``gram`` (N, N) has the inner products of the devices' centred weights, ``w_i - s_i / M`` with s_i the sum of w_i.
    The liars maximise ``||sum_honest (w_i - s_i / M)||^2``. If the labels of the subsets were exchanged at random, this
    would be proportional to the part of the expected squared distance between the mean honest message and the gradient
    that comes from heterogeneity (:func:`byzcode.theory.expectations.random_labels`). With weights 1/r it is the
    variance of the number of honest copies over the subsets: to take a copy away raises it most where few are left, so
    the liars cover the least replicated subsets, and among these those that they can cover together.

    The search takes the best device f times, and then exchanges the best pair while this helps; ties go to the lower
    number. The set that it finds need not be the worst one, and what liars then send is not part of what they maximise.
    Cost: N^2, and N f per exchange.
    """
    devices, unit = len(gram), _GRID * max(float(np.abs(gram).max()), np.finfo(float).tiny / _GRID)
    gram = np.rint(gram / unit)
    own = gram.diagonal()
    lies, shares = np.zeros(devices, dtype=bool), gram.sum(axis=1)  # <w_i, sum over honest j of w_j>
    for _ in range(f):
        worst = int(np.where(lies, -np.inf, own - 2 * shares).argmax())
        lies[worst] = True
        shares = shares - gram[worst]
    while 0 < f < devices:
        liars, honest = np.flatnonzero(lies), np.flatnonzero(~lies)
        gain = (own + 2 * shares)[liars, None] + (own - 2 * shares)[honest] - 2 * gram[np.ix_(liars, honest)]
        place = np.unravel_index(gain.argmax(), gain.shape)
        if not gain[place] > 0:
            break
        out, into = liars[place[0]], honest[place[1]]
        lies[out], lies[into] = False, True
        shares = shares + gram[out] - gram[into]
    return np.argsort(~lies, kind="stable")


def centred(weights: NDArray[Any]) -> NDArray[np.float64]:
    """The centred weights (N, M) of weights (N, M); (N, 2 M) if they are complex, as the messages are then."""
    parts = np.concatenate([weights.real, weights.imag], axis=-1) if np.iscomplexobj(weights) else weights
    within = parts.reshape(len(weights), -1, weights.shape[-1])
    around: NDArray[np.float64] = (within - within.mean(axis=-1, keepdims=True)).reshape(parts.shape)
    return around
