"""The functions of a user, with what they return checked: a wrong result raises UserError, with what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

from byzcode.compression import Compressed
from byzcode.data import Examples, Split
from byzcode.errors import UserError
from byzcode.lazy import torch
from byzcode.problems import Problem

if TYPE_CHECKING:
    from torch import Tensor


def _wrong(kind: str, name: str, got: Any, expected: str) -> UserError:
    told = f"{got.dtype} {tuple(got.shape)}" if isinstance(got, torch.Tensor) else f"a {type(got).__name__}"
    return UserError(f"{kind} {name}: returned {told}; allowed: {expected}")


def _like(got: Any, messages: Tensor, shape: Sequence[int]) -> bool:
    return isinstance(got, torch.Tensor) and tuple(got.shape) == tuple(shape) and got.dtype == messages.dtype


def attack(function: Callable[..., Any], name: str) -> Callable[..., Tensor]:
    """An attack whose results are checked: messages, and those of honest devices unchanged."""

    @wraps(function)
    def called(messages: Tensor, threat: Any, draws: Any, **options: Any) -> Tensor:
        got = function(messages, threat, draws, **options)
        if not _like(got, messages, messages.shape):
            raise _wrong("attack", name, got, f"messages, {messages.dtype} {tuple(messages.shape)}")
        if messages.device.type == "cpu":  # elsewhere the comparison would wait
            before, after = threat.of_honest(messages), threat.of_honest(got)
            if not ((before == after) | before.isnan()).all():
                raise UserError(
                    f"attack {name}: changed messages of honest devices; allowed: threat.replace(messages, lies)"
                )
        received: Tensor = got
        return received

    return called


def rule(function: Callable[..., Any], name: str) -> Callable[..., Tensor]:
    """A rule whose results are checked: one vector."""

    @wraps(function)
    def called(messages: Tensor, f: int, **options: Any) -> Tensor:
        got = function(messages, f, **options)
        shape = (*messages.shape[:-2], messages.shape[-1])
        if not _like(got, messages, shape):
            raise _wrong("rule", name, got, f"one vector, {messages.dtype} {shape}")
        result: Tensor = got
        return result

    return called


def compressor(function: Callable[..., Any], name: str) -> Callable[..., Compressed]:
    """A compressor whose results are checked: messages and bits."""

    @wraps(function)
    def called(messages: Tensor, draws: Any, number_bits: int, **options: Any) -> Compressed:
        got = function(messages, draws, number_bits, **options)
        if not isinstance(got, tuple) or len(got) != 2:
            raise _wrong("compressor", name, got, "a pair of messages and bits")
        if not _like(got[0], messages, messages.shape):
            raise _wrong("compressor", name, got[0], f"messages, {messages.dtype} {tuple(messages.shape)}")
        if not (isinstance(got[1], int) or (isinstance(got[1], torch.Tensor) and got[1].shape == messages.shape[:-1])):
            raise _wrong("compressor", name, got[1], f"bits, a whole number or {tuple(messages.shape[:-1])}")
        return Compressed(*got)

    return called


def problem(function: Callable[..., Any], name: str) -> Callable[..., Problem]:
    """A problem whose members are checked."""
    needed = [member for member in vars(Problem) if not member.startswith("_")]

    @wraps(function)
    def called(seeds: Sequence[int], device: str, dtype: str, **options: Any) -> Problem:
        got = function(seeds, device, dtype, **options)
        lacking = [member for member in needed if not hasattr(got, member)]
        if lacking:
            raise UserError(f"problem {name}: returned a {type(got).__name__} without {', '.join(lacking)}")
        made: Problem = got
        return made

    return called


def split(function: Callable[..., Any], name: str) -> Split:
    """The examples that a function returns, as arrays that nobody can change. Raises UserError."""
    allowed = "allowed: (features, labels) of training and of test, with features (n, d) and labels (n,)"
    got = function()
    try:
        parts = [
            Examples(*(np.array(each.numpy(force=True) if isinstance(each, torch.Tensor) else each) for each in part))
            for part in got
        ]
    except (TypeError, ValueError):
        parts = []
    if len(parts) != 2:
        raise UserError(f"register.data {name}: {allowed}")
    for features, labels in parts:
        fits = features.ndim == 2 and labels.shape == features.shape[:1] and len(labels) > 0
        if not fits or features.dtype.kind not in "fiu" or labels.dtype.kind not in "fiu":
            told = f"features {features.dtype} {features.shape}, labels {labels.dtype} {labels.shape}"
            raise UserError(f"register.data {name}: {told}; {allowed}, of numbers")
        if (
            not np.isfinite(features).all()
            or not np.isfinite(labels).all()
            or (labels.dtype.kind in "iu" and labels.min() < 0)
        ):
            raise UserError(f"register.data {name}: allowed: finite numbers, and classes from 0")
        features.flags.writeable = labels.flags.writeable = False
    kept = [
        Examples(each.features if each.features.dtype == np.float32 else each.features.astype(np.float64), each.labels)
        for each in parts
    ]
    return Split(*kept)
