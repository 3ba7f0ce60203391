"""The files of the multiverse: the choices that the papers leave open, and the claims tested under other readings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from byzcode.errors import KeyedError
from byzcode.specs.methods import method_named
from byzcode.specs.strict import Strict
from byzcode.studies.choices import check_set
from byzcode.studies.names import Filename, Key, Line, Name, Text, Value

Word = Annotated[Line, Field(max_length=40)]


def _check_names(key: str, names: Sequence[str], allowed: str) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise KeyedError(key, name, allowed)


class Alternative(Strict):
    """Another value of a choice."""

    name: Word = Field(description="Its name in a word or two, unique in the choice.")
    set: Annotated[dict[Key, Value], Field(min_length=1)] = Field(
        description="Keys as in a reading, and their values; method.name.method replaces a method by another."
    )
    reason: Text = Field(min_length=1, description="Why a reader may choose it.")

    @model_validator(mode="after")
    def _settable(self) -> Self:
        check_set(f"{self.name}: set", self.set)
        return self


class OpenChoice(Strict):
    """A choice that the papers leave open."""

    choice: Name = Field(description="Its name.")
    title: Line = Field(description="Description of the choice.")
    primary: Word = Field(description="The value of the primary reading, in a word or two.")
    studies: list[Name] | None = Field(default=None, description="Studies that it concerns; all if left out.")
    others: Annotated[list[Alternative], Field(min_length=1)] = Field(description="The alternatives to the primary.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [self.primary, *(other.name for other in self.others)]
        _check_names("others.name", names, f"each name once in choice {self.choice}, its primary included")
        return self

    def overlaps(self, other: OpenChoice) -> bool:
        """Whether both choices concern some study."""
        return self.studies is None or other.studies is None or not set(self.studies).isdisjoint(other.studies)


class Alternatives(Strict):
    """config/readings/alternatives.yaml: the alternatives of every open choice."""

    choices: Annotated[list[OpenChoice], Field(min_length=1)] = Field(description="The open choices.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Choices combine freely, so no two may share a name or set the same key of a study."""
        _check_names("choices.choice", [choice.choice for choice in self.choices], "each name once")
        for first, second in itertools.combinations(self.choices, 2):
            keys, others = ({key for each in choice.others for key in each.set} for choice in (first, second))
            if keys & others and first.overlaps(second):
                allowed = f"choice {first.choice} sets it as well; each key in one choice of a study"
                raise KeyedError(f"choice {second.choice}: set", min(keys & others), allowed)
        return self


class Selection(Strict):
    """Claims to test under every reading: those of a study or of a part of its grid."""

    study: Name = Field(description="The study.")
    where: dict[Key, Value] = Field(
        default={}, description="The part of its grid: one value per key. Readings may vary these keys."
    )
    claims: list[Name] | None = Field(default=None, description="Names of its claims; all tested claims if left out.")
    reduced: dict[Key, Value] = Field(default={}, description="Fields of all runs at the reduced size.")
    instead: dict[str, str] = Field(default={}, description="Replacements of methods at the reduced size.")

    @model_validator(mode="after")
    def _settable(self) -> Self:
        check_set(f"{self.study}: reduced", self.reduced)
        for name in (*self.instead, *self.instead.values()):
            try:
                method_named(name)
            except KeyedError as error:
                raise KeyedError(f"{self.study}: instead", name, error.allowed) from None
        return self


class MultiverseConfig(Strict):
    """config/multiverse.yaml: the claims to test and the number of readings."""

    alternatives: Filename = Field(description="The file of the open choices.")
    random: Annotated[int, Field(ge=0, le=2000)] = Field(
        description="Number of readings in which every choice is drawn at random, at most 2000."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=0, description="Seed of the random readings.")
    full: Annotated[int, Field(ge=0)] = Field(
        description="Number of readings that are also run at full size: the primary and the first random ones."
    )
    claims: Annotated[list[Selection], Field(min_length=1)] = Field(
        description="The claims to test under each reading."
    )
