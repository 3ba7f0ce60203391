"""The files that a job reads, derived from its request; its list of checksums records them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from byzcode.provenance.content import short_hash
from byzcode.storage import seal
from byzcode.storage.layout import STAGES


def read_by(stage: str, request: Mapping[str, Any], results: Path) -> list[Path]:
    """The files that a job reads, without duplicates: NetCDF files, and the checksum lists of tables."""
    return [STAGES[maker].path(results, name) for maker, name in dict.fromkeys(_READ[stage](request))]


def hash_of(paths: Sequence[Path]) -> str:
    """A short hash of the seals of some files. Raises UserError if one is missing or not sealed."""
    return hash_of_sums(map(seal.checksum_in, paths))


def hash_of_sums(sums: Iterable[str]) -> str:
    """The same, given their checksums."""
    return short_hash("\n".join(sums))


#: A stage, and the name of what it makes.
_Made = tuple[str, str]


def _trajectories(runs: Iterable[str]) -> list[_Made]:
    return [("train", run) for run in runs]


def _of_figure(request: Mapping[str, Any]) -> list[_Made]:
    runs = [run for curve in request["curves"] for run in curve["runs"]]
    kind = request["plot"]["kind"]
    if kind == "sweep":
        along = runs if request["plot"].get("measured") else []
        return [("summarise", request["study"]), *_trajectories(run["run"] for run in along)]
    if kind == "allocation":
        return [("allocate", run["allocation"]) for run in runs]
    return _trajectories(run["run"] for run in runs)


_READ: dict[str, Callable[[Mapping[str, Any]], Iterable[_Made]]] = {
    "summarise": lambda request: _trajectories(request["runs"]),
    "claims": lambda request: _trajectories(
        run for cell in request["cells"] for run in (*cell["runs"], *cell["against"])
    ),
    "scorecard": lambda request: [
        *(("claims", study) for study in request["studies"]),
        *(("figure", name) for name in request.get("figures", ())),
    ],
    "heldout": lambda request: [("claims", study) for study in request["studies"]],
    "gallery": lambda request: [
        *(("figure", figure["figure"]) for study in request["studies"] for figure in study["figures"]),
        *([("scorecard", "scorecard")] if request.get("scorecard") else []),
    ],
    "figure": _of_figure,
    "reading": lambda request: [],  # trains its own runs
    "multiverse": lambda request: [("reading", name) for name in request["readings"]],
}
