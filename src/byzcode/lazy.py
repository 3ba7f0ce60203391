"""torch, loaded at first use.

Importing torch takes about two CPU seconds, and Snakemake reads the run specifications (hence the tables of rules
and attacks) at every start, for every job on a cluster. Modules that those tables reach write
``from byzcode.lazy import torch``; type checkers see the real module.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from byzcode.errors import UserError

__all__ = ["torch"]


def _lazy(name: str) -> ModuleType:
    """The recipe "Implementing lazy imports" of the standard library's importlib documentation."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise UserError(f"the package {name} is not installed; pip install -r requirements.lock")
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


if TYPE_CHECKING:
    import torch
else:
    torch = _lazy("torch")
