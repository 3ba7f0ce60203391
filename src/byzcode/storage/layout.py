"""The stages of the workflow: where the files of each lie, how they are called, and which code makes them.

The rules of the workflow, ``byzcode verify``, archives and the inputs of jobs take their paths from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from byzcode.provenance.code import digest, edited, loaded

#: The suffix of a list of checksums, and that of a NetCDF file.
LIST, NETCDF = "sha256", "nc"

_PICTURE = ("csv", "pdf", "png", "svg")


@dataclass(frozen=True)
class Stage:
    """A stage: a rule of the workflow and the command of the same name.

    A job of it makes one NetCDF file, or files of some ``suffixes`` with their list of checksums; ``tables`` are more
    tables in the same list. ``modules`` are those whose code makes them, beside the components that a run names.
    """

    name: str
    folder: str
    kind: str  # as reports call what it makes
    suffixes: tuple[str, ...]
    modules: tuple[str, ...]
    tables: tuple[str, ...] = ()

    @property
    def listed(self) -> bool:
        """Whether a list of checksums lies beside its files."""
        return self.suffixes != (NETCDF,)

    def path(self, results: Path, name: str) -> Path:
        """The file that says what made a result: the NetCDF file, or the list."""
        return results / self.folder / f"{name}.{LIST if self.listed else NETCDF}"

    def table(self, results: Path, name: str) -> Path:
        """The table of a result."""
        return results / self.folder / f"{name}.csv"

    def files(self, name: str) -> tuple[str, ...]:
        """The names of the files that a list lists; none for a NetCDF file."""
        own = [f"{table}.csv" for table in self.tables] + [f"{name}.{suffix}" for suffix in self.suffixes]
        return tuple(own) if self.listed else ()

    def parts(self, entries: Iterable[str] = ()) -> dict[str, str]:
        """By source, a hash of the code that makes a result, with the entries of the components that it names."""
        return loaded().parts((*self.modules, *entries))

    def digest(self, entries: Iterable[str] = ()) -> str:
        """The identity of that code."""
        return digest(self.parts(entries))

    def edited(self, entries: Iterable[str] = ()) -> list[str]:
        """The sources of that code that are no longer as this process has loaded them."""
        return edited((*self.modules, *entries))


def _stages(*stages: Stage) -> dict[str, Stage]:
    return {stage.name: stage for stage in stages}


STAGES = _stages(
    Stage("allocate", "allocations", "allocations", (NETCDF,), ("byzcode.storage.allocations",)),
    Stage(
        "train",
        "trajectories",
        "trajectories",
        (NETCDF,),
        ("byzcode.training.workers", "byzcode.storage.trajectories", "byzcode.storage.allocations"),
    ),
    Stage("summarise", "summaries", "summaries", ("csv",), ("byzcode.analysis.summary",)),
    Stage("figure", "figures", "figures", _PICTURE, ("byzcode.figures",)),
    Stage("claims", "claims", "claims", ("csv",), ("byzcode.analysis.evidence",)),
    Stage("scorecard", "", "scorecard", ("csv", "html"), ("byzcode.scorecard.page",)),
    Stage("reading", "multiverse/readings", "readings", ("csv",), ("byzcode.multiverse.universe",)),
    Stage(
        "multiverse",
        "multiverse",
        "multiverse",
        _PICTURE,
        ("byzcode.multiverse.summarise",),
        tables=("claims", "choices", "tree", "sizes", "stated"),
    ),
)


def trajectory(results: Path, run: str) -> Path:
    """Where the trajectory of a run lies."""
    return STAGES["train"].path(results, run)


def allocation(results: Path, name: str) -> Path:
    """Where an allocation lies."""
    return STAGES["allocate"].path(results, name)


def folders() -> Sequence[str]:
    """The folders of results that lie in the folder of results, each once."""
    return list(dict.fromkeys(stage.folder.partition("/")[0] for stage in STAGES.values() if stage.folder))
