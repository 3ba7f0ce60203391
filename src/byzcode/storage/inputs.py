"""The files that a job reads, derived from its request; its list of checksums records them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from byzcode.provenance.content import short_hash
from byzcode.storage import seal


def read_by(stage: str, request: Mapping[str, Any], results: Path) -> list[Path]:
    """The files that a job reads, without duplicates: NetCDF files, and the checksum lists of tables."""
    return [results / name for name in dict.fromkeys(_READ[stage](request))]


def hash_of(paths: Sequence[Path]) -> str:
    """A short hash of the seals of some files. Raises UserError if one is missing or not sealed."""
    return short_hash("\n".join(map(seal.checksum_in, paths)))


def _trajectories(runs: Iterable[str]) -> list[str]:
    return [f"trajectories/{run}.nc" for run in runs]


def _of_figure(request: Mapping[str, Any]) -> list[str]:
    runs = [run for curve in request["curves"] for run in curve["runs"]]
    kind = request["plot"]["kind"]
    if kind == "sweep":
        return [f"summaries/{request['study']}.sha256"]
    if kind == "allocation":
        return [f"allocations/{run['allocation']}.nc" for run in runs]
    return _trajectories(run["run"] for run in runs)


_READ: dict[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "summarise": lambda request: _trajectories(request["runs"]),
    "claims": lambda request: _trajectories(
        run for cell in request["cells"] for run in (*cell["runs"], *cell["against"])
    ),
    "scorecard": lambda request: [f"claims/{study}.sha256" for study in request["studies"]],
    "figure": _of_figure,
    "reading": lambda request: [],  # trains its own runs
    "multiverse": lambda request: [f"multiverse/readings/{name}.sha256" for name in request["readings"]],
}
