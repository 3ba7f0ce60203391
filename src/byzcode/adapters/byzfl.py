"""byzfl's names, parameters and calls, computed by our rules, pre-aggregators and attacks. byzfl need not be installed.

``from byzcode.adapters import byzfl`` in place of ``import byzfl``: ``byzfl.TrMean(f=2)(vectors)``,
``byzfl.ALittleIsEnough(tau=1.5)(honest_vectors)``, ``byzfl.RobustAggregator({"name": "TrMean", ...}, [...])`` and
``byzfl.ByzantineClient({"name": "Inf", ...})``. Results are those of byzfl 0.0.11 on numpy arrays, to rounding, but for
what :class:`Served` says in ``differs``. In general:

- torch tensors keep their precision, where byzfl computes all tensors in float32;
- a parameter that is unknown or not served raises an error, where byzfl's dictionaries ignore it;
- nothing is written into the given vectors, where byzfl's Clipping and ARC do;
- Krum and MultiKrum need N >= 2 f + 3 vectors, where byzfl also takes N = 2 f + 1 and 2 f + 2.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from byzcode.errors import UserError, complain, one_of
from byzcode.front import named
from byzcode.front.aggregate import aggregate, pre_aggregate
from byzcode.front.attack import attack
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def _none() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Served:
    """What serves a name of byzfl.

    ``ours`` is the name of the component, ``options`` maps byzfl's parameters, with byzfl's defaults, to its options.
    The parameter f is passed on by itself. Parameters in ``only`` must have their default. ``differs`` says in what the
    result is not byzfl's.
    """

    ours: str
    options: Callable[..., dict[str, Any]] = _none
    only: frozenset[str] = frozenset()
    differs: str = ""


_TIES = "of equally good vectors ours takes the first by values, byzfl the first by place"
_SEARCHED = frozenset({"start", "delta", "ratio"})
_HARM = "where factors do the same harm, as all large ones if lies are clipped, rounding decides between them"

#: byzfl's aggregators.
AGGREGATORS: Mapping[str, Served] = {
    "Average": Served("mean"),
    "Median": Served("median"),
    "TrMean": Served("trimmed_mean", lambda f=0: {}),
    "GeometricMedian": Served(
        "geometric_median",
        differs="ours converges, so it takes neither nu nor T; byzfl makes T = 3 steps from zero by default",
    ),
    "Krum": Served("krum", lambda f=0: {"neighbours": "n-f-1"}, differs=_TIES),
    "MultiKrum": Served("multi_krum", lambda f=0: {"neighbours": "n-f-1"}, differs=_TIES),
    "CenteredClipping": Served(
        "centered_clipping",
        lambda L=1, tau=100.0: {"rounds": L, "radius": tau, "start": "zero"},  # noqa: N803
    ),
    "Meamed": Served("meamed", lambda f=0: {}, differs="of two values equally far from the median ours takes the less"),
}

#: byzfl's pre-aggregators.
PRE_AGGREGATORS: Mapping[str, Served] = {
    "NNM": Served("nnm", lambda f=0: {}, differs=_TIES),
    "Bucketing": Served("bucketing", lambda s=1: {"size": s}, differs="the random order is drawn from our streams"),
    "Clipping": Served("clipping", lambda c=2.0: {"radius": c}),
    "ARC": Served(
        "clipping",
        lambda f=0: {},
        differs="ours clips floor(2 f (N - f) / N) vectors, byzfl one fewer where its product is rounded down",
    ),
}

#: byzfl's attacks.
ATTACKS: Mapping[str, Served] = {
    "SignFlipping": Served("sign_flip", lambda: {"coefficient": -1.0, "of": "honest_mean"}),
    "InnerProductManipulation": Served("ipm", lambda tau=2.0: {"factor": tau}),
    "ALittleIsEnough": Served("alie", lambda tau=1.5: {"factor": -tau}),
    "Mimic": Served("mimic", lambda epsilon=0: {"victim": epsilon}),
    "Inf": Served("infinite"),
    "Gaussian": Served(
        "gaussian",
        lambda mu=0.0, sigma=1.0: {"scale": sigma},
        only=frozenset({"mu"}),
        differs="the random numbers are drawn from our streams",
    ),
    "Optimal_InnerProductManipulation": Served(
        "ipm_search",
        lambda agg=None, pre_agg_list=None, f=1, evals=20, start=0.0, delta=10.0, ratio=0.8: {"evaluations": evals},
        only=_SEARCHED,
        differs=_HARM,
    ),
    "Optimal_ALittleIsEnough": Served(
        "alie_search",
        lambda agg=None, pre_agg_list=None, f=1, evals=20, start=0.0, delta=10.0, ratio=0.8: {"evaluations": evals},
        only=_SEARCHED,
        differs=_HARM,
    ),
}

#: byzfl's names that nothing here serves.
NOT_SERVED: Mapping[str, str] = {
    "MDA": "byzcode has no minimum-diameter averaging",
    "MoNNA": "byzcode has no mean around the vector of one device",
    "CAF": "byzcode has no covariance-bound agnostic filter",
    "SMEA": "byzcode has no mean of the subset of least spectrum",
    "LabelFlipping": "it averages messages of flipped labels; use byzcode.attack('label_flip', ..., relabelled=...)",
}


class _Part:
    """A name with its parameters, bound and checked."""

    def __init__(self, table: Mapping[str, Served], field: str, name: str, parameters: Mapping[str, Any]) -> None:
        where = f"byzfl.{name}"
        if name in NOT_SERVED:
            raise UserError(f"{where}: {NOT_SERVED[name]}; {one_of(table)}")
        self._served = named.entry(table, name, "byzfl", "name")
        known = inspect.signature(self._served.options).parameters
        for key, value in parameters.items():
            if key not in known:
                more = f" ({self._served.differs})" if self._served.differs else ""
                allowed = one_of(known, key) if known else f"{name} has no parameters here"
                raise complain(where, key, value, f"unknown parameter; {allowed}{more}")
            if key in self._served.only and value != known[key].default:
                raise complain(where, key, value, f"allowed: {known[key].default}, the only value that is served")
        self._given = {key: about.default for key, about in known.items()} | dict(parameters)
        self._f = named.whole(self._given.get("f", 0), where, "f", 0)
        chosen = self._served.options(**self._given)
        self._options = named.options(field, self._served.ours, chosen, where)
        self._calls = 0

    def _next(self) -> int:
        """The number of this call, which random numbers depend on."""
        self._calls += 1
        return self._calls - 1


class Aggregator(_Part):
    """A rule by byzfl's name: ``Aggregator("TrMean", f=2)(vectors)``. CenteredClipping goes on from its last result.

    >>> import numpy as np
    >>> Aggregator("TrMean", f=1)(np.array([[1.0], [2.0], [3.0], [90.0]]))
    array([2.5])
    """

    def __init__(self, name: str, /, **parameters: Any) -> None:
        super().__init__(AGGREGATORS, "aggregation", name, parameters)
        self._centre: Any = None

    def __call__(self, vectors: Any) -> Any:
        """The aggregate of vectors (N, D), or a list of N vectors. Raises UserError."""
        ours = self._served.ours
        if ours != "centered_clipping":
            return aggregate(ours, vectors, self._f, **self._options)
        away = vectors if self._centre is None else [vector - self._centre for vector in vectors]
        moved = aggregate(ours, away, self._f, **self._options)
        self._centre = moved if self._centre is None else self._centre + moved
        return self._centre


class PreAggregator(_Part):
    """A pre-aggregator by byzfl's name: ``PreAggregator("NNM", f=2)(vectors)``."""

    def __init__(self, name: str, /, *, seed: int = 0, **parameters: Any) -> None:
        super().__init__(PRE_AGGREGATORS, "pre_aggregation", name, parameters)
        self._seed = seed

    def __call__(self, vectors: Any) -> Any:
        """The mixed vectors, in the form of the given ones. Raises UserError."""
        ours, now = self._served.ours, self._next()
        return pre_aggregate(ours, vectors, self._f, seed=self._seed, iteration=now, **self._options)


