"""Detection by agreement with all others (Aspis, Konstantinidis and Ramamoorthy 2022, 2108.02416), then a vote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byzcode.coding.agreement import agreements, most_frequent, without
from byzcode.coding.clique_search import only_maximum_clique
from byzcode.coding.vote import Decide, Vote, Voted
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def prepare(holders: NDArray[np.int64], devices: int, f: int) -> Decide:
    """Trust the only maximum clique of devices that agree on all their common files, else take a majority vote.

    Confirmed from the public code: two devices are joined if they agree on every file that both hold. If this graph
    has several maximum cliques, the server takes a majority vote and its rule. If it has one, only the copies of the
    clique count, files without such a copy are left out, and the server averages if exactly f devices are outside, and
    applies its rule otherwise. Copies (R, F, c, D) to (R, F, D). Cost: F c^2 D, and the search.

    The search first removes devices that disagree with more devices than can lie, which no clique of N - f devices
    contains. If disagreements are left, a CPU searches all cliques (:mod:`byzcode.coding.clique_search`); a GPU, which
    would have to wait for the graph, takes the majority vote. For the rule, a file that is left out is given the mean
    of the others, as the number of files must be the same in all runs (ours).
    """
    pairs = holders[:, :, None] * devices + holders[:, None, :]

    def decide(copies: Tensor, honest: Tensor) -> Voted:
        agree = agreements(copies)
        where = torch.from_numpy(pairs.reshape(-1)).to(copies.device)
        apart = torch.zeros(len(copies), devices**2, dtype=torch.int32, device=copies.device)
        apart = apart.index_add_(1, where, (~agree).flatten(1).to(torch.int32)).view(-1, devices, devices) > 0
        trusted, unique = _trusted(apart, f)
        held = trusted[:, torch.from_numpy(holders).to(copies.device)] | ~unique[:, None, None]
        vectors = without(*most_frequent(copies, agree, held))
        return Voted(vectors, unique & (trusted.sum(dim=-1) == devices - f))

    return decide


def _trusted(apart: Tensor, f: int) -> tuple[Tensor, Tensor]:
    """The maximum clique of devices, (R, N), given which disagree, (R, N, N); and whether it is the only one, (R,)."""
    trusted = torch.ones_like(apart[..., 0])
    here = apart.device.type == "cpu"
    for _ in range(f):
        others = (apart & trusted.unsqueeze(-2)).sum(dim=-1)
        left = f - (~trusted).sum(dim=-1, keepdim=True)
        lying = trusted & (others > left)
        trusted = trusted & ~lying
        if here and not lying.any():
            break
    unique = ~(apart & trusted.unsqueeze(-1) & trusted.unsqueeze(-2)).flatten(1).any(dim=-1)
    if here:
        for run in (~unique).nonzero().flatten().tolist():
            clique = only_maximum_clique(~apart[run].numpy(), trusted[run].numpy())
            if clique is not None:
                trusted[run], unique[run] = torch.from_numpy(clique), True
    return trusted, unique


ENTRY = Vote(prepare, pairwise=True)
