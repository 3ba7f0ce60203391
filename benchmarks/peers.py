"""byzfl, the library nearest to ours: its rules, and training by its own classes."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from byzcode.problems import PROBLEMS
from byzcode.specs.run import RunSpec

CONFTEST = Path(__file__).parent.parent / "tests" / "differential" / "conftest.py"

#: Rules and pre-aggregators by our names: how byzfl makes one that bears f. Some keep a state, so each call makes anew.
RULES: dict[str, Callable[[Any, int], Callable[[Any], Any]]] = {
    "mean": lambda byzfl, f: byzfl.Average(),
    "median": lambda byzfl, f: byzfl.Median(),
    "trimmed_mean": lambda byzfl, f: byzfl.TrMean(f=f),
    "meamed": lambda byzfl, f: byzfl.Meamed(f=f),
    "geometric_median": lambda byzfl, f: byzfl.GeometricMedian(nu=1e-6, T=100),
    "krum": lambda byzfl, f: byzfl.Krum(f=f),
    "multi_krum": lambda byzfl, f: byzfl.MultiKrum(f=f),
    "centered_clipping": lambda byzfl, f: byzfl.CenteredClipping(L=1, tau=10.0),
    "nnm": lambda byzfl, f: byzfl.NNM(f=f),
    "bucketing": lambda byzfl, f: byzfl.Bucketing(s=2),
    "clipping": lambda byzfl, f: lambda messages: byzfl.ARC(f=f)(messages + 0.0),  # it writes into what it is given
}

#: The names of rules in the arguments of its classes.
CLASSES = {"median": "Median", "trimmed_mean": "TrMean"}


@cache
def byzfl() -> ModuleType | None:
    """The library, if it is installed."""
    if importlib.util.find_spec("byzfl") is None:
        return None
    found = importlib.util.spec_from_file_location("differential_conftest", CONFTEST)
    assert found is not None
    assert found.loader is not None
    conftest = importlib.util.module_from_spec(found)
    found.loader.exec_module(conftest)
    conftest.stand_in_for_torchvision()
    return importlib.import_module("byzfl")


def _data(spec: RunSpec) -> tuple[Tensor, Tensor, float]:
    problem: Any = PROBLEMS[spec.problem.name](spec.seeds, "cpu", spec.dtype, **spec.problem.options)
    return problem.features[0].float(), problem.labels[0].float(), spec.step_size / float(problem.smoothness[0])


class Federation:
    """Its Client, ByzantineClient and Server on linear regression, as its own benchmark/train.py has them; float32.

    The last f devices lie throughout and send minus the honest mean; assignments stay as they are.
    """

    def __init__(self, library: Any, spec: RunSpec, assigned: NDArray[np.int32]) -> None:
        features, labels, step = _data(spec)
        models = importlib.import_module("byzfl.fed_framework.models")

        def regression() -> torch.nn.Module:
            model = torch.nn.Linear(spec.dimension, 1, bias=False)
            torch.nn.init.zeros_(model.weight)
            return model

        models.LinearRegression = regression  # type: ignore[attr-defined]
        rule = CLASSES[spec.aggregation.name]
        before = [{"name": "NNM", "parameters": {"f": spec.f}}] if spec.pre_aggregation.name == "nnm" else []
        common = {"model_name": "LinearRegression", "device": "cpu", "learning_rate": step / 2, "weight_decay": 0.0}
        common |= {"milestones": [], "learning_rate_decay": 1.0, "optimizer_name": "SGD"}
        every = DataLoader(TensorDataset(features, labels.unsqueeze(-1)), batch_size=len(features))
        aggregator = {"name": rule, "parameters": {"f": spec.f} if rule == "TrMean" else {}}
        self.server = library.Server(
            {**common, "test_loader": every, "aggregator_info": aggregator, "pre_agg_list": before}
        )
        self.clients = []
        for subsets in torch.from_numpy(assigned[0, : spec.devices - spec.f]).long():
            own = TensorDataset(features[subsets], labels[subsets].unsqueeze(-1))
            own_options = {"loss_name": "MSELoss", "LabelFlipping": False, "momentum": 0.0, "nb_labels": 2}
            own_options |= {"training_dataloader": DataLoader(own, len(own)), "store_per_client_metrics": False}
            self.clients.append(library.Client({**common, **own_options}))
        self.liars = library.ByzantineClient({"name": "SignFlipping", "f": spec.f, "parameters": {}})

    def train(self, iterations: int) -> None:
        for _ in range(iterations):
            for client in self.clients:
                client.compute_gradients()
            honest = [client.get_flat_gradients_with_momentum() for client in self.clients]
            self.server.update_model_with_gradients(honest + self.liars.apply_attack(honest))
            state = self.server.get_dict_parameters()
            for client in self.clients:
                client.set_model_state(state)


class Batched:
    """The best that one can do with its rules alone: all gradients by one product, in float32; liars are fixed."""

    def __init__(self, library: Any, spec: RunSpec, assigned: NDArray[np.int32]) -> None:
        features, labels, self.step = _data(spec)
        index = torch.from_numpy(assigned[0]).long()
        self.features, self.labels, self.f = features[index], labels[index].unsqueeze(-1), spec.f
        self.rules = [RULES["nnm"](library, spec.f)] if spec.pre_aggregation.name == "nnm" else []
        self.rules.append(RULES[spec.aggregation.name](library, spec.f))

    def train(self, iterations: int) -> None:
        theta = torch.zeros(self.features.shape[-1], 1)
        for _ in range(iterations):
            residual = self.features @ theta - self.labels
            messages = (residual.mT @ self.features).squeeze(1) / residual.shape[1]
            messages[-self.f :] = -messages[: -self.f].mean(dim=0)
            for rule in self.rules:
                messages = rule(messages)
            theta = theta - self.step * messages.unsqueeze(-1)