class Attack(_Part):
    """An attack by byzfl's name: ``Attack("ALittleIsEnough", tau=1.5)(honest_vectors)``.

    The attacks that search take ``agg``, a function of vectors, and ``pre_agg_list``, functions that come before it:
    those of this module or of byzfl. As in byzfl, they are Average and [Clipping] by default.

    >>> import numpy as np
    >>> Attack("InnerProductManipulation", tau=3.0)(np.array([[1.0, 2.0], [3.0, 2.0]]))
    array([-6., -6.])
    """

    def __init__(self, name: str, /, *, seed: int = 0, **parameters: Any) -> None:
        super().__init__(ATTACKS, "attack", name, parameters)
        self._seed = seed

    def __call__(self, honest_vectors: Any) -> Any:
        """The vector that all liars send. Raises UserError."""
        honest, liars = list(honest_vectors), max(self._f, 1)
        searches, copied = "agg" in self._given, self._given.get("epsilon", 0)
        if copied >= len(honest):
            raise complain("byzfl.Mimic", "epsilon", copied, f"allowed: 0 to {len(honest) - 1} (the honest vectors)")
        # byzfl's ALIE goes up from the mean and ours goes down, so its search is ours on mirrored messages.
        sign = -1.0 if self._served.ours == "alie_search" else 1.0
        if sign < 0:
            honest = [-vector for vector in honest]
        received = attack(
            self._served.ours,
            [*honest, *honest[:1] * liars],
            range(len(honest), len(honest) + liars),
            rule=self._rule(sign) if searches else None,
            seed=self._seed,
            iteration=self._next(),
            **self._options,
        )
        return -received[-1] if sign < 0 else received[-1]

    def _rule(self, sign: float) -> Callable[[Tensor], Tensor]:
        """What the server does with messages (R, N, D) that were multiplied by a sign, (R, D)."""
        agg, before = self._given["agg"] or Aggregator("Average"), self._given["pre_agg_list"]
        before = [PreAggregator("Clipping")] if before is None else before

        def rule(messages: Tensor) -> Tensor:
            answers = []
            for run in messages.detach().cpu().numpy():
                vectors = sign * run  # a copy, because byzfl's own clipping writes into it
                for part in before:
                    vectors = part(vectors)
                answers.append(sign * agg(vectors))
            return torch.from_numpy(np.stack(answers)).to(messages)

        return rule


