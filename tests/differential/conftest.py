"""Other people's libraries as oracles. byzfl asks for torchvision at import, for its data sets: a stand-in will do."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest


def stand_in_for_torchvision() -> None:
    """Modules with what byzfl names of torchvision at its import, if that is not installed."""
    if importlib.util.find_spec("torchvision") is not None:
        return
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms"):
        module = ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=name == "torchvision")
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    for name in ("Compose", "Normalize", "RandomCrop", "RandomHorizontalFlip", "ToTensor"):
        setattr(sys.modules["torchvision.transforms"], name, lambda *_, **__: None)


@pytest.fixture(scope="session")
def byzfl() -> ModuleType:
    """byzfl, or a skip that says how to have it."""
    if importlib.util.find_spec("byzfl") is None:
        pytest.skip("byzfl is not installed: pip install --no-deps byzfl==0.0.11")
    stand_in_for_torchvision()
    return importlib.import_module("byzfl")


#: Where `make .venv/beside` installs Flower and what runs notebooks, so that the environment has none of it.
BESIDE = Path(__file__).parents[2] / ".venv" / "beside"


@pytest.fixture(scope="session")
def flwr() -> ModuleType:
    """Flower, or a skip that says how to have it."""
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    if BESIDE.is_dir() and str(BESIDE) not in sys.path:
        sys.path.append(str(BESIDE))
    if importlib.util.find_spec("flwr") is None:
        pytest.skip("Flower is not installed: make .venv/beside")
    return importlib.import_module("flwr")
