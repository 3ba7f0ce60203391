"""Checks of a user's module before any training, on a few random examples.

The messages of devices that hold the same subset must be equal, and the gradient of a subset must not depend on which
subsets are computed beside it. So the scores of an example may depend on this example and on the parameters only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from byzcode.errors import KeyedError
from byzcode.lazy import torch
from byzcode.problems.users_module import KEY, Model, constants, loss_of, make, placed, trained, user_code, vector

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

#: Examples in a trial, some of them, and the largest relative difference by rounding in single precision.
EXAMPLES, SOME, ROUNDING = 8, 3, 1e-3


class Outline(NamedTuple):
    """The number of parameters D, and the numbers that are kept of an example for its gradient."""

    dimension: int
    kept: int


@cache
def outline(name: str, features: int, classes: int) -> Outline:
    """The sizes of a user's module, if it is one that can be trained. Raises KeyedError, with what is allowed."""
    module = make(name, features, classes, 0)
    _check_parameters(name, module)
    _check_seeds(name, module, make(name, features, classes, 0), make(name, features, classes, 1))
    dice = np.random.default_rng(0)
    examples = torch.from_numpy(dice.random((EXAMPLES, features), dtype=np.float32))
    labels = torch.arange(EXAMPLES) % classes
    with torch.inference_mode(False), torch.enable_grad():
        _check_scores(name, module, examples, classes)
        _check_losses(name, module, examples, labels)
        kept = _kept(name, module, examples, labels)
        _check_gradients(placed(name, module, "cpu", "float32"), vector(module).float(), examples, labels)
    return Outline(len(vector(module)), kept + features + classes)


def _refuse(name: str, reason: str) -> KeyedError:
    return KeyedError(KEY, name, reason)


def _check_parameters(name: str, module: Module) -> None:
    for parameter, own in module.named_parameters():
        if torch.nn.parameter.is_lazy(own):
            raise _refuse(name, f"parameter {parameter} is lazy, without a size; allowed: parameters with their sizes")
        if not own.is_floating_point():
            raise _refuse(name, f"parameter {parameter} is {_kind(own)}; allowed: real floating-point parameters")
    if not any(own.numel() for own in trained(module).values()):
        raise _refuse(name, "the module has no parameters to train")


def _check_seeds(name: str, module: Module, again: Module, other: Module) -> None:
    """Check that torch's seed alone determines the parameters, and that it determines nothing else."""
    if (different := _different(trained(module), trained(again))) is not None:
        reason = f"parameter {different} differs between two calls with the same seed; allowed: torch's random numbers"
        raise _refuse(name, reason)
    if (different := _different(constants(module), constants(other))) is not None:
        reason = f"{different} is not trained and differs between seeds; allowed: the same constants for all seeds"
        raise _refuse(name, reason)
    if (different := _different(_as_sizes(trained(module)), _as_sizes(trained(other)))) is not None:
        raise _refuse(name, f"parameter {different} has another size with another seed")


def _as_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.tensor(each.shape) for name, each in tensors.items()}


