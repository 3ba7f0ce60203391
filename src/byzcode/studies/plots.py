"""The models of the plots of a study: what each kind of figure shows."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from byzcode.specs.quantities import WALL_TIME, is_share
from byzcode.specs.strict import Strict
from byzcode.studies.names import (
    BoundName,
    Key,
    Label,
    Line,
    OneOrMore,
    Quantities,
    Quantity,
    Text,
    Value,
)

#: The largest number of values of a key as columns, rows or colours of a figure; more would be indistinguishable.
MOST_LEVELS = {"columns": 8, "rows": 24, "hue": 50}


#: The fields of a plot that name keys of a RunSpec and so decide the place of a run in a figure.
PANEL_KEYS = ("columns", "rows", "hue", "down", "over", "x")


Labels = Annotated[list[str], Field(min_length=1)]

#: The runs of a study that a plot is limited to: values of keys of its grid.
Where = Annotated[
    dict[Key, Value], Field(description="Values of grid keys that all drawn runs have; it splits a grid into figures.")
]


#: The horizontal axes of trajectories.
AXES = ("iteration", "gradients_computed", "bits_sent", WALL_TIME)


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
    where: Where = {}
    measured: Quantity | None = Field(
        default=None,
        description="A quantity whose measured value is the place of each point on the x axis, not that of x.",
    )
    measured_at: Literal["start", "training"] = Field(
        default="start", description="Where it is measured: at iteration 0, or as the mean over all later iterations."
    )
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
        if self.edge and self.measured:
            raise ValueError("edge: is a value of x, so it cannot be marked on an axis of measured values")
        return self


class HeatmapPlot(Strict):
    """The level of a quantity over the last fifth of training as coloured cells with numbers: curves against a key.

    A last column shows the worst case: for each seed the worst value of its row, then the average over seeds. With
    ``down``, each panel is a curve, and its rows are the values of a second key.
    """

    kind: Literal["heatmap"] = Field(description="The kind of plot.")
    x: Key = Field(description="Key of a RunSpec that varies over the columns of cells; each row is a curve.")
    down: Key | None = Field(
        default=None, description="Key of a RunSpec that varies over the rows of cells; each panel is then a curve."
    )
    regret: bool = Field(
        default=False,
        description="Whether each level is divided, seed by seed, by that of the cell of its panel and column in which "
        "down has the value of x: what a wrong assumption costs.",
    )
    y: Quantity = Field(default="excess_loss", description="The quantity whose level is drawn.")
    columns: Key | None = Field(default=None, description="Key of a RunSpec that varies over columns of panels.")
    rows: Key | None = Field(default=None, description="Key of a RunSpec that varies over rows of panels.")
    curves: Labels | None = Field(default=None, description="Labels of the curves to draw; all if left out.")
    where: Where = {}
    average: Literal["median", "mean"] = Field(
        default="median",
        description="The number in a cell: the median over seeds, with half the interquartile range below it; or the "
        "mean, with the standard deviation.",
    )
    worst: bool = Field(default=True, description="Whether a last column shows the worst case over x, seed by seed.")
    threshold: bool = Field(
        default=False,
        description="Whether a frame encloses the cells with rho < 1, beyond which compression leaves no bound.",
    )
    title: Line | None = Field(default=None, description=TITLE)
    caption: Text = Field(description="What the figure shows, in a sentence or two.")

    @model_validator(mode="after")
    def _by_curve(self) -> Self:
        if self.down and self.columns:
            raise ValueError("columns: with down, the columns of panels are the curves; leave it out")
        if self.regret and not self.down:
            raise ValueError("regret: compares the rows of a panel, so it needs down")
        if self.regret and is_share(self.y):
            raise ValueError(f"regret: is a ratio of levels, and {self.y} is a share; allowed: other quantities")
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


class PricePlot(Strict):
    """The level of each curve in the worst case over the values of a key against its costs, and the Pareto front."""

    kind: Literal["price"] = Field(description="The kind of plot.")
    over: Key = Field(description="Key of a RunSpec, such as attack: the worst of its values counts, seed by seed.")
    hue: Key | None = Field(
        default=None, description="Key of a RunSpec, such as aggregation, each of whose values is a point of its own."
    )
    y: Quantity = Field(default="excess_loss", description="The quantity whose level is drawn.")
    costs: Annotated[list[Literal["computation", "bits", "storage", "time"]], Field(min_length=1)] = Field(
        default=["computation", "bits", "storage", "time"],
        description="A panel for each: the share of the data that a device computes with in an iteration, the bits "
        "that it sends, the share of the data that it stores, and the modelled time until the server has the messages "
        "that it waits for (recorded if the run has an absence, else expected).",
    )
    curves: Labels | None = Field(default=None, description="Labels of the curves to draw; all if left out.")
    where: Where = {}
    title: Line | None = Field(default=None, description=TITLE)
    caption: Text = Field(description="What the figure shows, in a sentence or two.")


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
    TrajectoryPlot | SweepPlot | HeatmapPlot | RatioPlot | PricePlot | AllocationPlot | VariancePlot | BoundsPlot,
    Field(discriminator="kind"),
]


def drawn_quantities(plot: Plot) -> list[str]:
    """The quantities that a plot draws; none if its kind has no choice."""
    y = getattr(plot, "y", [])
    return y if isinstance(y, list) else [y]


def axes_of(plot: Plot) -> dict[str, str]:
    """The keys of a RunSpec that a plot names, by the fields that name them."""
    named = {field: getattr(plot, field, None) for field in PANEL_KEYS}
    return {field: key for field, key in named.items() if isinstance(key, str) and key not in AXES}
