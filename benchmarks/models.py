"""Forward, backward and coded gradients of an iteration of the classification problems, float32, at the size of
Fashion-MNIST: 10,000 random examples of 784 features, M = 1000 subsets, N = 100 devices that hold r = 40 each.

``bound`` is the least work of fully connected layers: the matrix products of a forward and a backward pass, and the
rows that the devices add up, read once from memory. ``one pass`` is torch's own forward and backward pass over all
examples. What either computes is not compared. ``recorded`` adds loss, gradient and both heterogeneities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from timing import Case, repeated
from torch.nn import functional

from byzcode.kernels.gather import Code
from byzcode.problems import layers
from byzcode.problems.cnn import CNN, Image
from byzcode.problems.mlp import MLP
from byzcode.problems.softmax_regression import SoftmaxRegression

SAMPLES, FEATURES, CLASSES, SUBSETS, DEVICES, HELD = 10_000, 784, 10, 1000, 100, 40
SCORES = (FEATURES, CLASSES)
DENSE = tuple(layers.shapes(FEATURES, (64,), CLASSES))
CONVOLVED = ((9, 16), (144, 32), *layers.shapes(32 * 49, (60,), CLASSES))


def cases(quick: bool, wanted: Callable[[str], bool]) -> Iterator[Case]:
    """A case a problem."""
    for name, build in {"softmax": _softmax, "mlp 784-64-10": _mlp, "cnn": _cnn}.items():
        if wanted(f"model: {name}"):
            samples = SAMPLES // 10 if quick else SAMPLES
            yield _case(name, build, samples)


def _case(name: str, build: Callable[..., Any], samples: int) -> Case:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, samples, FEATURES, generator=generator)
    classes = torch.randint(CLASSES, (samples,), generator=generator)
    problem = build(features, functional.one_hot(classes, CLASSES)[None].float())
    assigned = torch.stack([torch.randperm(SUBSETS, generator=generator)[:HELD] for _ in range(DEVICES)])[None]
    code, theta = Code(assigned, torch.full(assigned.shape, 1 / HELD)), problem.start()

    def iteration() -> None:
        with torch.inference_mode():
            problem.coded_gradients(problem.forward(theta), code)

    def recorded() -> None:
        with torch.inference_mode():
            forward = problem.forward(theta)
            problem.coded_gradients(forward, code)
            problem.loss(forward)
            gradient = problem.gradient(forward)
            problem.heterogeneity(forward, gradient)
            problem.largest_heterogeneity(forward, gradient)

    others = {"recorded": repeated(recorded)}
    if name == "cnn":
        others["one pass"] = repeated(lambda: _one_pass(problem, theta[0], classes))
    else:
        others["bound"] = repeated(_bound(features[0], problem.shapes if name.startswith("mlp") else [SCORES]))
    read = 4 * (2 * features.numel() + (HELD + 1) * DEVICES * theta.shape[-1])
    return Case("model", name, {"byzcode": repeated(iteration), **others}, read=read, resident=float("inf"))


def _bound(features: torch.Tensor, shapes: Sequence[layers.Shape]) -> Callable[[], None]:
    """The matrix products of a forward and a backward pass, and a sum over the rows that all devices add up."""
    samples = len(features)
    inputs = [features if i == FEATURES else torch.rand(samples, i) for i, _ in shapes]
    outputs, weights = [torch.rand(samples, o) for _, o in shapes], [torch.rand(o, i) for i, o in shapes]
    rows = torch.rand(DEVICES * HELD, sum(i * o for i, o in shapes))

    def run() -> None:
        with torch.inference_mode():
            for place, (own, made, weight) in enumerate(zip(inputs, outputs, weights, strict=True)):
                torch.mm(weight, own.T)
                torch.mm(made.T, own)
                if place:
                    torch.mm(made, weight)
            rows.sum()

    return run


def _shared(features: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
    """The fields of every problem."""
    samples = features.shape[1]
    return {
        "features": features,
        "targets": targets,
        "sizes": torch.full((1, SUBSETS), samples // SUBSETS),
        "factors": torch.full((1, 1), SUBSETS / samples),
        "seeds": torch.zeros(1, dtype=torch.int64),
        "minibatch": None,
        "test_features": features[:, :100],
        "test_targets": targets[:, :100],
    }


def _softmax(features: torch.Tensor, targets: torch.Tensor) -> SoftmaxRegression:
    number = torch.zeros(1)
    return SoftmaxRegression(**_shared(features, targets), smoothness=number, strong_convexity=number)


def _mlp(features: torch.Tensor, targets: torch.Tensor) -> MLP:
    features, start = layers.with_ones(features), layers.first((0,), "benchmark", DENSE).float()
    return MLP(**_shared(features, targets), first=start, shapes=DENSE)


def _cnn(features: torch.Tensor, targets: torch.Tensor) -> CNN:
    start, image = layers.first((0,), "benchmark", CONVOLVED).float(), Image(1, 28, 28)
    return CNN(**_shared(features, targets), first=start, image=image, shapes=CONVOLVED)


def _one_pass(problem: CNN, theta: torch.Tensor, classes: torch.Tensor) -> None:
    """The gradient of F by autograd, with the same network, in blocks of 500 examples."""
    weights = [weight[0].clone().requires_grad_() for weight in layers.split(theta[None], problem.shapes)]
    for rows, labels in zip(problem.features[0].split(500), classes.split(500), strict=True):
        images = rows.view(-1, *problem.image)
        for weight in weights[:2]:
            kernels = weight[:, :-1].reshape(len(weight), images.shape[1], 3, 3)
            images = functional.avg_pool2d(functional.conv2d(images, kernels, weight[:, -1], padding=1).relu(), 2)
        hidden = functional.linear(images.flatten(1), weights[2][:, :-1], weights[2][:, -1]).relu()
        scores = functional.linear(hidden, weights[3][:, :-1], weights[3][:, -1])
        functional.cross_entropy(scores, labels, reduction="sum").backward()
