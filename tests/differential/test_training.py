"""Training on digits beside byzfl's own clients, server and attacks: the same data, partition and first parameters.

Each honest device of ours is a client of byzfl with the same examples, in one batch, so that gradients are full ones.
Clients have no momentum. In float64 all iterates agree to rounding, and so do the curves of accuracy.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from byzcode.randomness import Orders
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training import loop
from byzcode.training.batch import Part, assemble

SEED, DEVICES, F, ITERATIONS, STEP = 3, 20, 4, 40, 0.5
BYZANTINE = {"alpha": F / DEVICES, "identities": "persistent"}

TRIMMED = {"name": "TrMean", "parameters": {"f": F}}
RULES = {
    "median": ({"aggregation": "median"}, {"name": "Median", "parameters": {}}, []),
    "trimmed mean": ({"aggregation": "trimmed_mean"}, TRIMMED, []),
    "NNM and trimmed mean": (
        {"aggregation": "trimmed_mean", "pre_aggregation": "nnm"},
        TRIMMED,
        [{"name": "NNM", "parameters": {"f": F}}],
    ),
}
ATTACKS = {
    "sign flip": (
        {"name": "sign_flip", "coefficient": -1.0, "of": "honest_mean"},
        {"name": "SignFlipping", "parameters": {}},
    ),
    "IPM": ({"name": "ipm", "factor": 2.0}, {"name": "InnerProductManipulation", "parameters": {"tau": 2.0}}),
    # byzfl adds deviations to the mean where ours takes them away
    "ALIE": ({"name": "alie", "factor": -1.5}, {"name": "ALittleIsEnough", "parameters": {"tau": 1.5}}),
}


class Ours:
    """A run without redundancy, trained: the iterates (T, D), the accuracy at each, and the data of each device."""

    def __init__(self, monkeypatch, **fields):
        problem = {"name": "softmax_regression", "subsets": DEVICES, "partition": "by_label"}
        common = {"method": "rba_dl", "problem": problem, "devices": DEVICES, "byzantine": BYZANTINE}
        step = {"step_size": STEP, "step_unit": "absolute", "iterations": ITERATIONS, "seeds": [SEED]}
        spec = RunSpec.parse({**common, **step, **fields}, "test")
        batch = assemble([Part(spec, (SEED,), allocations.draw(spec.allocation_spec))], "cpu")
        iterates = []

        class Followed(loop.Iterate):
            def __init__(self, problem, theta):
                iterates.append(theta.clone())
                super().__init__(problem, theta)

        monkeypatch.setattr(loop, "Iterate", Followed)
        loop.loop(batch, lambda done: None)
        self.problem, self.iterates = batch.problem, torch.cat(iterates).numpy()
        self.accuracy = [self.problem.test_accuracy(self.problem.forward(theta)).item() for theta in iterates]
        self._subsets = batch.assigned[0, :, 0]

    def honest_data(self):
        """The examples of each honest device: features (K/N, d) and classes (K/N,)."""
        _, honest = Orders((SEED,), DEVICES, "byzantine", redrawn=False, first=F).parts(0)
        shares = zip(*(each[0].chunk(DEVICES) for each in (self.problem.features, self.problem.targets)), strict=True)
        of_subset = list(shares)
        return [of_subset[self._subsets[device]] for device in honest[0].tolist()]

    def test_data(self):
        """The features and classes of the test examples."""
        return self.problem.test_features[0], self.problem.test_targets[0]


class Theirs:
    """The same run by byzfl's classes, in float64 or in its own float32."""

    def __init__(self, byzfl, monkeypatch, ours, rule, before, attack, dtype):
        def linear():
            model = torch.nn.Linear(64, 10, bias=False, dtype=dtype)
            torch.nn.init.zeros_(model.weight)
            return model

        class Server(byzfl.Server):
            """byzfl's server, which aggregates numpy arrays: torch tensors it would make float32."""

            def aggregate(self, vectors):
                return torch.from_numpy(super().aggregate(torch.stack(vectors).numpy()))

        def loader(features, targets):
            examples = TensorDataset(features.to(dtype), targets.argmax(dim=-1))
            return DataLoader(examples, batch_size=len(examples))

        monkeypatch.setattr(byzfl.fed_framework.models, "linear", linear, raising=False)
        model = {"model_name": "linear", "device": "cpu", "weight_decay": 0.0, "learning_rate_decay": 1.0}
        model |= {"milestones": [], "learning_rate": STEP}
        client = {"optimizer_name": None, "loss_name": "CrossEntropyLoss", "LabelFlipping": False, "nb_labels": 10}
        client |= {"momentum": 0.0, "store_per_client_metrics": False}
        server = {"optimizer_name": "SGD", "aggregator_info": rule, "pre_agg_list": before}
        self._clients = [
            byzfl.Client({**model, **client, "training_dataloader": loader(*data)}) for data in ours.honest_data()
        ]
        kind = Server if dtype == torch.float64 else byzfl.Server
        self._server = kind({**model, **server, "test_loader": loader(*ours.test_data())})
        self._liars, self._double = byzfl.ByzantineClient({**attack, "f": F}), dtype == torch.float64

    def train(self):
        """The iterates (T, D), and the accuracy at each."""
        iterates, accuracy = [], []
        for iteration in range(ITERATIONS + 1):
            iterates.append(self._server.get_flat_parameters().clone().numpy())
            accuracy.append(self._server.compute_test_accuracy())
            if iteration < ITERATIONS:
                self._iterate()
        return np.stack(iterates), accuracy

    def _iterate(self):
        for client in self._clients:
            client.set_model_state(self._server.get_dict_parameters())
            client.compute_gradients()
        honest = [client.get_flat_gradients_with_momentum() for client in self._clients]
        if self._double:
            lies = [torch.from_numpy(lie) for lie in self._liars.apply_attack([each.numpy() for each in honest])]
        else:
            lies = self._liars.apply_attack(honest)
        self._server.update_model_with_gradients(honest + lies)


@pytest.fixture
def both(byzfl, monkeypatch, request):
    """A run of ours, and a function that trains byzfl in a given precision."""
    (fields, rule, before), (own, attack) = RULES[request.param[0]], ATTACKS[request.param[1]]
    ours = Ours(monkeypatch, **fields, attack=own)
    return ours, lambda dtype: Theirs(byzfl, monkeypatch, ours, rule, before, attack, dtype).train()


def cases(rules=RULES, attacks=ATTACKS):
    pairs = [(rule, attack) for rule in rules for attack in attacks]
    return pytest.mark.parametrize("both", pairs, ids=map(", ".join, pairs), indirect=True)


@cases()
def test_all_iterates_agree_with_byzfl_to_rounding(both):
    ours, theirs = both
    iterates, accuracy = theirs(torch.float64)
    assert np.abs(iterates[-1]).max() > 0.05  # the run has gone somewhere
    np.testing.assert_allclose(ours.iterates, iterates, rtol=0, atol=1e-11)
    # not at theta = 0: of classes with the same score byzfl takes the first
    np.testing.assert_allclose(ours.accuracy[1:], accuracy[1:], rtol=0, atol=1e-12)


@cases(["median", "NNM and trimmed mean"], ["ALIE"])
def test_the_accuracy_agrees_with_byzfl_in_its_own_precision(both):
    """byzfl alone, in float32: the curves of accuracy differ by at most two of the 297 test examples."""
    ours, theirs = both
    iterates, accuracy = theirs(torch.float32)
    np.testing.assert_allclose(ours.iterates, iterates, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.accuracy[1:], accuracy[1:], rtol=0, atol=2.5 / len(ours.test_data()[0]))
