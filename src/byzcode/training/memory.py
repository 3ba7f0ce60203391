"""The memory use of this process."""

from __future__ import annotations

import resource
import sys


def peak_memory() -> float:
    """The peak memory of this process, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)  # macOS gives bytes, other systems KiB
