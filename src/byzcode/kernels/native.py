"""The compiled hot loops of ``native.cpp``. They exist if a compiler was available when byzcode was installed.

Otherwise, and for tensors that they do not accept, the torch and numpy code beside each call runs. It is slower, with
the same bits in double precision (docs/performance.md lists the exceptions).
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64
#: The arguments of each function, as native.cpp declares them.
_ARGUMENTS = {
    "coded": [_POINTER] * 7 + [_SIZE] * 6,
    "statistic": [_POINTER] * 3 + [_SIZE] * 6,
    "distances": [_POINTER] * 3 + [_SIZE] * 3,
}


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library, or None."""
    names = (Path(__file__).with_name(f"_native{suffix}") for suffix in EXTENSION_SUFFIXES)
    path = next((name for name in names if name.is_file()), None)
    try:
        return ctypes.CDLL(str(path)) if path else None
    except OSError:  # built for another system
        return None


@cache
def _functions(name: str) -> dict[Any, Any]:
    """A compiled function by data type; empty without the library."""
    found: dict[Any, Any] = {}
    if (compiled := library()) is not None:
        for dtype, suffix in ((torch.float32, "float32"), (torch.float64, "float64")):
            function = getattr(compiled, f"{name}_{suffix}", None)
            if function is None:  # not compiled for this type
                continue
            function.argtypes, function.restype = _ARGUMENTS[name], None
            found[dtype] = function
    return found


def function(name: str, like: Tensor, *others: Tensor) -> Any:
    """The compiled function ``name`` for CPU tensors that share a type, or None."""
    if like.device.type != "cpu" or any(other.dtype != like.dtype for other in others):
        return None
    return _functions(name).get(like.dtype)
