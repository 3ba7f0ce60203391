"""The models of study files, readings, styles and the workflow's configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from byzcode.specs.strict import Strict
from byzcode.studies.claim import Claim
from byzcode.studies.files import DEFAULTS
from byzcode.studies.names import (
    BoundName,
    Filename,
    Key,
    Label,
    Line,
    Mark,
    Name,
    OneOrMore,
    Quantities,
    Quantity,
    Spelt,
    Text,
    Value,
)

#: The largest number of runs in a study.
MOST_RUNS = 50_000
#: The largest number of values of a key as columns, rows or colours of a figure; more would be indistinguishable.
MOST_LEVELS = {"columns": 8, "rows": 24, "hue": 50}

#: The fields of a plot that name keys of a RunSpec and so decide the place of a run in a figure.
PANEL_KEYS = ("columns", "rows", "hue", "x")

Grid = dict[Key, Annotated[list[Value], Field(min_length=1, max_length=MOST_RUNS)]]

Labels = Annotated[list[str], Field(min_length=1)]


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


#: The horizontal axes of trajectories.
AXES = ("iteration", "gradients_computed", "bits_sent")
#: The description of a plot's title.
TITLE = "Title of this figure; that of the study if left out."


class Measure(NamedTuple):
    """What a row of panels shows: the quantity ``y`` against ``x``."""

    x: str
    y: str


class TrajectoryPlot(Strict):
    """A quantity against iteration (or cost), with a panel for each value of ``columns`` and ``rows``."""

    kind: Literal["trajectories"] = Field(description="The kind of plot.")
    y: Quantities = Field(
        default="loss", description="The quantity to draw: a variable of the trajectories; of a list, each in a row."
    )
    x: Annotated[str | list[str], OneOrMore(*AXES)] = Field(
        default="iteration", description="The horizontal axis; of a list, each in a row."
    )
    columns: Key | None = Field(default=None, description="Key of a RunSpec that varies over columns.")
    rows: Key | None = Field(default=None, description="Key of a RunSpec that varies over rows.")
    hue: Key | None = Field(default=None, description="Key of a RunSpec that distinguishes the lines of a curve.")
    curves: Labels | None = Field(default=None, description="Labels of the curves to draw; all if left out.")
    last: Annotated[int, Field(ge=1)] | None = Field(default=None, description="The last iteration to draw.")
    overlay: Annotated[list[BoundName], Field(min_length=1)] | None = Field(
        default=None, description="Bounds to draw beside the aggregation error, for the runs to which they apply."
    )
    title: Line | None = Field(default=None, description=TITLE)
    caption: Text = Field(description="What the figure shows, in a sentence or two.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.overlay and self.y != "aggregation_error":
            raise ValueError(f"overlay: bounds are on the aggregation_error, so y must be that, not {self.y}")
        if isinstance(self.x, list) and self.rows:
            raise ValueError("x: a list fills the rows of the figure, so no key can be its rows")
        return self

    @property
    def quantities(self) -> list[str]:
        """The quantities to draw."""
        return drawn_quantities(self)

    @property
    def measures(self) -> list[Measure]:
        """A quantity against an axis for each row of panels."""
        axes = self.x if isinstance(self.x, list) else [self.x]
        return [Measure(x, y) for x in axes for y in self.quantities]


class SweepPlot(Strict):
    """The plateau of a quantity against a key of a RunSpec, and below it the cost of reaching that plateau.

    If a training ends before a plateau, the level of its last fifth is drawn instead, with a hollow marker.
    """

    kind: Literal["sweep"] = Field(description="The kind of plot.")
    x: Key = Field(description="Key of a RunSpec on the horizontal axis.")
    y: Quantity = Field(default="excess_loss", description="The quantity whose plateau is drawn.")
    columns: Key | None = Field(default=None, description="Key of a RunSpec that varies over columns.")
    curves: Labels | None = Field(default=None, description="Labels of the curves to draw; all if left out.")
    cost: bool = Field(default=True, description="Whether the cost of reaching the plateau is drawn below.")
    edge: bool = Field(
        default=False,
        description="Whether the coefficient of sign flipping is marked from which the plain mean no longer descends; "
        "x must then be attack.coefficient and columns byzantine.alpha.",
    )
    title: Line | None = Field(default=None, description=TITLE)
    caption: Text = Field(description="What the figure shows, in a sentence or two.")

    @model_validator(mode="after")
    def _edged(self) -> Self:
        if self.edge and (self.x, self.columns) != ("attack.coefficient", "byzantine.alpha"):
            raise ValueError("edge: needs x: attack.coefficient and columns: byzantine.alpha")
        return self


class AllocationPlot(Strict):
    """Histograms of overlaps and replications beside their expected distributions. Needs no training."""

    kind: Literal["allocation"] = Field(description="The kind of plot.")
    curves: Labels | None = Field(default=None, description="Labels of the curves to draw; all if left out.")
    title: Line | None = Field(default=None, description=TITLE)
    caption: Text = Field(description="What the figure shows, in a sentence or two.")


class VariancePlot(Strict):
    """The measured variance of coded gradients and its closed form against the redundancy, and below it their ratio."""

    kind: Literal["variance"] = Field(description="The kind of plot.")
    x: Literal["redundancy"] = Field(default="redundancy", description="The horizontal axis.")
    curves: Labels | None = Field(default=None, description="Labels of the curves to draw; all if left out.")
    title: Line | None = Field(default=None, description=TITLE)
    caption: Text = Field(description="What the figure shows, in a sentence or two.")


class RatioPlot(Strict):
    """How many times a quantity of each curve exceeds that of one curve against iteration, seed by seed.

    Below it, the share of seeds in which the factor is between 1 / ``margin`` and ``margin``.
    """

    kind: Literal["ratio"] = Field(description="The kind of plot.")
    against: Label = Field(description="Label of the curve that the others are compared with.")
    y: Quantity = Field(default="excess_loss", description="The compared quantity: a variable of the trajectories.")
    margin: Annotated[float, Field(gt=1)] = Field(default=1.5, description="The factor that counts as near.")
    columns: Key | None = Field(default=None, description="Key of a RunSpec that varies over columns.")
    curves: Labels | None = Field(
        default=None, description="Labels of the curves to draw, with that of ``against``; all if left out."
    )
    title: Line | None = Field(default=None, description=TITLE)
    caption: Text = Field(description="What the figure shows, in a sentence or two.")

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if self.curves is not None and self.against not in self.curves:
            raise ValueError(f"curves: must include the curve {self.against!r} that the others are compared with")
        return self


class BoundsPlot(Strict):
    """The squared gradient norm over the last fifth of training against a key of a RunSpec, beside its bounds.

    Below it, the ratio of each bound to the measured value.
    """

    kind: Literal["bounds"] = Field(description="The kind of plot.")
    x: Key = Field(description="Key of a RunSpec on the horizontal axis.")
    bounds: Annotated[list[BoundName], Field(min_length=1)] = Field(
        default=["rule", "allocation", "expected"], description="The bounds to draw, for the runs to which they apply."
    )
    columns: Key | None = Field(default=None, description="Key of a RunSpec that varies over columns.")
    curves: Labels | None = Field(default=None, description="Labels of the curves to draw; all if left out.")
    title: Line | None = Field(default=None, description=TITLE)
    caption: Text = Field(description="What the figure shows, in a sentence or two.")


Plot = Annotated[
    TrajectoryPlot | SweepPlot | RatioPlot | AllocationPlot | VariancePlot | BoundsPlot, Field(discriminator="kind")
]


def drawn_quantities(plot: Plot) -> list[str]:
    """The quantities that a plot draws; none if its kind has no choice."""
    y = getattr(plot, "y", [])
    return y if isinstance(y, list) else [y]


def axes_of(plot: Plot) -> dict[str, str]:
    """The keys of a RunSpec that a plot names, by the fields that name them."""
    named = {field: getattr(plot, field, None) for field in PANEL_KEYS}
    return {field: key for field, key in named.items() if isinstance(key, str) and key not in AXES}


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
    code_tracking: Annotated[Literal["strict", "off"], BeforeValidator(_off)] = Field(
        default="strict", description="strict: editing the engine retrains affected runs; off: it does not."
    )
