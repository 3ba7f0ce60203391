"""Locks of the system, which it releases when the process that has them ends."""

from __future__ import annotations

import errno
from collections.abc import Callable

from byzcode.errors import UserError

#: Error numbers of the system if another process has a lock, and if a file system has no locks.
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class NoLocksError(Exception):
    """The file system has no locks; the message says why."""


def locked(lock: Callable[[], object], name: object) -> bool:
    """Call a function of :mod:`fcntl` that locks the file ``name``; false if another process has the lock.

    Raises NoLocksError if the file system has no locks, UserError if the file cannot be locked.
    """
    try:
        lock()
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise NoLocksError(error.strerror or str(error)) from None
        if error.errno not in _HELD:
            raise UserError(f"{name}: cannot be locked: {error.strerror}") from None
        return False
    return True
