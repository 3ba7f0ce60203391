"""Gradients of results with respect to messages: exact where a result has one, refused where it has none.

The kernels compute without autograd. Where an input requires a gradient, the result has the kernel's bits, and its
gradient is that of a twin written in torch, which gives the same numbers up to rounding. Rules that choose among
messages or values are differentiated at the choice they made, which changes nowhere but on a set of measure zero.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from byzcode.aggregation.geometric_median import geometric_median
from byzcode.aggregation.krum import scores
from byzcode.errors import UserError
from byzcode.kernels import order
from byzcode.kernels.distances import centred, norms, squared_distances
from byzcode.kernels.select import least
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    Function = Callable[[Tensor], Tensor]
    Twin = Callable[..., Tensor]


def wanted(*messages: Tensor | None) -> bool:
    """Whether autograd records what is done with some messages."""
    return torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in messages)


def check(messages: Tensor | None, name: str, differentiable: Collection[str], where: str) -> None:
    """Raise UserError if a gradient is wanted where there is none, instead of losing it in silence."""
    if name not in differentiable and wanted(messages):
        raise UserError(
            f"{where}: the messages require a gradient, and {name} has none here; allowed: detached messages, or "
            + ", ".join(differentiable)
        )


def kept(result: Tensor, messages: Tensor, name: str, where: str) -> Tensor:
    """The result of a part of the user. Raises UserError if it lost the gradient of the messages."""
    if wanted(messages) and not result.requires_grad:
        raise UserError(
            f"{where}: the messages require a gradient, and {name} loses it; allowed: detached messages, or torch "
            f"operations in {name} that keep it"
        )
    return result


def with_twin(function: Function, twin: Function, messages: Tensor) -> Tensor:
    """``function(messages)``, with the gradient of ``twin(messages)`` if one is wanted."""
    if not wanted(messages):
        return function(messages)
    result: Tensor = _WithTwin.apply(messages, function, twin)  # type: ignore[no-untyped-call]
    return result


class _WithTwin(torch.autograd.Function):
    """The bits of a function, and the gradient of its twin."""

    @staticmethod
    def forward(ctx: Any, messages: Tensor, function: Function, twin: Function) -> Tensor:
        ctx.save_for_backward(messages)
        ctx.twin = twin
        return function(messages.detach())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, None, None]:
        (messages,) = ctx.saved_tensors
        with torch.enable_grad():
            again = messages.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(ctx.twin(again), again, along)
        return gradient, None, None


# --- the twins of rules: messages (..., N, D), f and options to (..., D) ---------------------------------------------


def _mean(messages: Tensor, f: int) -> Tensor:
    return messages.mean(dim=-2)


def _median(messages: Tensor, f: int) -> Tensor:
    return _middle(_sorted(messages))


def _trimmed_mean(messages: Tensor, f: int) -> Tensor:
    return _sorted(messages)[..., f : messages.shape[-2] - f, :].mean(dim=-2)


def _meamed(messages: Tensor, f: int) -> Tensor:
    ordered = _sorted(messages)
    return _nearest(ordered, _middle(ordered), f)


def _phocas(messages: Tensor, f: int, *, variant: str) -> Tensor:
    if variant == "coordinate":
        ordered = _sorted(messages)
        return _nearest(ordered, ordered[..., f : messages.shape[-2] - f, :].mean(dim=-2), f)
    given = messages.detach()
    away = given - order.trimmed_mean(given, f).unsqueeze(-2)
    return _mean_of_least(messages, norms(away), messages.shape[-2] - f)


def _krum(messages: Tensor, f: int, *, neighbours: Any) -> Tensor:
    return _multi_krum(messages, f, neighbours=neighbours, kept=1)


def _multi_krum(messages: Tensor, f: int, *, neighbours: Any, kept: int | None) -> Tensor:
    distances = squared_distances(centred(messages.detach())[0])
    return _mean_of_least(messages, scores(distances, f, neighbours), kept or messages.shape[-2] - f)


def _norm_trimming(messages: Tensor, f: int) -> Tensor:
    return _mean_of_least(messages, norms(messages.detach()), messages.shape[-2] - f)


def _centered_clipping(messages: Tensor, f: int, *, radius: float, rounds: int, start: str) -> Tensor:
    centre = _median(messages, f) if start == "median" else torch.zeros_like(messages[..., 0, :])
    for _ in range(rounds):
        away = messages - centre.unsqueeze(-2)
        away = torch.where(away.isfinite().all(dim=-1, keepdim=True), away, 0.0)
        length = torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        centre = centre + torch.where(length > radius, away * (radius / length), away).mean(dim=-2)
    return centre


def _geometric_median(messages: Tensor, f: int, **options: Any) -> Tensor:
    """Newton's step from the solution, whose gradient is that of the solution as an implicit function; (..., D).

    Pulls u_i = (m_i - x) / d_i add up to 0, with the curvature H = a I - sum_i u_i u_i' / d_i, a = sum_i 1 / d_i. It is
    inverted in the span of the messages: H^-1 v = v / a + U' (diag(d) - U U' / a)^-1 U v / a^2. If the solution is one
    of the messages, it moves with this message.
    """
    given = messages.detach().double()
    point = geometric_median(given, f, **options)
    gone = ~given.isfinite().all(dim=-1, keepdim=True)
    away = torch.where(gone, 0.0, given - point.unsqueeze(-2))
    far = torch.linalg.vector_norm(away, dim=-1, keepdim=True)
    nearest = far.masked_fill(gone, torch.inf).argmin(dim=-2, keepdim=True)
    taken = far.gather(-2, nearest) <= _AT * far.amax(dim=-2, keepdim=True)
    still = taken | gone
    length = torch.where(still, 1.0, far)
    weight = torch.where(gone, 0.0, 1 / length)
    total, units = weight.sum(dim=-2, keepdim=True), away * weight
    inner = torch.diag_embed(length.squeeze(-1)) - units @ units.mT / total
    pulled = torch.where(still, 0.0, messages.double() - point.unsqueeze(-2))
    force = (pulled / torch.where(still, 1.0, torch.linalg.vector_norm(pulled, dim=-1, keepdim=True))).sum(dim=-2)
    across = torch.linalg.solve_ex(inner, units @ force.unsqueeze(-1)).result
    step = force / total.squeeze(-2) + (units.mT @ across).squeeze(-1) / total.squeeze(-2).square()
    there = torch.take_along_dim(messages.double(), nearest, dim=-2).squeeze(-2)
    return torch.where(taken.squeeze(-2), there, point + step).to(messages.dtype)


#: A message as near to the geometric median as this part of the farthest one is the median.
_AT = 1e-12


def _sorted(messages: Tensor) -> Tensor:
    return messages.sort(dim=-2).values


def _middle(ordered: Tensor) -> Tensor:
    devices = ordered.shape[-2]
    return 0.5 * ordered[..., (devices - 1) // 2, :] + 0.5 * ordered[..., devices // 2, :]


def _nearest(ordered: Tensor, centre: Tensor, f: int) -> Tensor:
    """The mean of the N - f values nearest to a centre, as in :mod:`byzcode.kernels.order`."""
    left, middle = ordered.shape[-2] - f, centre.unsqueeze(-2)
    upper = middle - ordered[..., :f, :] > ordered[..., left:, :] - middle
    taken = torch.ones_like(ordered, dtype=torch.bool)
    taken[..., :f, :] = ~upper
    taken[..., left:, :] &= upper
    return torch.where(taken, ordered, 0.0).sum(dim=-2) / left


def _mean_of_least(messages: Tensor, scores: Tensor, kept: int) -> Tensor:
    return order.take_devices(messages, least(scores, messages.detach(), kept)).mean(dim=-2)


RULES: Mapping[str, Twin] = {
    "mean": _mean,
    "median": _median,
    "trimmed_mean": _trimmed_mean,
    "phocas": _phocas,
    "meamed": _meamed,
    "geometric_median": _geometric_median,
    "krum": _krum,
    "multi_krum": _multi_krum,
    "centered_clipping": _centered_clipping,
    "norm_trimming": _norm_trimming,
}

#: Written in torch throughout, so that autograd sees all that they do.
PRE_AGGREGATORS = ("none", "bucketing")
ATTACKS = (
    *("none", "sign_flip", "gaussian", "sample_duplicating", "alie", "ipm", "mimic", "label_flip"),
    *("constant", "infinite", "nan"),
)
#: The others round or keep only signs: their results are constant almost everywhere.
COMPRESSORS = ("identity", "random_k", "bernoulli", "top_k")
