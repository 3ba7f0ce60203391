"""The classification problems against autograd: gradients of the subsets, messages of devices, relabelled examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from byzcode.data import DATA_SETS
from byzcode.errors import UserError
from byzcode.kernels.gather import Code
from byzcode.problems import PROBLEMS, classification, cnn, convolutions, layers
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.workers import train, train_together

SUBSETS = 30
SEEDS = (0, 5)


def dense(features, theta, shapes):
    """Fully connected layers by torch's own functions."""
    for place, (inputs, outputs) in enumerate(shapes):
        weight, theta = theta[: outputs * (inputs + 1)].view(outputs, -1), theta[outputs * (inputs + 1) :]
        features = functional.linear(features, weight[:, :-1], weight[:, -1])
        features = features.relu() if place + 1 < len(shapes) else features
    return features


def softmax_scores(problem, features, theta):
    return features @ theta.view(-1, features.shape[-1]).T


def mlp_scores(problem, features, theta):
    return dense(features[:, :-1], theta, problem.shapes)


def cnn_scores(problem, features, theta):
    images = features.view(len(features), *problem.image)
    for inputs, outputs in problem.shapes[:2]:
        weight, theta = theta[: outputs * (inputs + 1)].view(outputs, -1), theta[outputs * (inputs + 1) :]
        kernels = weight[:, :-1].reshape(outputs, images.shape[1], 3, 3)
        images = functional.avg_pool2d(functional.conv2d(images, kernels, weight[:, -1], padding=1).relu(), 2)
    return dense(images.flatten(1), theta, problem.shapes[2:])


#: Each problem: its options, and the scores of examples (K, d) at theta (D,) by other code.
MODELS = {
    "softmax_regression": ({}, softmax_scores),
    "mlp": ({"hidden": (7, 5)}, mlp_scores),
    "cnn": ({"hidden": 6}, cnn_scores),
}
every = pytest.mark.parametrize("name", MODELS)

#: A partition with subsets of very different sizes: some of few examples, some of several blocks of a convolution.
UNEQUAL = {"name": "dirichlet", "a": 0.3, "of": "classes"}


def built(name, **options):
    return PROBLEMS[name](SEEDS, "cpu", "float64", **{"subsets": SUBSETS, **MODELS[name][0], **options})


def theta_of(problem):
    dice = np.random.default_rng(3)
    return problem.start() + torch.from_numpy(0.1 * dice.normal(size=problem.start().shape))


def autograd(name, problem, seed, theta, targets):
    """The gradients of all subsets of a seed by autograd, one by one, (M, D)."""
    scores, gradients, sizes = MODELS[name][1], [], problem.sizes[seed].tolist()
    assert sum(sizes) == len(targets)
    for own, classes in zip(problem.features[seed].split(sizes), targets.argmax(dim=-1).split(sizes), strict=True):
        weights = theta.clone().requires_grad_()
        total = functional.cross_entropy(scores(problem, own, weights), classes, reduction="sum")
        (SUBSETS / len(targets) * total).backward()
        gradients.append(weights.grad)
    return torch.stack(gradients)


def held():
    """A code of seven devices with four subsets each."""
    dice = np.random.default_rng(4)
    assigned = torch.from_numpy(np.stack([[dice.permutation(SUBSETS)[:4] for _ in range(7)] for _ in SEEDS]))
    return Code(assigned, torch.from_numpy(dice.normal(size=assigned.shape)))


@every
@pytest.mark.parametrize("block", [1, 10**3, 10**9])
@pytest.mark.parametrize(
    ("flipped", "division"),
    [(False, {}), (True, {}), (False, {"partition": UNEQUAL}), (True, {"examples": 1000, "groups": 10})],
)
def test_messages_and_gradients_are_those_of_autograd_for_each_device(name, flipped, division, block, monkeypatch):
    monkeypatch.setattr(classification, "BLOCK", block)
    problem, code = built(name, **division), held()
    assert len(set(problem.sizes.flatten().tolist())) > 1 or not division
    theta = theta_of(problem)
    forward = problem.forward(theta)
    forward = problem.relabelled(forward) if flipped else forward
    gradient, messages = problem.gradient(forward), problem.coded_gradients(forward, code)
    near, far = problem.heterogeneity(forward, gradient), problem.largest_heterogeneity(forward, gradient)
    for seed in range(len(SEEDS)):
        targets = problem.targets[seed].flip(-1) if flipped else problem.targets[seed]
        own = autograd(name, problem, seed, theta[seed], targets)
        close = {"rtol": 1e-9, "atol": 1e-13 * SUBSETS * float(own.abs().max())}
        np.testing.assert_allclose(gradient[seed], own.mean(dim=0), **close)
        want = (code.weight[seed].unsqueeze(-1) * own[code.assigned[seed]]).sum(dim=1)
        np.testing.assert_allclose(messages[seed], want, **close)
        away = (own - own.mean(dim=0)).norm(dim=-1)
        np.testing.assert_allclose(near[seed], away.square().mean().sqrt(), rtol=1e-9)
        np.testing.assert_allclose(far[seed], away.max(), rtol=1e-9)