class RobustAggregator:
    """As byzfl's: a rule and what comes before it, each ``{"name": ..., "parameters": {...}}``."""

    def __init__(self, aggregator_info: Mapping[str, Any], pre_agg_list: Sequence[Mapping[str, Any]] = ()) -> None:
        self.aggregator = _made(Aggregator, aggregator_info, "aggregator_info")
        self.pre_agg_list = [_made(PreAggregator, each, "pre_agg_list") for each in pre_agg_list]

    def aggregate_vectors(self, vectors: Any) -> Any:
        """The aggregate of vectors (N, D), or a list of N vectors. Raises UserError."""
        for part in self.pre_agg_list:
            vectors = part(vectors)
        return self.aggregator(vectors)


class ByzantineClient:
    """As byzfl's: f liars with one attack, ``{"name": ..., "f": ..., "parameters": {...}}``."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.f = named.whole(params.get("f"), "byzfl.ByzantineClient", "f", 0)
        parameters = dict(params.get("parameters", {}))
        if "aggregator_info" in parameters:
            parameters["agg"] = _made(Aggregator, parameters.pop("aggregator_info"), "aggregator_info")
        if "pre_agg_list" in parameters:
            before = parameters["pre_agg_list"]
            parameters["pre_agg_list"] = [_made(PreAggregator, each, "pre_agg_list") for each in before]
        self.attack = None
        if params.get("name") != "NoAttack":
            self.attack = _made(Attack, {"name": params.get("name"), "parameters": parameters}, "params")
        elif self.f:
            raise complain("byzfl.ByzantineClient", "f", self.f, "allowed: 0, because the attack is NoAttack")

    def apply_attack(self, honest_vectors: Any) -> list[Any]:
        """The f vectors of the liars, which are the same. Raises UserError."""
        return [self.attack(honest_vectors)] * self.f if self.attack and self.f else []


def _made(kind: type[Any], about: Mapping[str, Any], key: str) -> Any:
    """What a dictionary describes. Raises UserError."""
    if not isinstance(about, Mapping) or not isinstance(about.get("name"), str):
        raise complain("byzfl", key, about, "expected a mapping with a name, and perhaps parameters")
    for other in about:
        if other not in ("name", "parameters"):
            raise complain(f"byzfl.{about['name']}", other, about[other], "unknown key; allowed: name, parameters")
    return kind(about["name"], **about.get("parameters", {}))


def __getattr__(name: str) -> Any:
    """The classes of byzfl by their names."""
    for kind, table in ((Aggregator, AGGREGATORS), (PreAggregator, PRE_AGGREGATORS), (Attack, ATTACKS)):
        if name in table:
            return partial(kind, name)
    if name in NOT_SERVED:
        raise AttributeError(f"byzfl.{name}: {NOT_SERVED[name]}")
    everything = [*AGGREGATORS, *PRE_AGGREGATORS, *ATTACKS]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; {one_of(everything, name)}")