def _different(tensors: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> str | None:
    """The first name whose tensors differ; NaN equals NaN."""
    for name in (*tensors, *others):
        pair = [each.get(name) for each in (tensors, others)]
        if any(each is None for each in pair) or not _same(*(each for each in pair if each is not None)):
            return name
    return None


def _same(tensor: Tensor, other: Tensor) -> bool:
    return tensor.shape == other.shape and bool(((tensor == other) | ((tensor != tensor) & (other != other))).all())


def _check_scores(name: str, module: Module, examples: Tensor, classes: int) -> None:
    before = {each: own.detach().clone() for each, own in module.state_dict(keep_vars=True).items()}
    with _no_random_numbers(name):
        with user_code(name):
            scores = module(examples)
        _check_shape(name, "the scores", scores, (len(examples), classes))
        if (changed := _different(before, dict(module.state_dict(keep_vars=True)))) is not None:
            raise _refuse(
                name,
                f"a forward pass changes {changed}, so messages about the same subset would differ (batch norm?); "
                "allowed: a module without state, such as one with GroupNorm or LayerNorm, or in eval mode",
            )
        with user_code(name):
            again, some = module(examples), module(examples[:SOME])
    if not _same(scores, again):
        raise _refuse(name, "two forward passes give different scores; allowed: a module without state")
    _check_shape(name, "the scores", some, (SOME, classes))
    if not torch.allclose(scores[:SOME], some, rtol=ROUNDING, atol=_blur(scores), equal_nan=True):
        raise _refuse(
            name,
            "the scores of an example depend on the other examples (batch norm?); "
            "allowed: layers that see one example, such as GroupNorm or LayerNorm",
        )


def _blur(values: Tensor) -> float:
    return ROUNDING * float(values.detach().nan_to_num(0, 0, 0).abs().max())


def _check_losses(name: str, module: Module, examples: Tensor, labels: Tensor) -> None:
    with _no_random_numbers(name), user_code(name):
        loss = loss_of(module)
        losses, some = loss(module(examples), labels), loss(module(examples[:SOME]), labels[:SOME])
    _check_shape(name, "the losses", losses, (len(examples),))
    _check_shape(name, "the losses", some, (SOME,))
    if not torch.allclose(losses[:SOME], some, rtol=ROUNDING, atol=_blur(losses), equal_nan=True):
        raise _refuse(name, "the loss of an example depends on the other examples; allowed: a loss of each example")


def _check_shape(name: str, what: str, values: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(values, torch.Tensor):
        raise _refuse(name, f"{what} of {shape[0]} examples are a {type(values).__name__}; allowed: a tensor {shape}")
    if values.shape != shape or not values.is_floating_point():
        given = f"{_kind(values)} of shape {tuple(values.shape)}"
        raise _refuse(name, f"{what} of {shape[0]} examples are {given}; allowed: real numbers of shape {shape}")


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


@contextmanager
def _no_random_numbers(name: str) -> Iterator[None]:
    """Check that the user's code draws no random numbers; leave those of torch, numpy and Python as they were."""
    sources: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
        (torch.get_rng_state, torch.set_rng_state),
        (lambda: np.random.get_state(legacy=False), np.random.set_state),  # noqa: NPY002
        (random.getstate, random.setstate),
    ]
    before = [state() for state, _ in sources]
    try:
        yield
        after = [state() for state, _ in sources]
    finally:
        for (_, restore), state in zip(sources, before, strict=True):
            restore(state)
    if any(repr(_plain(each)) != repr(_plain(other)) for each, other in zip(before, after, strict=True)):
        raise _refuse(
            name,
            "a forward pass draws random numbers, so messages about the same subset would differ (dropout?); "
            "allowed: a module without them, or in eval mode",
        )


def _plain(state: Any) -> Any:
    """A state of random numbers as plain values, which compare in full."""
    if isinstance(state, torch.Tensor):
        return state.tolist()
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _kept(name: str, module: Module, examples: Tensor, labels: Tensor) -> int:
    """The numbers that autograd keeps of an example."""
    counts = []
    for count in (len(examples), len(examples) // 2):
        saved: list[int] = []

        def note(tensor: Tensor, saved: list[int] = saved) -> Tensor:
            saved.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), user_code(name):
            loss_of(module)(module(examples[:count]), labels[:count])
        counts.append(sum(saved))
    return max(0, 2 * (counts[0] - counts[1]) // len(examples))


def _check_gradients(model: Model, theta: Tensor, examples: Tensor, labels: Tensor) -> None:
    """Check that torch.func can differentiate the losses of two subsets at a time."""
    half = len(examples) // 2
    halves = examples.view(2, half, -1), labels.view(2, half), examples.new_ones(2, half)
    gradients = model.gradients(theta, *halves)
    if not gradients.any():
        raise _refuse(model.name, "the loss does not depend on the parameters")
