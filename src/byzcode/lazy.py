"""torch, loaded at first use.

Importing torch takes about two CPU seconds, and Snakemake reads the run specifications (hence the tables of rules
and attacks) at every start, for every job on a cluster; figures need it not at all. Modules that those tables reach
write ``from byzcode.lazy import torch``; type checkers see the real module.
"""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["torch"]


class _Lazy(ModuleType):
    """A module that is imported when something of it is first asked for; from then on it answers by itself.

    It stands in no ``sys.modules``, where other libraries look whether torch is loaded.
    """

    def __getattr__(self, name: str) -> Any:
        module = _imported(self.__name__)
        self.__dict__.update(module.__dict__)
        return getattr(module, name)


def _imported(name: str) -> ModuleType:
    """A module, imported while the garbage collector rests.

    Nothing that an import of torch makes is garbage, and the collector would search its quarter of a million objects
    again and again, lastly when the process ends: a third of the CPU time of a short training. So it passes them over.
    """
    if name in sys.modules or not gc.isenabled():
        return importlib.import_module(name)
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


if TYPE_CHECKING:
    import torch
else:
    torch = _Lazy("torch")
