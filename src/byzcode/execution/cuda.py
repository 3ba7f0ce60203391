"""CUDA devices: count them, and reserve one for this process."""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from byzcode.errors import UserError
from byzcode.execution.system_locks import NoLocksError, locked
from byzcode.lazy import torch
from byzcode.training.workers import require

#: Seconds between two checks whether a device has become free.
PAUSE = 0.2


def count() -> int:
    """The number of CUDA devices that this process may use, according to the driver; does not need torch."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    number = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(number)) != 0:
        return 0
    return number.value


@contextmanager
def reserved() -> Iterator[str]:
    """Make a device current that no other training of this user on this machine uses, while the block runs.

    Takes the first free device that ``CUDA_VISIBLE_DEVICES`` allows, and waits until there is one. Each device has a
    lock file in the temporary folder of the machine. The UUID of the device names the file, because a batch system may
    call all devices number 0. The system releases a lock when its process ends. Raises UserError if there is no device.
    """
    require("cuda")
    folder = Path(tempfile.gettempdir()) / f"byzcode-{os.getuid()}"
    names = [f"gpu-{torch.cuda.get_device_properties(place).uuid}.lock" for place in range(torch.cuda.device_count())]
    with first_free([folder / name for name in names]) as place:
        torch.cuda.set_device(place)
        yield "cuda"


@contextmanager
def first_free(paths: list[Path]) -> Iterator[int]:
    """Lock the first free file while the block runs, and yield its place in the list. Waits until a file is free."""
    waiting = False
    try:
        paths[0].parent.mkdir(mode=0o700, exist_ok=True)
        files = [path.open("ab") for path in paths]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written: {error.strerror}") from None
    try:
        while (place := next((place for place, file in enumerate(files) if _locked(file.fileno())), None)) is None:
            if not waiting:
                print(f"all {len(paths)} CUDA devices are taken: waiting", file=sys.stderr, flush=True)
                waiting = True
            time.sleep(PAUSE)
        yield place
    finally:
        for file in files:
            file.close()


def _locked(descriptor: int) -> bool:
    folder = tempfile.gettempdir()
    try:
        return locked(partial(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), folder)
    except NoLocksError as error:
        raise UserError(f"{folder}: cannot be locked: {error}; allowed: a TMPDIR on a file system with locks") from None


def room() -> float:
    """The number of free bytes on the current device."""
    return float(torch.cuda.mem_get_info()[0])
