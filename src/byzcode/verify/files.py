"""Inspect result files: whether each is intact, which code made it, and with which libraries."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from byzcode import __version__
from byzcode.errors import UserError, printable, short
from byzcode.provenance.code import changed
from byzcode.storage import allocations, trajectories
from byzcode.storage.checksums import Checklist
from byzcode.storage.inputs import hash_of
from byzcode.storage.layout import STAGES
from byzcode.verify.archived import METADATA
from byzcode.verify.expected import Item, Progress

State = Literal["current", "stale", "damaged", "missing"]

#: The libraries whose versions a file records, in its attributes ``<name>_version``.
LIBRARIES = ("byzcode", "python", "torch", "numpy", "netCDF4", "pydantic")

#: Other files and folders in a folder of results (results/README.md).
OTHERS = (
    *("README.md", "archived", "batches", "benchmarks.csv", "benchmarks.png", "data", "logs"),
    *(STAGES["multiverse"].folder, "quick", "long", "heldout", "reference", "report.html", METADATA),
)


@dataclass(frozen=True)
class Finding:
    """The state of an item, a line per fault, and the versions that made it."""

    item: Item
    state: State
    faults: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""  # of a trajectory: the processor's capability, which its bits depend on


def look(items: Sequence[Item], progress: Progress) -> list[Finding]:
    """Inspect the files of some items."""

    @cache  # many runs share an allocation
    def digest_of(path: Path) -> str:
        return allocations.allocation_digest(allocations.read(path, path.stem))

    with progress("verify", len(items), "results") as advance:
        findings = []
        for item in items:
            findings.append(_look(item, digest_of))
            advance(1)
        return findings


def left_over(items: Sequence[Item], results: Path) -> dict[Path, list[str]]:
    """The names of unexpected files in the folders of results, by folder, without hidden (scratch) files."""
    wanted = {path for item in items for path in item.paths}
    folders = {results, *(path.parent for path in wanted)}
    known = wanted | folders | {folder.parent for folder in folders} | {results / name for name in OTHERS}
    unexpected = {
        folder: sorted(path for path in folder.glob("[!.]*") if path not in known) for folder in sorted(folders)
    }
    return {folder: [_named(path) for path in paths] for folder, paths in unexpected.items() if paths}


def _named(path: Path) -> str:
    return f"{path.name}/" if path.is_dir() else path.name


def installed() -> dict[str, str]:
    """The versions that are installed now."""
    own = {"byzcode": __version__, "python": platform.python_version()}
    return {name: own.get(name) or version(name) for name in LIBRARIES}


def _look(item: Item, digest_of: Callable[[Path], str]) -> Finding:
    if not any(path.exists() for path in item.paths):
        return Finding(item, "missing", (f"{item.paths[0]}: missing",))
    return _look_at_list(item) if item.files else _look_at_netcdf(item, digest_of)


def _look_at_netcdf(item: Item, digest_of: Callable[[Path], str]) -> Finding:
    load: Any = {"allocate": allocations.load, "train": trajectories.load}[item.stage]
    try:
        attributes = load(item.path, item.spec).attributes
    except UserError as error:
        return Finding(item, "damaged", (str(error),))
    versions = {
        name: printable(short(attributes[f"{name}_version"], 40))
        for name in LIBRARIES
        if f"{name}_version" in attributes
    }
    stale = _of_other_code(item, attributes["engine_digest"], trajectories.parts_in(attributes))
    for path in item.inputs:
        with suppress(UserError):  # a fault of an input is reported for the input itself
            if digest_of(path) != str(attributes.get("allocation_digest")):
                stale += (f"{item.path}: stale: trained with another allocation than that in {path}",)
    return Finding(item, "stale" if stale else "current", stale, versions, _processor(attributes))


def _processor(attributes: Mapping[str, Any]) -> str:
    """The capability of the processor that trained a run, and the environment variables that restricted it."""
    names = ("cpu_capability", "mkl_cbwr", "aten_cpu_capability")
    values = {name: printable(short(attributes[name], 40)) for name in names if name in attributes}
    chosen = [f"{name.upper()}={values[name]}" for name in names[1:] if values.get(name, "not set") != "not set"]
    return " ".join([*([values["cpu_capability"]] if "cpu_capability" in values else []), *chosen])


def _look_at_list(item: Item) -> Finding:
    try:
        checklist = Checklist.read(item.path)
    except UserError as error:
        return Finding(item, "damaged", (str(error),))
    faults = []
    for name in item.files:
        try:
            checklist.content(name)
        except UserError as error:
            faults.append(str(error))
    if checklist.stage != item.stage:
        faults.append(f"{item.path}: lists files made by {checklist.stage}; expected {item.stage}")
    if faults:
        return Finding(item, "damaged", tuple(faults))
    stale = _of_other_code(item, checklist.code, {})
    if checklist.request != item.request:
        stale += (f"{item.path}: stale: made for another request than the configuration's",)
    elif not _matches(checklist.inputs, item.inputs):
        stale += (f"{item.path}: stale: its inputs have changed since",)
    return Finding(item, "stale" if stale else "current", stale)


def _matches(inputs: str, paths: Sequence[Path]) -> bool:
    """Whether a hash is that of some files; true if a file is faulty, because that is reported for the file itself."""
    try:
        return hash_of(paths) == inputs
    except UserError:
        return True


def _of_other_code(item: Item, code: str, parts: Mapping[str, str]) -> tuple[str, ...]:
    """A line if other code made a file, with the sources that differ if the file names its sources."""
    if code == item.code:
        return ()
    sources = changed(parts, item.parts) if parts else []
    which = f": {', '.join(sources)} changed" if sources else ""
    return (f"{item.path}: stale: made by code {code} of {item.stage}; the present code is {item.code}{which}",)
