"""Call the handlers of a workflow that another workflow uses as a module; Snakemake itself ignores those of modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Handler = Callable[[Any], object]


def beside(workflow: Any, name: str, ours: Handler) -> None:
    """Let a workflow call ``ours`` before its own handler ``name``, whether that handler is registered before or after.

    ``name`` is onstart, onsuccess or onerror; a handler takes the path of Snakemake's log. If ``ours`` raises an error,
    the workflow's own handler is not called.
    """
    attribute, register = f"_{name}", getattr(workflow, name)

    def both(theirs: Handler) -> Handler:
        def handler(log: Any) -> None:
            ours(log)
            theirs(log)

        return handler

    def registering(theirs: Handler) -> None:
        before = getattr(workflow, attribute)
        register(theirs)
        now = getattr(workflow, attribute)
        if now is not before:  # else the handler is that of a module, which Snakemake has ignored
            setattr(workflow, attribute, both(now))

    setattr(workflow, attribute, both(getattr(workflow, attribute)))
    setattr(workflow, name, registering)
