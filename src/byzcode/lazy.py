"""torch, loaded at first use.

Importing torch takes about two CPU seconds, and Snakemake reads the run specifications (hence the tables of rules
and attacks) at every start, for every job on a cluster; figures need it not at all. Modules that those tables reach
write ``from byzcode.lazy import torch``; type checkers see the real module.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["torch"]


class _Lazy(ModuleType):
    """A module that is imported when something of it is first asked for; from then on it answers by itself.

    It stands in no ``sys.modules``, where other libraries look whether torch is loaded.
    """

    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(self.__name__)
        self.__dict__.update(module.__dict__)
        return getattr(module, name)


if TYPE_CHECKING:
    import torch
else:
    torch = _Lazy("torch")
