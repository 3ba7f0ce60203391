"""Make sure that the workflow's jobs find the ``byzcode`` command, in environments that Snakemake makes, too."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from byzcode.provenance.sources import PACKAGE


def put_in_path() -> None:
    """Add the folder of this Python to PATH if child processes would not find ``byzcode`` otherwise.

    PATH lacks it if Snakemake was called by its path, without activating its environment.
    """
    beside = Path(sys.executable).parent
    if shutil.which("byzcode") is None and (beside / "byzcode").exists():
        os.environ["PATH"] = os.pathsep.join(filter(None, [str(beside), os.environ.get("PATH", os.defpath)]))


def name_package() -> None:
    """Tell ``workflow/envs/byzcode.post-deploy.sh`` where this package is."""
    os.environ["BYZCODE_PACKAGE"] = str(PACKAGE)
