"""What one writes first: training as a loop over the devices, in plain torch.

It meets the random numbers that the engine meets, so that the loss it ends with is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from byzcode.coding import ENCODERS
from byzcode.coding.cyclic_code import cyclic_code
from byzcode.problems import PROBLEMS
from byzcode.randomness import Orders, Stream
from byzcode.specs.run import RunSpec


def mean(messages: Tensor, f: int) -> Tensor:
    return messages.mean(dim=0)


def median(messages: Tensor, f: int) -> Tensor:
    return torch.quantile(messages, 0.5, dim=0)


def trimmed_mean(messages: Tensor, f: int) -> Tensor:
    return messages.sort(dim=0).values[f : len(messages) - f].mean(dim=0)


def mean_of_nearest(messages: Tensor, centre: Tensor, f: int) -> Tensor:
    nearest = (messages - centre).abs().topk(len(messages) - f, dim=0, largest=False).indices
    return messages.gather(0, nearest).mean(dim=0)


def phocas(messages: Tensor, f: int) -> Tensor:
    return mean_of_nearest(messages, trimmed_mean(messages, f), f)


def meamed(messages: Tensor, f: int) -> Tensor:
    return mean_of_nearest(messages, median(messages, f), f)


#: Coordinate-wise rules of messages (N, D).
RULES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "mean": mean,
    "median": median,
    "trimmed_mean": trimmed_mean,
    "phocas": phocas,
    "meamed": meamed,
}


def mixed(messages: Tensor, f: int) -> Tensor:
    """Nearest neighbour mixing, device by device."""
    out = []
    for own in messages:
        nearest = (messages - own).square().sum(dim=1).argsort()[: len(messages) - f]
        out.append(messages[nearest].mean(dim=0))
    return torch.stack(out)


def decoded(messages: Tensor, liars: int) -> Tensor:
    """DRACO's cyclic code as in its paper: a locator polynomial of one random mixture, then the lies by least squares.

    Messages (N, 2 D); the projection is fixed.
    """
    code = cyclic_code(len(messages), liars)
    checks, leading = torch.from_numpy(code.checks), torch.from_numpy(code.leading)
    received = torch.complex(*messages.chunk(2, dim=1))
    syndromes = checks @ received
    mixture = syndromes @ torch.cos(torch.arange(received.shape[1], dtype=torch.float64)).to(received.dtype)
    locator = torch.linalg.svd(mixture.unfold(0, liars + 1, 1)).Vh[-1].conj()
    suspects = (locator @ torch.from_numpy(code.powers(-np.arange(liars + 1)))).abs().argsort()[:liars]
    lies = torch.linalg.lstsq(checks[:, suspects], syndromes).solution
    gradient: Tensor = (leading @ received - leading[suspects] @ lies).real
    return gradient


class Loop:
    """One seed of a spec under sign flip, ready to be trained for some iterations."""

    def __init__(self, spec: RunSpec, assigned: NDArray[np.int32]) -> None:
        self.spec, seeds = spec, spec.seeds
        problem: Any = PROBLEMS[spec.problem.name](seeds, "cpu", spec.dtype, **spec.problem.options)
        self.features: Tensor = problem.features[0]
        self.labels: Tensor = problem.labels[0]
        self.step = spec.step_size / problem.smoothness[0]
        self.assigned = torch.from_numpy(assigned[0]).long()
        self.weights = torch.from_numpy(
            ENCODERS[spec.encoding.name](assigned[0], spec.subsets, **spec.encoding.options)
        )
        self.orders = [
            Orders(seeds, size, purpose, redrawn=True)
            for size, purpose in (
                (spec.devices, "byzantine"),
                (spec.devices, "assignment/devices"),
                (spec.subsets, "assignment/subsets"),
            )
        ]
        self.compression = Stream(seeds[0], "compression")

    def train(self, iterations: int) -> float:
        """The loss after so many steps from zero."""
        spec, theta = self.spec, torch.zeros_like(self.features[0])
        for iteration in range(iterations):
            order, rows, names = (orders.at(iteration)[0] for orders in self.orders)
            liars = set(order[: spec.f].tolist())
            masks = self._masks(iteration)
            messages = []
            for device in range(spec.devices):
                holder = int(rows[device]) if spec.assignment == "redrawn" else device
                subsets = names[self.assigned[holder]] if spec.assignment == "redrawn" else self.assigned[holder]
                message = self._message(theta, subsets, self.weights[holder])
                if device in liars:
                    message = spec.attack.options["coefficient"] * message
                messages.append(message if masks is None else message * masks[device])
            theta = theta - self.step * self._aggregate(torch.stack(messages))
        return float(0.5 * (self.features @ theta - self.labels).square().mean())

    def _message(self, theta: Tensor, subsets: Tensor, weights: Tensor) -> Tensor:
        own = self.features[subsets]
        gradients = (own @ theta - self.labels[subsets]).unsqueeze(-1) * own
        if weights.is_complex():
            return torch.cat([weights.real @ gradients, weights.imag @ gradients])
        return weights @ gradients

    def _masks(self, iteration: int) -> list[Tensor] | None:
        """Of each device, what random-k multiplies its message by."""
        if self.spec.compression.name != "random_k":
            return None
        size = self.spec.dimension
        kept = round(self.spec.compression.options["share"] * size)
        draws = torch.from_numpy(self.compression.at(iteration).random((self.spec.devices, size)))
        return [torch.zeros(size).double().scatter(0, row.argsort()[:kept], size / kept) for row in draws]

    def _aggregate(self, messages: Tensor) -> Tensor:
        spec = self.spec
        if spec.method == "draco_cyclic":
            return decoded(messages, (spec.devices * spec.redundancy // spec.subsets - 1) // 2)
        before = mixed(messages, spec.f) if spec.pre_aggregation.name == "nnm" else messages
        return RULES[spec.aggregation.name](before, spec.f)
