"""The stages of the workflow: the folder, the names and the code of their files.

The rules of the workflow, ``byzcode verify``, archives and the inputs of jobs take their paths from this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from byzcode.provenance.code import digest, edited, parts

#: The suffix of a list of checksums, and that of a NetCDF file.
LIST, NETCDF = "sha256", "nc"

_PICTURE = ("csv", "pdf", "png", "svg")


@dataclass(frozen=True)
class Stage:
    """A stage: a rule of the workflow and the command of the same name.

    A job of a stage makes one NetCDF file, or one file per suffix in ``suffixes`` and a list of their checksums. The
    list also contains the ``tables``. If ``own_folder``, each result has a folder of its name. The code of a stage is
    that of its ``modules`` and of the components that a run names.
    """

    name: str
    folder: str
    kind: str  # the name of its results in reports
    suffixes: tuple[str, ...]
    modules: tuple[str, ...]
    tables: tuple[str, ...] = ()
    own_folder: bool = False

    @property
    def listed(self) -> bool:
        """Whether the files of the stage have a list of checksums."""
        return self.suffixes != (NETCDF,)

    def path(self, results: Path, name: str) -> Path:
        """The file that contains the statement of a result: the NetCDF file, or the list."""
        return results / self.folder_of(name) / f"{name}.{LIST if self.listed else NETCDF}"

    def folder_of(self, name: str) -> Path:
        """The folder of a result, relative to that of all results."""
        return Path(self.folder) / name if self.own_folder else Path(self.folder)

    def table(self, results: Path, name: str) -> Path:
        """The table of a result."""
        return results / self.folder_of(name) / f"{name}.csv"

    def files(self, name: str) -> tuple[str, ...]:
        """The names of the files in a result's list; empty for a NetCDF file."""
        own = [f"{table}.csv" for table in self.tables] + [f"{name}.{suffix}" for suffix in self.suffixes]
        return tuple(own) if self.listed else ()

    def parts(self, entries: Iterable[str] = ()) -> dict[str, str]:
        """The hashes, by source file, of the code that makes a result; ``entries`` are those of its components."""
        return parts((*self.modules, *entries))

    def digest(self, entries: Iterable[str] = ()) -> str:
        """The identity of the code in :meth:`parts`."""
        return digest(self.parts(entries))

    def edited(self, entries: Iterable[str] = ()) -> list[str]:
        """The sources of that code that were edited since this process loaded them."""
        return edited((*self.modules, *entries))


def _stages(*stages: Stage) -> dict[str, Stage]:
    return {stage.name: stage for stage in stages}


STAGES = _stages(
    # No code: a file of a data set is current if it is the pinned one, whatever brought it.
    Stage("data", "data", "data sets", (), (), own_folder=True),
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
    Stage("heldout", "", "held-out verdicts", ("csv",), ("byzcode.scorecard.heldout",)),
    Stage("gallery", "", "gallery", ("html",), ("byzcode.gallery.page",)),
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
    """The path of the trajectory of a run."""
    return STAGES["train"].path(results, run)


def allocation(results: Path, name: str) -> Path:
    """The path of an allocation."""
    return STAGES["allocate"].path(results, name)


def folders() -> Sequence[str]:
    """The subfolders of the folder of results, without duplicates."""
    return list(dict.fromkeys(stage.folder.partition("/")[0] for stage in STAGES.values() if stage.folder))
