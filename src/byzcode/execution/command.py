"""The command line that the workflow's jobs call."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def put_in_path() -> None:
    """Let processes of this one find ``byzcode``, which lies beside this Python, where it is not in PATH.

    So it is where Snakemake was called by its path, and its environment is not activated.
    """
    beside = Path(sys.executable).parent
    if shutil.which("byzcode") is None and (beside / "byzcode").exists():
        os.environ["PATH"] = os.pathsep.join(filter(None, [str(beside), os.environ.get("PATH", os.defpath)]))
