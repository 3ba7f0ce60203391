"""Programs that tests call, which are installed apart (tests/end_to_end/tools.txt and validator.txt)."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """The path of a program. Skips the test if it is not installed, unless BYZCODE_TOOLS requires it."""
    folders = [str(Path(sys.prefix) / folder / "bin") for folder in ("tools", "validator")]
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    if found is None:
        assert os.environ.get("BYZCODE_TOOLS") != "required", f"{name} is not installed"
        pytest.skip(
            f"{name} is not installed: `make .venv/tools .venv/validator` installs it, where pip reaches an index"
        )
    return found
