"""Tables that scikit-learn bundles, read from its folder: importing scikit-learn takes longer than most trainings."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def bundled(name: str, delimiter: str | None = None) -> NDArray[np.float64]:
    """The numbers of a file of ``sklearn/datasets/data``, (rows, columns), or (rows,) if it has one column."""
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")
    table: Any = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / name, delimiter=delimiter)
    return np.asarray(table, dtype=np.float64)
