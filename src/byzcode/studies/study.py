"""The models of study files, readings, styles and the workflow's configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from byzcode.specs.strict import Strict
from byzcode.studies.claim import Claim
from byzcode.studies.names import (
    Key,
    Label,
    Line,
    Mark,
    Name,
    Spelt,
    Text,
    Value,
)
from byzcode.studies.plots import Plot

#: The largest number of runs in a study.
MOST_RUNS = 50_000


Grid = dict[Key, Annotated[list[Value], Field(min_length=1, max_length=MOST_RUNS)]]


class Paper(Strict):
    """The paper and figure that a study reproduces."""

    source: Text = Field(description="The paper, with its arXiv number.")
    figure: Text = Field(description="Our name for the figure; its number in the paper is not known.")
    reported: Text = Field(description="What the paper reports of it, in our words.")
    mark: Mark = Field(description="Whether a source states this or we inferred it.")


class Curve(BaseModel):
    """One curve of a figure: a label, and fields of a RunSpec (dotted keys reach into components)."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Value]

    label: Label = Field(description="Label in the legend. Not part of any run.")
    style: Label | None = Field(default=None, description="Key in the style file; the method's own if left out.")
    grid: Grid = Field(default={}, description="Grid values of this curve only.")

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a RunSpec that this curve sets."""
        return dict(self.model_extra or {})


class Study(Strict):
    """One question: the runs that answer it and the figures that show them."""

    study: Name = Field(description="Name, part of file names.")
    title: Line = Field(description="Title of its figures.")
    paper: Paper | None = Field(default=None, description="The paper and figure that it reproduces.")
    base: dict[str, Value] = Field(default={}, description="Fields of a RunSpec that all curves share.")
    grid: Grid = Field(
        default={},
        description=f"Grid values of all curves; their product gives at most {MOST_RUNS} runs in a study.",
    )
    curves: Annotated[list[Curve], Field(min_length=1, max_length=100)] = Field(
        description="The curves to compare, at most 100."
    )
    plots: Annotated[dict[Name, Plot], Field(min_length=1, max_length=100)] = Field(description="The figures, by name.")
    claims: list[Claim] = Field(default=[], description="The paper's claims, as tests.")


class Choice(Strict):
    """A decision on something that the papers leave open."""

    key: Key = Field(
        description="Field of a RunSpec; component.name.option for an option; method.name.field for a method."
    )
    value: Value = Field(description="The chosen value.")
    mark: Mark = Field(description="The origin of the value.")
    reason: Text = Field(min_length=1, description="The reason for the choice.")


class Reading(Strict):
    """A reading of the papers: decisions on everything that they leave open."""

    reading: Name = Field(description="Name of the reading.")
    title: Line = Field(description="Title, in a few words.")
    choices: list[Choice] = Field(description="Its decisions.")


#: The markers of matplotlib that are distinguishable in print.
Marker = Literal["o", "s", "D", "d", "^", "v", "<", ">", "P", "X", "x", "+", "*", "p", "h"]


class LineStyle(Strict):
    """The style of a method in all figures."""

    color: Annotated[str, Spelt(r"^#[0-9a-fA-F]{6}$", "# and six hexadecimal digits, in quotes")] = Field(
        description="As #RRGGBB."
    )
    dashes: Literal["solid", "dashed", "dotted", "dashdot"] = Field(
        default="solid", description="Dash pattern, to distinguish methods in grey."
    )
    marker: Marker = Field(default="o", description="A marker of matplotlib.")
    width: Annotated[float, Field(gt=0, le=6)] = Field(default=1.6, description="Line width in points.")
