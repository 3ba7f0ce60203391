"""What is there: each file whole or damaged, of this code or of another, made with which libraries."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from byzcode import __version__, trajectory
from byzcode.allocation import file
from byzcode.checklist import Checklist
from byzcode.errors import UserError
from byzcode.studies.identity import stage_digest
from byzcode.verify.expected import Item, Progress

State = Literal["current", "stale", "damaged", "missing"]

#: What of the libraries a file says, by its attribute ``<name>_version``.
LIBRARIES = ("byzcode", "python", "torch", "numpy", "netCDF4", "pydantic")


@dataclass(frozen=True)
class Found:
    """What became of an item: its state, a line for each fault, and the versions that made it."""

    item: Item
    state: State
    faults: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def look(items: Sequence[Item], progress: Progress) -> list[Found]:
    """What is there of some items."""
    with progress("verify", len(items), "results") as advance:
        found = []
        for item in items:
            found.append(_look(item))
            advance(1)
        return found


def left_over(items: Sequence[Item]) -> dict[Path, list[str]]:
    """What lies in the folders of results and was not asked for: names by folder. Scratch files are none of them."""
    asked = {path for item in items for path in item.paths}
    folders = {item.path.parent for item in items if item.kind != "scorecard"}  # its own holds all the others
    return {
        folder: names
        for folder in sorted(folders)
        if (names := sorted(path.name for path in folder.glob("[!.]*") if path not in asked and path.is_file()))
    }


def installed() -> dict[str, str]:
    """The versions of here and now."""
    own = {"byzcode": __version__, "python": platform.python_version()}
    return {name: own.get(name) or version(name) for name in LIBRARIES}


def _look(item: Item) -> Found:
    if not any(path.exists() for path in item.paths):
        return Found(item, "missing", (f"{item.paths[0]}: missing",))
    return _look_at_list(item) if item.files else _look_at_netcdf(item)


def _look_at_netcdf(item: Item) -> Found:
    about: Any = {"allocate": file.about, "train": trajectory.about}[item.stage]
    try:
        _, attributes = about(item.path, item.name)
    except UserError as error:
        return Found(item, "damaged", (str(error),))
    versions = {name: attributes[f"{name}_version"] for name in LIBRARIES if f"{name}_version" in attributes}
    stale = _of_other_code(item.path, item.stage, attributes["engine_digest"])
    return Found(item, "stale" if stale else "current", stale, versions)


def _look_at_list(item: Item) -> Found:
    try:
        listed = Checklist.read(item.path)
    except UserError as error:
        return Found(item, "damaged", (str(error),))
    faults = []
    for name in item.files:
        try:
            listed.content(name)
        except UserError as error:
            faults.append(str(error))
    if listed.stage != item.stage:
        faults.append(f"{item.path}: lists what {listed.stage} made; expected {item.stage}")
    if faults:
        return Found(item, "damaged", tuple(faults))
    stale = _of_other_code(item.path, item.stage, listed.code)
    if listed.request != item.request:
        stale += (f"{item.path}: stale: made for another request than the configuration's",)
    return Found(item, "stale" if stale else "current", stale)


def _of_other_code(path: Path, stage: str, code: str) -> tuple[str, ...]:
    here = stage_digest(stage)
    return () if code == here else (f"{path}: stale: made by code {code} of {stage}; here it is {here}",)
