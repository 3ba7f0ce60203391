"""The child of a server: it becomes the process of a job, as a plain start would have made it."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import signal
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from byzcode.execution.warm.request import FREE, Request
from byzcode.execution.warm.server import HANDLED

#: The exit status of Python if it cannot write its last output, and ours for SIGINT.
_NOT_FLUSHED, _INTERRUPTED = 120, -1


def become(request: Request) -> None:
    """Take on the open files, the folder, the environment and the command line of a request."""
    atexit._clear()  # what the libraries of the server do at its end, such as removing a folder that all share
    _take_files(request)
    os.umask(request.umask)
    os.fchdir(request.folder)
    os.close(request.folder)
    for name in FREE:
        if name in request.environment:
            os.environb[name] = request.environment[name]
        else:
            os.environb.pop(name, None)
    tempfile.tempdir = None  # chosen again, by the environment
    words = [os.fsdecode(word) for word in request.words]
    words[0] = shutil.which(Path(words[0]).name) or words[0]
    sys.argv, sys.orig_argv = words, [sys.executable, *words]
    main = types.ModuleType("__main__")
    main.__file__ = words[0]
    # Another name keeps the server's own main module, whose code is at work, alive.
    sys.modules["__server__"], sys.modules["__main__"] = sys.modules["__main__"], main
    sys.path.insert(0, str(Path(words[0]).parent))


def _take_files(request: Request) -> None:
    """Replace the standard files, as Python opens them at its start; let programs inherit the others."""
    like = sys.stdout
    for place, descriptor in enumerate(request.files[:3]):
        os.dup2(descriptor, place)
        os.close(descriptor)
    for descriptor in request.files[3:]:
        os.set_inheritable(descriptor, True)
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for place, name in enumerate(("stdin", "stdout", "stderr")):
        file: Any = open(place, "wb" if place else "rb", 0 if place and unbuffered else -1, closefd=False)  # noqa: SIM115
        getattr(file, "raw", file).name = f"<{name}>"
        text = io.TextIOWrapper(
            file,
            like.encoding,
            "backslashreplace" if name == "stderr" else like.errors,
            newline="\n",
            line_buffering=not unbuffered and (name == "stderr" or file.isatty()),
            write_through=unbuffered,
        )
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def finish(main: Callable[[], Any]) -> NoReturn:
    """Run a program, and end the process as Python would, but without the destruction of all objects.

    The libraries of the server have made a million objects; to destroy them would first copy their memory.
    """
    status = _status(main)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or _NOT_FLUSHED
    if status == _INTERRUPTED:  # the shell must see the signal
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status)


def _status(main: Callable[[], Any]) -> int:
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        sys.exit(main())
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
    except BaseException as error:
        frames = error.__traceback__
        error.__traceback__ = frames and frames.tb_next  # without the frame of this function
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            return _INTERRUPTED
    return 1
