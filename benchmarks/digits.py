"""Training on scikit-learn's digits, microseconds an iteration: the engine, a loop of autograd, and byzfl's classes.

100 devices, 20 of which send minus the mean of the honest messages, the trimmed mean, float32. The engine's time is
that of the whole call of ``train``; the others start with their data ready, and record nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import peers
import torch
from numpy.typing import NDArray
from timing import Case, repeated
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from byzcode.problems import PROBLEMS
from byzcode.randomness import Orders
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.workers import train

SEEDS, SHORT, CLASSES, STEP = 10, 4, 10, 0.5

RUNS: dict[str, dict[str, Any]] = {
    "RBA-DL, 15 digits a device": {"method": "rba_dl"},
    "CRA-DL r = 100, 300 digits a device": {"method": "cra_dl", "redundancy": 100},
}


def spec(fields: dict[str, Any], iterations: int, seeds: int = 1) -> RunSpec:
    """A run whose liars stay the same, as byzfl's do."""
    common = {
        "problem": {"name": "softmax_regression", "subsets": 500},
        "byzantine": {"alpha": 0.2, "identities": "persistent"},
        "attack": {"name": "sign_flip", "coefficient": -1.0, "of": "honest_mean"},
        "aggregation": "trimmed_mean",
        "step_size": STEP,
        "step_unit": "absolute",
        "dtype": "float32",
    }
    return RunSpec.parse({**common, **fields, "seeds": seeds, "iterations": iterations}, "benchmark")


def honest_data(of: RunSpec, assigned: NDArray[np.int32]) -> list[tuple[Tensor, Tensor]]:
    """The digits of each honest device: features (K, d) and classes (K,)."""
    problem: Any = PROBLEMS[of.problem.name](of.seeds, "cpu", of.dtype, **of.problem.options)
    sizes = problem.sizes[0].tolist()
    subsets = list(zip(problem.features[0].split(sizes), problem.targets[0].argmax(-1).split(sizes), strict=True))
    _, honest = Orders(of.seeds, of.devices, "byzantine", redrawn=False, first=of.f).parts(0)
    chosen = ([subsets[each] for each in assigned[0, device]] for device in honest[0].tolist())
    return [(torch.cat([x for x, _ in own]), torch.cat([y for _, y in own])) for own in chosen]


class Autograd:
    """A loop over the devices, with torch's own loss and rule."""

    def __init__(self, of: RunSpec, assigned: NDArray[np.int32]) -> None:
        self._data, self._f = honest_data(of, assigned), of.f

    def train(self, iterations: int) -> Tensor:
        """The last iterate, (C, d)."""
        theta = torch.zeros(CLASSES, self._data[0][0].shape[1])
        for _ in range(iterations):
            honest = torch.stack([self._gradient(theta, *own) for own in self._data])
            lies = -honest.mean(dim=0).expand(self._f, *theta.shape)
            ordered = torch.cat([honest, lies]).sort(dim=0).values
            theta = theta - STEP * ordered[self._f : -self._f].mean(dim=0)
        return theta

    @staticmethod
    def _gradient(theta: Tensor, features: Tensor, classes: Tensor) -> Tensor:
        weights = theta.clone().requires_grad_()
        functional.cross_entropy(features @ weights.T, classes).backward()
        assert weights.grad is not None
        return weights.grad


class Classes:
    """byzfl's clients, server and attack."""

    def __init__(self, byzfl: Any, of: RunSpec, assigned: NDArray[np.int32]) -> None:
        data = honest_data(of, assigned)

        def linear() -> torch.nn.Linear:
            model = torch.nn.Linear(data[0][0].shape[1], CLASSES, bias=False)
            torch.nn.init.zeros_(model.weight)
            return model

        byzfl.fed_framework.models.linear = linear
        model = {"model_name": "linear", "device": "cpu", "weight_decay": 0.0, "learning_rate_decay": 1.0}
        model |= {"milestones": [], "learning_rate": STEP, "optimizer_name": None, "momentum": 0.0}
        client = {"loss_name": "CrossEntropyLoss", "LabelFlipping": False, "nb_labels": CLASSES}
        client |= {"store_per_client_metrics": False}
        rule = {"name": "TrMean", "parameters": {"f": of.f}}
        server = {"optimizer_name": "SGD", "aggregator_info": rule, "pre_agg_list": [], "test_loader": None}
        loaders = [DataLoader(TensorDataset(*own), batch_size=len(own[0])) for own in data]
        self._clients = [byzfl.Client({**model, **client, "training_dataloader": loader}) for loader in loaders]
        self._server = byzfl.Server({**model, **server, "test_loader": loaders[0]})
        self._liars = byzfl.ByzantineClient({"name": "SignFlipping", "parameters": {}, "f": of.f})

    def train(self, iterations: int) -> None:
        for _ in range(iterations):
            for client in self._clients:
                client.set_model_state(self._server.get_dict_parameters())
                client.compute_gradients()
            honest = [client.get_flat_gradients_with_momentum() for client in self._clients]
            self._server.update_model_with_gradients(honest + self._liars.apply_attack(honest))


def cases(quick: bool, wanted: Callable[[str], bool]) -> Iterator[Case]:
    """A case a method."""
    library = peers.byzfl()
    for name, fields in RUNS.items():
        if not wanted(f"digits: {name}"):
            continue
        length = 50 if quick else 500
        whole, short = spec(fields, length, SEEDS), spec(fields, SHORT)
        held = allocations.draw(whole.allocation_spec)
        loop = Autograd(short, held[:1])
        contenders = {
            "byzcode": repeated(partial(train, whole, held), SEEDS * length),
            "autograd": repeated(partial(loop.train, SHORT), SHORT),
        }
        if library is not None:
            contenders["byzfl"] = repeated(partial(Classes(library, short, held[:1]).train, SHORT), SHORT)
        yield Case("digits", name, contenders)
