"""A torch module of the user: import it, make it with a seed, and compute with parameters in one vector.

Errors in the user's code are reported with the user's file and line.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byzcode.errors import KeyedError, short
from byzcode.lazy import torch
from byzcode.provenance import users
from byzcode.provenance.sources import PACKAGE
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

#: The option that names the module.
KEY = "module"


@contextmanager
def user_code(name: str) -> Iterator[None]:
    """Run the user's code. Its errors become a KeyedError with the file and the line."""
    try:
        yield
    except KeyedError:
        raise
    except (Exception, SystemExit) as error:
        raise KeyedError(KEY, name, f"{_place(error)}{type(error).__name__}: {short(error, 300)}") from None


def _place(error: BaseException) -> str:
    """The last line of the user's code that an error passed through, "" if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""


def _is_users(file: str) -> bool:
    return not file.startswith("<") and not Path(file).is_relative_to(PACKAGE) and not users.installed(file)


def factory(name: str) -> Callable[[int, int], Any]:
    """The factory ``package.module:factory``. Raises KeyedError if it cannot be imported, or is not callable."""
    try:
        users.loaded(name)  # the source, before it is imported
    except ModuleNotFoundError as error:
        raise KeyedError(KEY, name, str(error)) from None
    except SyntaxError as error:
        raise KeyedError(KEY, name, f"{_place(error)}SyntaxError: {error.msg}") from None
    module, _, own = name.partition(":")
    with user_code(name):
        imported = importlib.import_module(module)
    made = getattr(imported, own, None)
    if not callable(made):
        reason = f"{module} has no {own}" if made is None else f"{own} is a {type(made).__name__}"
        raise KeyedError(KEY, name, f"{reason}; allowed: a function or class that returns a torch.nn.Module")
    return made  # type: ignore[no-any-return]


def make(name: str, features: int, classes: int, seed: int) -> Module:
    """The user's module with the first parameters of a seed, on the CPU. Leaves torch's random numbers as they were.

    Raises KeyedError if the factory fails or returns something else.
    """
    called = factory(name)
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(int(Stream(seed, "module/start").at(0).integers(2**63)))
        with user_code(name):
            module = called(features, classes)
    if not isinstance(module, torch.nn.Module):
        kind = type(module).__name__
        raise KeyedError(KEY, name, f"the factory returned a {kind}; allowed: a torch.nn.Module")
    return module


def trained(module: Module) -> dict[str, Tensor]:
    """The parameters that are trained, by name and in order."""
    return {name: each for name, each in module.named_parameters() if each.requires_grad}


def constants(module: Module) -> dict[str, Tensor]:
    """What is not trained: buffers, and parameters that need no gradient."""
    frozen = {name: each for name, each in module.named_parameters() if not each.requires_grad}
    return {**frozen, **dict(module.named_buffers())}


def vector(module: Module) -> Tensor:
    """The parameters that are trained as one vector, (D,), in float64."""
    return torch.cat([each.detach().flatten().double() for each in trained(module).values()])


@dataclass(frozen=True, eq=False)
class Model:
    """A module of the user that computes with given parameters. Its own parameters are not used."""

    name: str
    module: Module
    shapes: Mapping[str, tuple[int, ...]]

    def scores(self, theta: Tensor, features: Tensor) -> Tensor:
        """The scores (n, C) of examples (n, d) with parameters theta (D,). Raises KeyedError."""
        return self._called(self.module, "", theta, features)

    def losses(self, theta: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """The losses (n,) of examples (n, d) of classes (n,) with parameters theta (D,). Raises KeyedError."""
        return self._called(self._with_loss, "module.", theta, features, labels)

    def gradients(self, theta: Tensor, features: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """The gradients (B, D) of B weighted sums of losses: features (B, n, d), labels and weights (B, n)."""

        def total(theta: Tensor, features: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
            return (weights * self.losses(theta, features, labels)).sum()

        each = torch.func.vmap(torch.func.grad(total), in_dims=(None, 0, 0, 0))
        with user_code(self.name):
            return each(theta, features, labels, weights)  # type: ignore[no-any-return]

    def _called(self, module: Module, prefix: str, theta: Tensor, *given: Tensor) -> Tensor:
        sizes = [torch.Size(shape).numel() for shape in self.shapes.values()]
        parts = zip(self.shapes.items(), torch.split(theta, sizes), strict=True)
        values = {prefix + name: part.view(shape) for (name, shape), part in parts}
        with user_code(self.name):
            return torch.func.functional_call(module, values, given)  # type: ignore[no-any-return]

    @cached_property
    def _with_loss(self) -> Module:
        """A module that contains the user's, so that the method ``loss`` also sees the given parameters."""
        inner, outer = self.module, torch.nn.Module()
        outer.module = inner
        outer.forward = lambda features, labels: loss_of(inner)(inner(features), labels)
        return outer


def loss_of(module: Module) -> Callable[[Tensor, Tensor], Tensor]:
    """The losses (n,) of scores (n, C) and labels (n,): the module's method ``loss``, or the cross entropy."""
    own = getattr(module, "loss", None)
    return own if callable(own) else _cross_entropy


def _cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(scores, labels, reduction="none")


@cache
def model(name: str, features: int, classes: int, device: str, dtype: str) -> Model:
    """The user's module where and as a run computes with it: one object for all its batches."""
    return placed(name, make(name, features, classes, 0), device, dtype)


def placed(name: str, module: Module, device: str, dtype: str) -> Model:
    """A module on a device, in a precision."""
    shapes = {each: tuple(own.shape) for each, own in trained(module).items()}
    with torch.inference_mode(False), user_code(name):
        return Model(name, module.to(device, getattr(torch, dtype)), shapes)


def first(name: str, features: int, classes: int, seeds: Sequence[int]) -> Tensor:
    """The first parameters of some seeds, (R, D), in float64: the same for all methods of a seed."""
    return torch.stack([vector(make(name, features, classes, seed)) for seed in seeds])
