"""The progress of a training in a session: a bar on a terminal or in a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from byzcode.execution.batches import Shown
from byzcode.execution.progress import progress, silent

#: Seconds between two updates of a notebook.
_PAUSE = 0.2


def shown(wanted: bool | None) -> Shown:
    """What shows progress. None: a bar where there can be one. True: else lines in a log. False: nothing."""
    if wanted is False:
        return silent
    if _in_notebook():
        return _notebook
    return progress if wanted or sys.stderr.isatty() else silent


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def _notebook(label: str, total: int) -> Iterator[Callable[[int], None]]:
    from IPython.display import HTML, display

    done, last = 0, time.monotonic()

    def bar_at(done: int) -> HTML:
        return HTML(f"<progress value='{done}' max='{total}'></progress> {label}: {100 * done / total:.0f} %")

    handle = display(bar_at(0), display_id=True)

    def advance(steps: int) -> None:
        nonlocal done, last
        done += steps
        if time.monotonic() - last >= _PAUSE:
            last = time.monotonic()
            handle.update(bar_at(done))

    try:
        yield advance
    finally:
        handle.update(HTML(""))