@every
def test_loss_and_accuracy_are_those_of_the_scores(name):
    problem = built(name)
    theta = theta_of(problem)
    forward, scores = problem.forward(theta), MODELS[name][1]
    for seed in range(len(SEEDS)):
        made = scores(problem, problem.features[seed], theta[seed])
        want = functional.cross_entropy(made, problem.targets[seed].argmax(dim=-1))
        assert float(problem.loss(forward)[seed]) == pytest.approx(float(want), rel=1e-12)
        chosen = scores(problem, problem.test_features[seed], theta[seed]).argmax(dim=-1)
        want = (chosen == problem.test_targets[seed].argmax(dim=-1)).double().mean()
        assert float(problem.test_accuracy(forward)[seed]) == pytest.approx(float(want))


def test_the_blocks_of_a_convolution_have_all_examples_of_a_subset_in_order_and_never_too_many():
    for sizes in ([1], [64] * 3, [10] * 20, [1, 63, 1, 64, 65, 200, 2], [297]):
        blocks = convolutions.blocks_of(sizes)
        assert max(map(sum, blocks)) <= convolutions.EXAMPLES
        ends = set(np.cumsum([piece for pieces in blocks for piece in pieces]).tolist())
        assert set(np.cumsum(sizes).tolist()) <= ends
        assert max(ends) == sum(sizes)


def test_a_cnn_refuses_a_data_set_that_is_not_of_such_images(monkeypatch):
    for shape in ((), (64,), (1, 2, 32)):
        monkeypatch.setattr(cnn, "DATA_SETS", {"digits": replace(DATA_SETS["digits"], shape=shape)})
        with pytest.raises(UserError, match=r"problem\.data = 'digits': allowed: data sets of images"):
            RunSpec.parse({"method": "gradient_descent", "problem": {"name": "cnn"}}, "test")


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_the_first_weights_have_the_variance_of_he(name):
    problem = built(name, **({"hidden": (300,)} if name == "mlp" else {"hidden": 300}))
    place = 0
    for inputs, outputs in problem.shapes:
        layer = problem.start()[0, place : place + outputs * (inputs + 1)].view(outputs, -1)
        assert (layer[:, -1] == 0).all()
        assert float(layer[:, :-1].square().mean()) == pytest.approx(2 / inputs, rel=6 / layer[:, :-1].numel() ** 0.5)
        place += layer.numel()
    assert place == problem.start().shape[-1]


def test_a_cnn_on_images_of_28_pixels_has_about_100_000_parameters():
    assert layers.size([(9, 16), (144, 32), (32 * 49, 60), (60, 10)]) == 99_550


@pytest.mark.parametrize("name", ["mlp", "cnn"])
@pytest.mark.parametrize("partition", ["iid", UNEQUAL])
def test_a_run_has_the_same_bits_alone_in_a_batch_and_in_other_processes(name, partition):
    values = {"method": "lad", "redundancy": 3, "devices": 10, "aggregation": "median", "attack": "label_flip"}
    problem = {"name": name, "subsets": 10, "hidden": 8 if name == "cnn" else [8], "partition": partition}
    values |= {"problem": problem, "iterations": 2}
    values |= {"byzantine": {"alpha": 0.2}, "step_size": 0.1, "record": {"step": 1}}
    spec = RunSpec.parse({**values, "seeds": [3, 0]}, "test")
    assigned = allocations.draw(spec.allocation_spec)
    together = train_together([spec], [assigned], device="cpu")[0].arrays()
    for place, seed in enumerate(spec.seeds):
        alone = RunSpec.parse({**values, "seeds": [seed]}, "test")
        for quantity, array in train(alone, assigned[place : place + 1]).arrays().items():
            assert array.tobytes() == together[quantity][place : place + 1].tobytes(), quantity
    for quantity, array in train(spec, assigned, threads=2).arrays().items():
        assert array.tobytes() == together[quantity].tobytes(), quantity
