"""The JSON requests of the workflow to its commands, validated before the commands read or write any file."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from byzcode.errors import KeyedError
from byzcode.specs.strict import Strict
from byzcode.studies.claim import Claim, Open
from byzcode.studies.names import Filename, Line, Mark, Name, Text

Items = TypeVar("Items", bound=Sequence[Hashable])


def _each_once(values: Items) -> Items:
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{value!r} occurs twice; allowed: each once")
        seen.add(value)
    return values


EachOnce = AfterValidator(_each_once)

#: The hash of the content of a run, allocation, reading or request. It is part of file names.
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Ids = Annotated[tuple[Id, ...], Field(min_length=1), EachOnce]

#: The name of a figure's files: ``study-plot``.
FigureName = Annotated[str, Field(max_length=121, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Summary(Strict):
    """The request of ``summarise``: the runs of a study."""

    study: Name
    runs: Ids


class Test(Strict):
    """One test of a claim, with the ids of its runs; see :meth:`byzcode.studies.cells.Cell.request`."""

    claim: Claim
    cell: Annotated[Text, Field(min_length=1)]
    place: Text
    runs: tuple[Id, ...]
    against: tuple[Id, ...]
    tested: Id | None = None

    @model_validator(mode="after")
    def _right_numbers_of_runs(self) -> Self:
        values = getattr(self.claim, "values", [None])  # along a key, one run per value
        runs = 0 if isinstance(self.claim, Open) else len(values)
        for key, given, wanted in (
            ("runs", self.runs, runs),
            ("against", self.against, runs if hasattr(self.claim, "against") else 0),
        ):
            if len(given) != wanted:
                raise KeyedError(f"cells.{key}", given, f"number of runs that a test of this kind needs: {wanted}")
        if len(set(self.runs)) < len(self.runs) or len(set(map(repr, values))) < len(values):
            raise KeyedError("cells.runs", self.runs, "allowed: a different run at each value, and each value once")
        for run, other in zip(self.runs, self.against, strict=False):
            if run == other:
                raise KeyedError("cells.against", other, "the same run as the curve's")
        return self


class Claims(Strict):
    """The request of ``claims``: the tests of a study."""

    study: Name
    title: Line
    cells: Annotated[tuple[Test, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_cell_once(self) -> Self:
        _named_once("cells.cell", [test.cell for test in self.cells])
        return self


#: A sha256 in hexadecimal digits.
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Registration(Strict):
    """The hash over all claims, and whether they are the registered ones, in words."""

    digest: Sha256
    words: Text


class Beside(Strict):
    """The table of verdicts on held-out seeds that stand beside the others."""

    table: Filename
    sha256: Sha256


class ByStudy(Strict):
    """The studies, and by study the hash of its ``claims`` request."""

    studies: Annotated[tuple[Name, ...], Field(min_length=1), EachOnce]
    claims: dict[Name, Id] = {}

    @model_validator(mode="after")
    def _hashes_match(self) -> Self:
        _same_names("claims", self.claims, self.studies)
        return self


class Scorecard(ByStudy):
    """The request of ``scorecard``: also the labels of the studies, and the figures that show claims, with hashes."""

    reading: Line
    registration: Registration | None = None
    heldout: Beside | None = None
    labels: dict[Name, Text] = {}
    figures: dict[FigureName, Id] = {}

    @model_validator(mode="after")
    def _labels_match(self) -> Self:
        _same_names("labels", self.labels, self.studies)
        return self


class Heldout(ByStudy):
    """The request of ``heldout``; ``first_seed`` was added to every seed."""

    registration: Registration
    first_seed: Annotated[int, Field(ge=1)]


class ListedFigure(Strict):
    """A figure of the gallery: what it shows, what it draws, and the hash of its request."""

    figure: FigureName
    plot: Name
    shows: Text
    request: Id
    runs: tuple[Id, ...] = ()
    allocations: tuple[Id, ...] = ()
    methods: tuple[Line, ...]
    attacks: tuple[Line, ...]
    rules: tuple[Line, ...]


class ListedStudy(Strict):
    """A study of the gallery, with its file and what its paper reports."""

    study: Name
    label: Text
    title: Line
    group: Line
    file: Filename
    source: Text = ""
    reported: Text = ""
    mark: Mark | None = None
    figures: Annotated[tuple[ListedFigure, ...], Field(min_length=1)]


class Gallery(Strict):
    """The request of ``gallery``: the studies in order, and the hash of the scorecard's request if there is one."""

    studies: Annotated[tuple[ListedStudy, ...], Field(min_length=1)]
    reading: Line
    scorecard: Id | None = None

    @model_validator(mode="after")
    def _each_figure_once(self) -> Self:
        _named_once("studies.study", [study.study for study in self.studies])
        _named_once("studies.figures", [figure.figure for study in self.studies for figure in study.figures])
        return self


class Taken(Strict):
    """A reading: the name of the alternative taken for each choice, and the size."""

    kind: Literal["primary", "single", "random"]
    size: Literal["reduced", "full"]
    taken: dict[Name, Line]


class Reading(Strict):
    """The request of ``reading``: the configuration, a reading, and the hash of its tests."""

    config: dict[str, Any]  # a WorkflowConfig, validated later with the files that it names
    universe: Taken
    tests: Id


class Multiverse(Strict):
    """The request of ``multiverse``: the readings, and by reading the hash of its request."""

    readings: Ids
    requests: dict[Id, Id] = {}

    @model_validator(mode="after")
    def _hashes_match(self) -> Self:
        _same_names("requests", self.requests, self.readings)
        return self


def _named_once(key: str, names: Sequence[str]) -> None:
    try:
        _each_once(names)
    except ValueError as error:
        raise KeyedError(key, names, str(error)) from None


def _same_names(key: str, given: dict[str, str], names: Sequence[str]) -> None:
    if given and given.keys() != set(names):
        raise KeyedError(key, sorted(given.keys() ^ set(names))[0], f"allowed: one hash for each of {len(names)} names")
