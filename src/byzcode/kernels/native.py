"""The compiled bodies of the hot loops, from ``native.cpp``: there where a compiler was when byzcode was installed.

Where they are not, or tensors are not such as they take, the torch and numpy bodies beside each call run: slower, and
in double precision with the same bits (docs/performance.md says where not).
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
    """By data type, a compiled function; none where there is no library."""
    found: dict[Any, Any] = {}
    if (compiled := library()) is not None:
        for dtype, suffix in ((torch.float32, "float32"), (torch.float64, "float64")):
            function = getattr(compiled, f"{name}_{suffix}", None)
            if function is None:  # not made for this type
                continue
            function.argtypes, function.restype = _ARGUMENTS[name], None
            found[dtype] = function
    return found


def function(name: str, like: Tensor, *others: Tensor) -> Any:
    """The compiled ``name`` for tensors of one type on the CPU, or None."""
    if like.device.type != "cpu" or any(other.dtype != like.dtype for other in others):
        return None
    return _functions(name).get(like.dtype)
