"""The named methods of the papers: each a composition of an allocation, an encoder and what the server does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: What the server does with an iteration: apply the rule to all messages, average the honest ones (it knows who
#: lies), or take the true gradient.
Server = Literal["rule", "honest_mean", "true_gradient"]


@dataclass(frozen=True)
class Method:
    """A method by its title, its source and the parts of a run that it settles.

    ``defaults`` hold where a run says nothing else; ``fixed`` are what makes it this method and cannot be changed.
    ``coded`` methods need a redundancy; the others hold M / N disjoint subsets a device unless told otherwise.
    """

    title: str
    source: str
    coded: bool
    server: Server = "rule"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)


_UNCODED = {"allocation": "disjoint", "encoding": "uniform"}
_CODED = {"allocation": "random", "encoding": "uniform"}
_CORRECTED = {"allocation": "random", "encoding": "replication"}

METHODS: dict[str, Method] = {
    "ma": Method(
        title="MA",
        source="mean of uncoded messages, a baseline of CRA-DL (2506.01989)",
        coded=False,
        defaults=_UNCODED,
        fixed={"aggregation": "mean"},
    ),
    "rba_dl": Method(
        title="RBA-DL",
        source="robust bounded aggregation without coding, a baseline of CRA-DL (2506.01989)",
        coded=False,
        defaults=_UNCODED,
    ),
    "sgc_dl": Method(
        title="SGC-DL",
        source="stochastic gradient coding with its replication weights (1905.05383), plain mean",
        coded=True,
        defaults=_CORRECTED,
        fixed={"aggregation": "mean"},
    ),
    "cra_dl": Method(
        title="CRA-DL",
        source="coded robust aggregation, weights 1/r (2506.01989)",
        coded=True,
        defaults=_CODED,
    ),
    "cra_dl_corrected": Method(
        title="CRA-DL, replication-corrected",
        source="coded robust aggregation (2506.01989) with the weights of stochastic gradient coding (1905.05383)",
        coded=True,
        defaults=_CORRECTED,
    ),
    "clairvoyant": Method(
        title="Clairvoyant",
        source="mean of the honest coded gradients: the server knows who lies (2506.01989)",
        coded=True,
        server="honest_mean",
        defaults=_CODED,
        fixed={"aggregation": "mean"},
    ),
    "gradient_descent": Method(
        title="Gradient descent",
        source="the true gradient: the other reading of a clairvoyant server, and the floor of every method",
        coded=False,
        server="true_gradient",
        defaults=_UNCODED,
        fixed={"aggregation": "mean", "attack": "none", "byzantine": {"alpha": 0.0}},
    ),
}
