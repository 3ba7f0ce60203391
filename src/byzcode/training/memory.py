"""How much memory this process takes."""

from __future__ import annotations

import resource
import sys


def peak_memory() -> float:
    """MiB of memory that this process has held at most."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)  # bytes there, KiB elsewhere
