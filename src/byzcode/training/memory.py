"""The memory of this process."""

from __future__ import annotations

import ctypes
import resource
import sys

#: Options of glibc's mallopt with their largest values: from how many bytes a block is mapped by itself, and from how
#: many free bytes the end of the heap is given back.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = (-3, 32 << 20), (-1, 2**31 - 1)


def peak_memory() -> float:
    """The peak memory of this process, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)  # macOS gives bytes, other systems KiB


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next iteration, whose tensors otherwise wait for the system's empty pages.

    It holds for all of this process, so it is for a process that only trains. With QSGD a training takes a quarter less
    time. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(*_MMAP_THRESHOLD)
        mallopt(*_TRIM_THRESHOLD)
