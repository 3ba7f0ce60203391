"""Lay out the workflow, its configuration and its profiles in a new folder, from the files that byzcode contains."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from byzcode.errors import UserError, complain, short
from byzcode.storage.regular import reason

#: The folders of this package with the files; in a clone they have links to the files of the repository.
_LAID_OUT = ("project", "config")


def lay_out(folder: Path) -> None:
    """Fill a new or empty folder. Raises UserError if it has content or cannot be written."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            there = "it is not empty" if folder.is_dir() else "it is a file"
            raise complain("byzcode init", "FOLDER", str(folder), f"{there}; allowed: a new or an empty folder")
        for name in _LAID_OUT:
            target = folder if name == "project" else folder / name
            shutil.copytree(_own(name), target, copy_function=shutil.copyfile, dirs_exist_ok=True)
    except OSError as error:
        raise UserError(f"{short(folder, 300)}: cannot be written: {reason(error)}") from None


def _own(name: str) -> Path:
    """A folder of this package. Raises UserError if it is missing or has links that lead nowhere."""
    own = Path(str(files("byzcode"))) / name
    if not own.is_dir() or not all(path.exists() for path in own.iterdir()):
        raise UserError(f"{own}: missing: this byzcode was installed without its workflow; install it from its wheel")
    return own
