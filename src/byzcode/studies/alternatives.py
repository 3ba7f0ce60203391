"""What the files of the multiverse may say: what is left open, and which claims are tested under which readings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from byzcode.studies.names import Filename, Key, Line, Name, Text, Value
from byzcode.studies.strict import Strict

Word = Annotated[Line, Field(max_length=40)]


class Alternative(Strict):
    """Another value of a choice."""

    name: Word = Field(description="What it is, in a word or two; once in a choice, and not that of the primary.")
    set: Annotated[dict[Key, Value], Field(min_length=1)] = Field(
        description="Keys as in a reading, and their values; method.name.method puts another method in its place."
    )
    reason: Text = Field(min_length=1, description="Why one might read it so.")


class OpenChoice(Strict):
    """One thing that the papers leave open."""

    choice: Name = Field(description="Its name; once in the file.")
    title: Line = Field(description="What is chosen.")
    primary: Word = Field(description="What the primary reading has, in a word or two.")
    studies: Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None, description="Studies that it concerns; all if left out."
    )
    others: Annotated[list[Alternative], Field(min_length=1)] = Field(description="What one may choose instead.")


class Alternatives(Strict):
    """config/readings/alternatives.yaml: for everything that is left open, what else one may read."""

    choices: Annotated[list[OpenChoice], Field(min_length=1)] = Field(description="What is open.")


class Asked(Strict):
    """Claims that are tested under every reading: those of a study, or of a part of its grid."""

    study: Name = Field(description="The study.")
    where: dict[Key, Value] = Field(
        default={}, description="The part of its grid: a value a key, which readings may vary."
    )
    claims: list[Name] | None = Field(default=None, description="Which of its claims; all that are tested if left out.")
    reduced: dict[Key, Value] = Field(default={}, description="Fields of a run at the reduced size.")
    instead: dict[str, str] = Field(default={}, description="At the reduced size, methods in place of methods.")


class MultiverseConfig(Strict):
    """config/multiverse.yaml: which claims are tested under how many readings."""

    alternatives: Filename = Field(description="The file of what one may choose.")
    random: Annotated[int, Field(ge=0, le=2000)] = Field(
        description="Readings in which every choice is drawn at random, at most 2000."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=0, description="Settles the random readings.")
    full: Annotated[int, Field(ge=0)] = Field(
        description="So many readings also at full size: the primary and the first random ones."
    )
    claims: Annotated[list[Asked], Field(min_length=1)] = Field(description="What is tested under each of them.")
