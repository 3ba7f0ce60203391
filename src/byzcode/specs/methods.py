"""The named methods of the papers. Each combines an allocation, an encoder and a kind of server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from byzcode.errors import KeyedError, one_of

#: What the server does in an iteration: apply the rule to all messages, vote on the copies of each file and apply the
#: rule to the results, decode the messages, average the honest ones (this server knows which devices are Byzantine), or
#: take the true gradient.
ServerKind = Literal["rule", "votes", "decoder", "honest_mean", "true_gradient"]


@dataclass(frozen=True)
class Method:
    """A method: its title, its source, and the fields of a run that it sets.

    A run may override the ``defaults``, but not the ``fixed`` fields, which define the method. A ``coded`` method needs
    a redundancy; with another method each device holds M / N disjoint subsets by default. ``decoder`` is a name in
    ``byzcode.coding.DECODERS``, for a server that decodes, and ``vote`` one in ``byzcode.coding.VOTES``, for one that
    votes: its devices send the mean gradient of each of their files.
    """

    title: str
    source: str
    coded: bool
    server: ServerKind = "rule"
    decoder: str = ""
    vote: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)


_UNCODED = {"allocation": "disjoint", "encoding": "uniform"}
_CODED = {"allocation": "random", "encoding": "uniform"}
_CORRECTED = {"allocation": "random", "encoding": "replication"}
_CYCLIC = {"allocation": "cyclic", "encoding": "uniform", "assignment": "redrawn"}
_SHORT = {"compression": "random_k"}

_MEAN = {"aggregation": "mean", "pre_aggregation": "none"}
_UNCOMPRESSED = {"compression": "identity"}
_EXACT = {**_MEAN, **_UNCOMPRESSED, "assignment": "fixed"}
_COPIES = {**_UNCOMPRESSED, "assignment": "fixed", "encoding": "uniform"}

METHODS: dict[str, Method] = {
    "ma": Method(
        title="MA",
        source="mean of uncoded messages, a baseline of CRA-DL (2506.01989)",
        coded=False,
        defaults=_UNCODED,
        fixed=_MEAN,
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
        fixed=_MEAN,
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
        source="mean of the honest coded gradients: our reading of the server that knows who lies (2506.01989)",
        coded=True,
        server="honest_mean",
        defaults=_CODED,
        fixed=_MEAN,
    ),
    "gradient_descent": Method(
        title="Gradient descent",
        source="the true gradient: the other reading of a clairvoyant server, and the floor of every method",
        coded=False,
        server="true_gradient",
        defaults=_UNCODED,
        fixed={**_EXACT, "attack": "none", "byzantine": {"alpha": 0.0}},
    ),
    "draco_repetition": Method(
        title="DRACO, repetition code",
        source="groups of devices send the same, majority vote in each (1803.09877)",
        coded=True,
        server="decoder",
        decoder="repetition",
        fixed={**_EXACT, "allocation": "repetition", "encoding": "uniform"},
    ),
    "draco_cyclic": Method(
        title="DRACO, cyclic code",
        source="complex DFT code on cyclic windows, errors located and erased (1803.09877)",
        coded=True,
        server="decoder",
        decoder="draco_cyclic",
        fixed={**_EXACT, "allocation": "cyclic", "encoding": "draco_cyclic"},
    ),
    "detox": Method(
        title="DETOX",
        source="groups of devices send the same, majority vote in each, then a robust rule (1907.12205)",
        coded=True,
        server="votes",
        vote="majority",
        defaults={"aggregation": "median"},
        fixed={**_COPIES, "allocation": "repetition"},
    ),
    "byzshield": Method(
        title="ByzShield",
        source="files spread over devices that share few, majority vote on each file, then a robust rule (2010.04902)",
        coded=True,
        server="votes",
        vote="majority",
        defaults={"allocation": "mols", "aggregation": "median"},
        fixed=_COPIES,
    ),
    "aspis": Method(
        title="Aspis",
        source="any two devices share files, only the maximum clique of those that agree counts (2108.02416)",
        coded=True,
        server="votes",
        vote="cliques",
        defaults={"allocation": "block_design", "aggregation": "median"},
        fixed=_COPIES,
    ),
    "s_plus_one": Method(
        title="s + 1 copies",
        source="groups of s + 1 devices send the same, the server settles disagreements by computing (2401.02380)",
        coded=True,
        server="votes",
        vote="recomputation",
        fixed={**_COPIES, **_MEAN, "allocation": "repetition"},
    ),
    "va": Method(
        title="VA",
        source="vanilla averaging of uncoded messages, a baseline of LAD (2603.28780)",
        coded=False,
        defaults=_UNCODED,
        fixed=_MEAN | _UNCOMPRESSED,
    ),
    "cwtm": Method(
        title="CWTM",
        source="coordinate-wise trimmed mean of uncoded messages, a baseline of LAD (2603.28780)",
        coded=False,
        defaults=_UNCODED,
        fixed={"aggregation": "trimmed_mean", "pre_aggregation": "none", **_UNCOMPRESSED},
    ),
    "cwtm_nnm": Method(
        title="CWTM-NNM",
        source="the same behind nearest neighbour mixing (2302.01772), a baseline of LAD (2603.28780)",
        coded=False,
        defaults=_UNCODED,
        fixed={"aggregation": "trimmed_mean", "pre_aggregation": "nnm", **_UNCOMPRESSED},
    ),
    "lad": Method(
        title="LAD",
        source="cyclic gradient coding, tasks assigned anew at each iteration, any robust rule (2603.28780)",
        coded=True,
        defaults=_CYCLIC,
        fixed=_UNCOMPRESSED,
    ),
    "com_lad": Method(
        title="Com-LAD",
        source="LAD with compression after the encoding (2603.28780, for unbiased compressors)",
        coded=True,
        defaults=_CYCLIC | _SHORT,
    ),
    "com_va": Method(
        title="Com-VA",
        source="vanilla averaging of compressed uncoded messages, a baseline of Com-LAD (2603.28780)",
        coded=False,
        defaults=_UNCODED | _SHORT,
        fixed=_MEAN,
    ),
    "com_cwtm": Method(
        title="Com-CWTM",
        source="trimmed mean of compressed uncoded messages, a baseline of Com-LAD (2603.28780)",
        coded=False,
        defaults=_UNCODED | _SHORT,
        fixed={"aggregation": "trimmed_mean", "pre_aggregation": "none"},
    ),
    "com_cwtm_nnm": Method(
        title="Com-CWTM-NNM",
        source="the same behind nearest neighbour mixing, a baseline of Com-LAD (2603.28780)",
        coded=False,
        defaults=_UNCODED | _SHORT,
        fixed={"aggregation": "trimmed_mean", "pre_aggregation": "nnm"},
    ),
    "com_tgn": Method(
        title="Com-TGN",
        source="compressed uncoded messages, trimmed by gradient norm (1911.09721), a baseline of Com-LAD (2603.28780)",
        coded=False,
        defaults=_UNCODED | _SHORT,
        fixed={"aggregation": "norm_trimming", "pre_aggregation": "none"},
    ),
}


def method_named(name: Any) -> Method:
    """Look up a method. Raises KeyedError if the table has no method of that name."""
    if not isinstance(name, str) or name not in METHODS:
        raise KeyedError("method", name, "unknown method; " + one_of(METHODS, name))
    return METHODS[name]
