"""The forms in which messages are given, and the way back: a tensor of messages, and results in the given form.

Messages are an array (..., N, D), or a list of N messages, one per device. A message of a list is an array of any
shape, or a list, tuple or mapping of such arrays, one per layer for example, nested as it likes. An array is a torch
tensor or a numpy array of real floating-point numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from byzcode.errors import UserError, shown
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

_NUMPY = tuple(np.dtype(name) for name in ("float16", "float32", "float64"))
_ALLOWED = "allowed: torch tensors or numpy arrays"


@dataclass(frozen=True)
class Leaf:
    """An array as it was given: its shape, its type of numbers, and the device of a tensor; None for numpy."""

    shape: tuple[int, ...]
    dtype: Any
    device: Any = None

    def back(self, tensor: Tensor, shape: tuple[int, ...] | None = None) -> Any:
        """A tensor in this form."""
        shaped = tensor if shape is None else tensor.reshape(shape)
        if self.device is not None:
            return shaped.to(self.dtype)
        with np.errstate(over="ignore"):  # as torch: what the narrow type cannot hold is infinite
            return shaped.detach().numpy().astype(self.dtype)

    @property
    def words(self) -> str:
        """The form in words."""
        kind = "a numpy array" if self.device is None else f"a tensor on {self.device}"
        return f"{kind} of {self.dtype} with shape {self.shape}"


#: Puts leaves together as they were.
Build = Callable[[Iterator[Any]], Any]


@dataclass(frozen=True)
class Form:
    """How messages were given, and the messages as a tensor (..., N, D), in at least single precision."""

    messages: Tensor
    leaves: tuple[Leaf, ...]
    build: Build | None = None  # of a message of a list; None if the messages are an array
    outer: type = list

    @property
    def batch(self) -> tuple[int, ...]:
        """The leading axes."""
        return tuple(self.messages.shape[:-2])

    @property
    def devices(self) -> int:
        """N."""
        return self.messages.shape[-2]

    @property
    def runs(self) -> Tensor:
        """The messages with all leading axes as one, (R, N, D)."""
        return self.messages.reshape(-1, *self.messages.shape[-2:])

    def several(self, messages: Tensor) -> Any:
        """Messages (..., N', D) in the given form; a copy, not a view of what was given."""
        shaped = self._apart(messages).reshape(*self.batch, *messages.shape[-2:])
        if self.build is None:
            return self.leaves[0].back(shaped)
        made = [self.one(message) for message in shaped.unbind(-2)]
        return tuple(made) if self.outer is tuple else made

    def one(self, vector: Tensor) -> Any:
        """A message (..., D) in the given form; a copy, too."""
        if self.build is None:
            return self.leaves[0].back(self._apart(vector).reshape(*self.batch, vector.shape[-1]))
        sizes = [_size(leaf.shape) for leaf in self.leaves]
        parts = zip(self.leaves, torch.split(vector, sizes, dim=-1), strict=True)
        return self.build(leaf.back(part, leaf.shape) for leaf, part in parts)

    def _apart(self, result: Tensor) -> Tensor:
        """A result that shares no memory with what was given."""
        shared = result.untyped_storage().data_ptr() == self.messages.untyped_storage().data_ptr()
        return result.clone() if shared else result

    def each(self, values: Tensor) -> Any:
        """Numbers (R, ...) with the leading axes of the messages, as a tensor or an array as these are; no copy."""
        shaped = values.reshape(*self.batch, *values.shape[1:])
        return shaped.numpy() if self.leaves[0].device is None else shaped


def read(given: Any, where: str, key: str = "messages") -> Form:
    """The form of messages, and their numbers. Raises UserError with the place of what does not fit."""
    if _is_array(given):
        leaf = _leaf(given, where, key)
        if len(leaf.shape) < 2 or leaf.shape[-2] == 0:
            raise UserError(f"{where}: {key} has shape {leaf.shape}; allowed: (..., N, D), or a list of N messages")
        return Form(_precise(_tensor(given)), (leaf,))
    if not isinstance(given, list | tuple):
        raise _refused(where, key, given, f"{_ALLOWED} (..., N, D), or a list of N messages")
    if not given:
        raise UserError(f"{where}: {key} is empty; allowed: one message per device")
    flat = [list(_flat(message, where, f"{key}[{number}]")) for number, message in enumerate(given)]
    leaves = [[_leaf(array, where, place) for place, array in message] for message in flat]
    for number, message in enumerate(flat):
        _check_alike(where, key, number, message, flat[0], leaves[number], leaves[0])
    if not leaves[0]:
        raise UserError(f"{where}: {key}[0] has no arrays; {_ALLOWED}")
    if len({leaf.device for leaf in leaves[0]} - {None}) > 1 or len({leaf.device is None for leaf in leaves[0]}) > 1:
        raise UserError(f"{where}: {key}[0] has arrays in several places; allowed: all on one device, or all of numpy")
    columns = zip(*([_tensor(array) for _, array in message] for message in flat), strict=True)
    rows = [torch.stack([array.reshape(-1) for array in column]) for column in columns]
    kind = rows[0].dtype
    for row in rows[1:]:
        kind = torch.promote_types(kind, row.dtype)
    messages = _precise(torch.cat([row.to(kind) for row in rows], dim=-1))
    return Form(messages, tuple(leaves[0]), _builder(given[0]), type(given))


def one_of_many(given: Any, like: Form, where: str, key: str) -> Tensor:
    """Further messages of the same form as ``like``, (..., N, D). Raises UserError."""
    form = read(given, where, key)
    if form.messages.shape != like.messages.shape or form.leaves != like.leaves:
        raise UserError(f"{where}: {key} are not of the form of the messages; allowed: the same shapes and types")
    return form.messages


def _is_array(given: Any) -> bool:
    return isinstance(given, np.ndarray | torch.Tensor)


def _leaf(array: Any, where: str, key: str) -> Leaf:
    """The form of an array. Raises UserError."""
    if isinstance(array, np.ma.MaskedArray):
        raise _refused(where, key, array, f"{_ALLOWED} without a mask")
    if isinstance(array, np.ndarray):
        if array.dtype.newbyteorder("=") not in _NUMPY:
            raise UserError(f"{where}: {key} is of {array.dtype}; allowed: float16, float32, float64")
        return Leaf(array.shape, array.dtype)
    if not array.dtype.is_floating_point or array.layout != torch.strided:
        kind = array.dtype if array.layout == torch.strided else array.layout
        raise UserError(f"{where}: {key} is of {kind}; allowed: dense tensors of float16, bfloat16, float32, float64")
    return Leaf(tuple(array.shape), array.dtype, array.device)


def _tensor(array: Any) -> Tensor:
    if not isinstance(array, np.ndarray):
        return array.as_subclass(torch.Tensor) if type(array) is not torch.Tensor else array
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return torch.from_numpy(native if native.flags.writeable else native.copy())


def _precise(messages: Tensor) -> Tensor:
    """In single precision if they are in less: results are rounded once, at the end."""
    return messages.float() if messages.dtype in (torch.float16, torch.bfloat16) else messages


def _size(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


# --- messages of several arrays --------------------------------------------------------------------------------------


def _inside(tree: Any) -> Iterator[tuple[str, Any]] | None:
    """The parts of a list, tuple or mapping with their places; None for anything else."""
    if isinstance(tree, list | tuple):
        return ((f"[{number}]", each) for number, each in enumerate(tree))
    if isinstance(tree, Mapping):
        return ((f"[{key!r}]", each) for key, each in tree.items())
    return None


def _flat(tree: Any, where: str, place: str) -> Iterator[tuple[str, Any]]:
    """The arrays of a message with their places. Raises UserError."""
    if _is_array(tree):
        yield place, tree
        return
    inner = _inside(tree)
    if inner is None:
        raise _refused(where, place, tree, f"{_ALLOWED}, or lists, tuples and mappings of them")
    for step, each in inner:
        yield from _flat(each, where, place + step)


def _builder(tree: Any) -> Build:
    """What puts the arrays of a message together as in ``tree``."""
    if _is_array(tree):
        return next
    if isinstance(tree, Mapping):
        keys, builders = list(tree), [_builder(each) for each in tree.values()]
        kind = OrderedDict if isinstance(tree, OrderedDict) else dict
        return lambda leaves: kind((key, build(leaves)) for key, build in zip(keys, builders, strict=True))
    inner = [_builder(each) for each in tree]
    if hasattr(tree, "_fields"):
        return lambda leaves: type(tree)(*[build(leaves) for build in inner])
    kind_of_list = tuple if isinstance(tree, tuple) else list
    return lambda leaves: kind_of_list([build(leaves) for build in inner])


def _check_alike(
    where: str,
    key: str,
    number: int,
    message: Sequence[tuple[str, Any]],
    first: Sequence[tuple[str, Any]],
    leaves: Sequence[Leaf],
    others: Sequence[Leaf],
) -> None:
    """Raise UserError if a message does not have the arrays of the first one."""
    head, other = f"{key}[{number}]", f"{key}[0]"
    places, expected = ([place[len(start) :] for place, _ in each] for start, each in ((head, message), (other, first)))
    if places != expected:
        raise UserError(f"{where}: {head} has other parts than {other}; allowed: the same for every device")
    for place, leaf, wanted in zip(places, leaves, others, strict=True):
        if leaf != wanted:
            raise UserError(f"{where}: {head}{place} is {leaf.words}, but {other}{place} {wanted.words}")


def _refused(where: str, key: str, value: Any, allowed: str) -> UserError:
    kind = type(value)
    told = shown(value) if isinstance(value, int | float | str | None) else f"a {kind.__module__}.{kind.__qualname__}"
    return UserError(f"{where}: {key} = {told}: {allowed}")
