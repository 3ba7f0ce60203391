"""The compiled hot loops. They exist if a compiler was available when byzcode was installed.

The library is used only if it was built from the sources in this folder, with the flags of
:mod:`byzcode.provenance.compiled`. Otherwise, and for tensors that it does not accept, the torch and numpy code beside
each call runs. It is slower, with the same bits in double precision (docs/performance.md lists the exceptions).
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byzcode.lazy import torch
from byzcode.provenance import sources
from byzcode.provenance.compiled import fingerprint

if TYPE_CHECKING:
    from torch import Tensor

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64
#: The arguments of each function, as the source of that name declares them.
_ARGUMENTS = {
    "coded": [_POINTER] * 7 + [_SIZE] * 6,
    "outer": [_POINTER] * 8 + [_SIZE] * 7,
    "spread": [_POINTER] * 5 + [_SIZE] * 5,
    "statistic": [_POINTER] * 3 + [_SIZE] * 6,
    "distances": [_POINTER] * 3 + [_SIZE] * 3,
    "mixed": [_POINTER] * 4 + [_SIZE] * 4,
    "erase": [_POINTER] * 8 + [_SIZE] * 4,
}


def library() -> ctypes.CDLL | None:
    """The compiled library, or None if none was built from these sources."""
    return _loaded()[0]


def unused() -> str | None:
    """Why an existing compiled library is not used, in one line; None if it is used, or if there is none."""
    return _loaded()[1]


@cache
def _loaded() -> tuple[ctypes.CDLL | None, str | None]:
    names = (Path(__file__).with_name(f"_native{suffix}") for suffix in EXTENSION_SUFFIXES)
    path = next((name for name in names if name.is_file()), None)
    if path is None:
        return None, None
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError:
        return None, f"{path.name}, the compiled kernels, was built for another system and is not used: {_BUILD}"
    if _fingerprint_of(loaded) != fingerprint(sources.loaded()):
        return None, f"{path.name}, the compiled kernels, was built from other sources and is not used: {_BUILD}"
    return loaded, None


_BUILD = "`make setup` builds it; until then, the same numbers take longer to compute"


def _fingerprint_of(compiled: ctypes.CDLL) -> str | None:
    """The fingerprint stored in a library; None for a library that is older than the fingerprint."""
    try:
        size = len(fingerprint({})) + 1
        return (ctypes.c_char * size).in_dll(compiled, "byzcode_fingerprint").value.decode(errors="replace")
    except ValueError:
        return None


@cache
def _functions(name: str) -> dict[Any, Any]:
    """A compiled function by data type; empty without the library."""
    by_type: dict[Any, Any] = {}
    if (compiled := library()) is not None:
        for dtype, suffix in ((torch.float32, "float32"), (torch.float64, "float64")):
            function = getattr(compiled, f"{name}_{suffix}", None)
            if function is None:  # not compiled for this type
                continue
            function.argtypes, function.restype = _ARGUMENTS[name], None
            by_type[dtype] = function
    return by_type


def function(name: str, like: Tensor, *others: Tensor) -> Any:
    """The compiled function ``name`` for CPU tensors that share a type, or None."""
    if like.device.type != "cpu" or any(other.dtype != like.dtype for other in others):
        return None
    return _functions(name).get(like.dtype)
