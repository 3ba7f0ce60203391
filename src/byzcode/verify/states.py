"""The state of each run of a plan, for ``byzcode plan`` and ``byzcode explain``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from byzcode.errors import UserError, printable, short
from byzcode.kernels import native
from byzcode.provenance.code import changed
from byzcode.specs.run import RunSpec
from byzcode.storage import layout, trajectories
from byzcode.verify.files import installed


@dataclass(frozen=True)
class State:
    """The state of a run in a word, the sources that changed since it was made, and the versions of its libraries."""

    word: str  # missing, current, of another engine, unreadable
    changed: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def state(results: Path, spec: RunSpec) -> State:
    """The state of a run."""
    path = layout.trajectory(results, spec.run_id)
    if not path.exists():
        return State("missing")
    try:
        attributes = trajectories.load(path, spec).attributes
    except UserError:
        return State("unreadable")
    versions = {name: printable(short(attributes[key], 40)) for name, key in _VERSIONS.items() if key in attributes}
    if attributes["engine_digest"] == trajectories.engine_digest(spec):
        return State("current", versions=versions)
    return State("of another engine", _changed(attributes, spec), versions)


#: Libraries whose versions can change numbers, but do not cause retraining.
_VERSIONS = {name: f"{name}_version" for name in ("torch", "numpy")}


def _changed(attributes: Mapping[str, object], spec: RunSpec) -> tuple[str, ...]:
    stored = trajectories.parts_in(attributes)
    return tuple(changed(stored, trajectories.engine_parts(spec))) if stored else ()


#: The number of lines on changed sources from which an overview names the sources in one line.
_MOST = 2


def brief_notes(states: Mapping[str, State]) -> Iterator[str]:
    """The lines of :func:`notes`, in one line for all changed sources if these are many."""
    stale = [run for run in states.values() if run.changed]
    sources = Counter(name for run in stale for name in run.changed)
    lines = list(notes(states))
    if len(sources) > _MOST:
        named = [name for name, _ in sources.most_common(4)]
        more = f" and {len(sources) - len(named)} more" if len(sources) > len(named) else ""
        yield f"{', '.join(named)}{more} changed since {_runs(len(stale))} trained"
        lines = lines[len(sources) :]
    yield from lines


def notes(states: Mapping[str, State]) -> Iterator[str]:
    """Lines on sources that changed since runs were trained, and on runs made with other versions of libraries."""
    stale = [run for run in states.values() if run.word == "of another engine"]
    for name, count in sorted(Counter(name for run in stale for name in run.changed).items()):
        yield f"{name} changed since {_runs(count)} trained"
    if unnamed := sum(not run.changed for run in stale):
        yield f"{_runs(unnamed)} trained before trajectories named their sources"
    present = installed()
    for name in _VERSIONS:
        for made, count in sorted(Counter(run.versions.get(name, present[name]) for run in states.values()).items()):
            if made != present[name]:
                yield f"{_runs(count)} trained with {name} {made}; installed: {present[name]}"
    if unused := native.unused():
        yield unused


def _runs(count: int) -> str:
    return f"{count} run was" if count == 1 else f"{count} runs were"
