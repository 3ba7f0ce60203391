"""What the workflow asks of its commands, as JSON: checked before anything is read or made."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from byzcode.errors import KeyedError
from byzcode.specs.strict import Strict
from byzcode.studies.claim import Claim, Open
from byzcode.studies.names import Line, Name, Text

Items = TypeVar("Items", bound=Sequence[Hashable])


def _each_once(values: Items) -> Items:
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{value!r} stands twice; allowed: each once")
        seen.add(value)
    return values


EachOnce = AfterValidator(_each_once)

#: A run, an allocation, a reading or a request, by the hash of its content. It is part of the names of files.
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Ids = Annotated[tuple[Id, ...], Field(min_length=1), EachOnce]


class Summary(Strict):
    """Of ``summarise``: the runs of a study."""

    study: Name
    runs: Ids


class Test(Strict):
    """One test of a claim, by the ids of its runs: see :meth:`byzcode.studies.cells.Cell.request`."""

    claim: Claim
    cell: Annotated[Text, Field(min_length=1)]
    place: Text
    runs: tuple[Id, ...]
    against: tuple[Id, ...]

    @model_validator(mode="after")
    def _as_many_as_the_claim_compares(self) -> Self:
        values = getattr(self.claim, "values", [None])  # along a key a run a value
        runs = 0 if isinstance(self.claim, Open) else len(values)
        for key, given, wanted in (
            ("runs", self.runs, runs),
            ("against", self.against, runs if hasattr(self.claim, "against") else 0),
        ):
            if len(given) != wanted:
                raise KeyedError(f"cells.{key}", given, f"allowed: {wanted} of them, for a test of this kind")
        if len(set(self.runs)) < len(self.runs) or len(set(map(repr, values))) < len(values):
            raise KeyedError("cells.runs", self.runs, "allowed: another run at each of the values, each value once")
        for run, other in zip(self.runs, self.against, strict=False):
            if run == other:
                raise KeyedError("cells.against", other, "the same run as that of the curve")
        return self


class Claims(Strict):
    """Of ``claims``: the tests of a study."""

    study: Name
    title: Line
    cells: Annotated[tuple[Test, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_cell_once(self) -> Self:
        _named_once("cells.cell", [test.cell for test in self.cells])
        return self


class Scorecard(Strict):
    """Of ``scorecard``: its studies, and by study the hash of what its claims are to be made for."""

    studies: Annotated[tuple[Name, ...], Field(min_length=1), EachOnce]
    reading: Line
    claims: dict[Name, Id] = {}

    @model_validator(mode="after")
    def _of_these_studies(self) -> Self:
        _same_names("claims", self.claims, self.studies)
        return self


class Taken(Strict):
    """A reading: which alternative each choice takes, by name, and at which size."""

    kind: Literal["primary", "single", "random"]
    size: Literal["reduced", "full"]
    taken: dict[Name, Line]


class Reading(Strict):
    """Of ``reading``: the configuration, a reading, and the hash of the tests that are made under it."""

    config: dict[str, Any]  # a WorkflowConfig, which is checked with the files that it names
    universe: Taken
    tests: Id


class Multiverse(Strict):
    """Of ``multiverse``: the readings, and by reading the hash of what it is to be made for."""

    readings: Ids
    requests: dict[Id, Id] = {}

    @model_validator(mode="after")
    def _of_these_readings(self) -> Self:
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
