"""Linear regression with adjustable heterogeneity, as in both papers' experiments; the formula of the labels is ours.

Subset k holds s samples (z, y) with features z ~ N(0, scale^2 I) and labels y = <z, theta_k> + e, e ~ N(0, noise^2).
The option ``heterogeneity`` chooses how the subsets differ, with theta_0, u_k, v_k ~ N(0, I):

- ``parameters``: theta_k = theta_0 + sigma_H u_k;
- ``spread``: theta_k = sqrt(1 + k sigma_H) u_k, k = 1 .. M, so that theta_k grows with k;
- ``features``: theta_k = theta_0, and z ~ scale N(sigma_H v_k, I);
- ``drift``: theta_k = theta_0 + 0.8 sigma_H i_k + 2 sigma_H u_k and z ~ scale N(4 sigma_H i_k, I), where subset k is in
  group i_k = 0 .. 9 of ten groups. At sigma_H = 0.25 these are theta_0 + N(0.2 i, 0.5^2) and N(i, 1), as in public code
  of neighbouring work.

The loss of a subset is f_k = (1 / 2s) sum (<z, theta> - y)^2 and F = (1/M) sum_k f_k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.kernels.distances import power_of_two
from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.product import times
from byzcode.lazy import torch
from byzcode.problems.problem import ALONG_RUNS, ProblemKind, Sizes
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

Count = Annotated[int, Field(ge=1, le=10**9)]
Spread = Annotated[float, Field(ge=0, le=1e9)]  # LAPACK fails on labels that are not finite
Heterogeneity = Literal["parameters", "spread", "features", "drift"]

#: The number of groups of subsets that drift apart.
GROUPS = 10


@dataclass(frozen=True, eq=False)
class LinearRegression:
    """R problems of one shape, one per seed; see :func:`linear_regression`.

    ``features`` (R, K, D) and ``labels`` (R, K) with K = M s samples; the samples of a subset are consecutive.
    """

    features: Tensor
    labels: Tensor
    subsets: int
    optimum: Tensor
    smoothness: Tensor
    strong_convexity: Tensor

    @cached_property
    def _unit(self) -> Tensor:
        """The unit of the features, (R,). Without it the squares of very large or small features over- or underflow."""
        return power_of_two(self.features.abs().amax(dim=(-2, -1)))

    @cached_property
    def _square_norms(self) -> Tensor:
        """The squared norms of the features of each sample, in squared units, (R, K)."""
        return (self.features / self._unit[:, None, None]).square().sum(dim=-1)

    @cached_property
    def _least(self) -> Tensor:
        """The residuals at the optimum, (R, K)."""
        return self.forward(self.optimum)

    @cached_property
    def _each_subset(self) -> Code:
        """The code of M devices with a subset each."""
        runs = len(self.labels)
        own = torch.arange(self.subsets, device=self.labels.device).expand(runs, -1).unsqueeze(-1).contiguous()
        return Code(own, torch.ones_like(own, dtype=self.labels.dtype))

    def start(self) -> Tensor:
        """theta^0 = 0, (R, D)."""
        return torch.zeros_like(self.optimum)

    def forward(self, theta: Tensor) -> Tensor:
        """The residuals <z, theta> - y, (R, K), from which loss and gradients are computed."""
        return times(self.features, theta) - self.labels

    def loss(self, residual: Tensor) -> Tensor:
        """F, (R,)."""
        squares: Tensor = torch.linalg.vecdot(residual, residual)
        return 0.5 / residual.shape[-1] * squares

    def gradient(self, residual: Tensor) -> Tensor:
        """The gradient of F, (R, D)."""
        return times(self.features.mT, residual) / residual.shape[-1]

    def excess_loss(self, residual: Tensor) -> Tensor:
        """F(theta) - F(theta*), (R,). F is quadratic, so this formula avoids the cancellation of the difference."""
        return self.loss(residual - self._least)

    def heterogeneity(self, residual: Tensor, gradient: Tensor) -> Tensor:
        """betahat, (R,): its square is the mean square of the subsets' gradients minus that of ``gradient``."""
        residual, gradient, unit = self._in_units(residual, gradient)
        rows = self.features.shape[1]
        if rows == self.subsets:  # one sample per subset: the norms do not need the gradients
            squares = torch.linalg.vecdot(residual.square(), self._square_norms) / rows
        else:
            squares = self._gradients(residual).square().sum(dim=-1).mean(dim=-1)
        variance: Tensor = squares - torch.linalg.vecdot(gradient, gradient)
        return variance.clamp(min=0).sqrt() * unit * self._unit

    def largest_heterogeneity(self, residual: Tensor, gradient: Tensor) -> Tensor:
        """max_k ||grad f_k - grad F||, (R,)."""
        residual, gradient, unit = self._in_units(residual, gradient)
        if residual.shape[-1] == self.subsets:  # grad f_k = residual_k z_k: expand the square
            shared = times(self.features, gradient) / self._unit.unsqueeze(-1)
            away = residual * torch.sub(residual * self._square_norms, shared, alpha=2)
            largest: Tensor = away.amax(dim=-1) + torch.linalg.vecdot(gradient, gradient)
        else:
            largest = (self._gradients(residual) - gradient.unsqueeze(-2)).square().sum(dim=-1).amax(dim=-1)
        return largest.clamp(min=0).sqrt() * unit * self._unit

    def _in_units(self, residual: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Residuals in a unit near the largest, gradients in that unit times the features' unit, and the unit, (R,).

        Units are powers of two, so the division does not round.
        """
        unit = power_of_two(residual.abs().amax(dim=-1))
        return residual / unit.unsqueeze(-1), gradient / unit.unsqueeze(-1) / self._unit.unsqueeze(-1), unit

    def _gradients(self, residual: Tensor) -> Tensor:
        """The gradients of all subsets, (R, M, D), in the features' unit, for given residuals."""
        runs, _, dimension = self.features.shape
        rows = residual.unsqueeze(-1) * (self.features / self._unit[:, None, None])
        return rows.view(runs, self.subsets, -1, dimension).mean(dim=-2)

    def relabelled(self, residual: Tensor) -> Tensor:
        """The residuals after all labels change sign, <z, theta> + y, (R, K)."""
        return residual + 2 * self.labels

    def coded_gradients(self, residual: Tensor, code: Code) -> Tensor:
        """The honest messages, (R, N, D). The gradient of a sample is its residual times its features.

        Where the devices hold many copies of each subset, its samples are added up first.
        Cost: N S D s, or (N S + K) D.
        """
        samples = residual.shape[-1] // self.subsets
        if samples == 1:
            return coded_rows(self.features, residual, code)
        factor, held = residual / samples, code.assigned[0].numel()
        if held * (samples - 1) <= 2 * residual.shape[-1]:
            return coded_rows(self.features, factor, code, samples)
        gradients = coded_rows(self.features, factor, self._each_subset, samples)
        return coded_rows(gradients, torch.ones_like(gradients[..., 0]), code)


def linear_regression(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    subsets: Annotated[Count, Field(description="M, the number of data subsets.")] = 1000,
    dimension: Annotated[Count, Field(description="D, the number of parameters.")] = 100,
    samples_per_subset: Annotated[Count, Field(description="Samples in each subset.")] = 1,
    heterogeneity: Annotated[Heterogeneity, Field(description="What differs among subsets.")] = "parameters",
    sigma_h: Annotated[Spread, Field(description="sigma_H: how far the subsets differ."), ALONG_RUNS] = 0.25,
    label_noise: Annotated[Spread, Field(description="Standard deviation of the label noise."), ALONG_RUNS] = 1.0,
    feature_scale: Annotated[
        float, Field(ge=1e-9, le=1e9, description="Standard deviation of each feature."), ALONG_RUNS
    ] = 1.0,
) -> LinearRegression:
    """Linear regression with normal features. Subsets differ in their true parameters or in their features.

    The features, the noise and the directions u_k, v_k of a seed are the same for every ``sigma_h``.
    """
    sizes = (subsets, dimension, samples_per_subset)
    drawn = [_draw(seed, *sizes, heterogeneity, sigma_h, label_noise, feature_scale) for seed in seeds]
    # Draw and solve on the CPU in float64, so that the problem does not depend on the compute device. Solve one by one,
    # in memory that torch allocates with alignment, because LAPACK's last bits depend on addresses.
    solved = [_solved(torch.tensor(features), torch.tensor(labels)) for features, labels in drawn]
    tensors = [torch.stack(parts).to(device=device, dtype=getattr(torch, dtype)) for parts in zip(*solved, strict=True)]
    features, labels, *rest = tensors
    return LinearRegression(features, labels, subsets, *rest)


def _sizes(*, subsets: int, dimension: int, samples_per_subset: int, **_: Any) -> Sizes:
    samples = subsets * samples_per_subset
    return Sizes(
        subsets=subsets,
        samples=samples,
        dimension=dimension,
        data=samples * dimension,
        memory=3 * samples * (dimension + 3),  # features, features in units, and their squares or gradients
        rows=samples_per_subset,
    )


def _solved(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Solve one seed: features (K, D), labels (K,), the optimum (D,), smoothness () and strong convexity ()."""
    optimum = torch.linalg.lstsq(features, labels.unsqueeze(-1), driver="gelsd").solution.squeeze(-1)
    rows, dimension = features.shape
    eigenvalues = torch.linalg.svdvals(features).square() / rows  # of the Hessian, descending; the missing ones are 0
    least = eigenvalues[-1] if rows >= dimension else torch.zeros_like(eigenvalues[-1])
    return features, labels, optimum, eigenvalues[0], least


def _draw(
    seed: int,
    subsets: int,
    dimension: int,
    samples: int,
    heterogeneity: Heterogeneity,
    sigma_h: float,
    noise: float,
    scale: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the features (K, D) and labels (K,) of one seed."""

    def normal(purpose: str, *shape: int) -> NDArray[np.float64]:
        return Stream(seed, f"linear_regression/{purpose}").at(0).standard_normal(shape)

    features, truth = normal("features", subsets * samples, dimension), normal("common parameters", dimension)[None]
    if heterogeneity == "features":
        features = features + np.repeat(sigma_h * normal("own features", subsets, dimension), samples, axis=0)
        truth = np.broadcast_to(truth, (subsets, dimension))
    elif heterogeneity == "drift":
        group = GROUPS * np.arange(subsets)[:, None] // subsets
        features = features + np.repeat(4 * sigma_h * group, samples, axis=0)
        truth = truth + sigma_h * (0.8 * group + 2 * normal("own parameters", subsets, dimension))
    elif heterogeneity == "spread":
        growing = np.sqrt(1 + sigma_h * np.arange(1, subsets + 1))
        truth = growing[:, None] * normal("own parameters", subsets, dimension)
    else:
        truth = truth + sigma_h * normal("own parameters", subsets, dimension)
    features = scale * features
    labels = (features * np.repeat(truth, samples, axis=0)).sum(axis=1)
    return features, labels + noise * normal("label noise", subsets * samples)


ENTRY = ProblemKind(linear_regression, sizes=_sizes)
