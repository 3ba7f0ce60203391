"""The quantities of plots and claims: those that the problems of a study's runs have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from byzcode.errors import KeyedError
from byzcode.specs.quantities import WALL_TIME, is_share, lacking, progress_of, quantities_of
from byzcode.specs.run import RunSpec
from byzcode.studies.claim import COSTS, Tested
from byzcode.studies.expand import Member
from byzcode.studies.plots import HeatmapPlot, Plot, PricePlot, SweepPlot, drawn_quantities

T = TypeVar("T", bound=Tested)


def progress(specs: Iterable[RunSpec]) -> str:
    """The quantity that shows the progress of all runs: the excess loss, or the training loss if a run has none."""
    return "loss" if any(progress_of(spec) == "loss" for spec in specs) else "excess_loss"


def with_quantity(plot: Plot, members: Sequence[Member]) -> Plot:
    """The plot; if it names no quantity, with one that its runs have."""
    if not isinstance(plot, SweepPlot | HeatmapPlot | PricePlot) or "y" in plot.model_fields_set:
        return plot
    quantity = progress(member.spec for member in members)
    return plot if quantity == plot.y else plot.model_copy(update={"y": quantity})


def claim_with_quantity(claim: T, specs: Sequence[RunSpec], where: str) -> T:
    """The claim; if it names no quantity, with one that its runs have. Raises KeyedError if they lack its quantity."""
    completed = claim
    if "quantity" not in claim.model_fields_set and progress(specs) != claim.quantity:
        completed = claim.model_copy(update={"quantity": progress(specs)})
    if completed.quantity in COSTS and completed.quantity != WALL_TIME:
        return completed
    for spec in specs:
        if (reason := lacking(spec, completed.quantity)) is not None:
            raise KeyedError(f"{where}.quantity", completed.quantity, f"{reason}; {_allowed([spec])}")
    if is_share(completed.quantity):
        allowed = "claims compare quantities of which less is better; of this one, more is better"
        raise KeyedError(f"{where}.quantity", completed.quantity, f"{allowed}; {_allowed(specs)}")
    return completed


def check_plot(plot: Plot, members: Sequence[Member]) -> None:
    """Refuse a plot of a quantity that some of its runs do not have. Raises KeyedError with a key of the plot."""
    for curve, spec, _ in members:
        for field, quantity in _quantities(plot):
            if (reason := lacking(spec, quantity)) is not None:
                allowed = _allowed([member.spec for member in members], shares=True)
                raise KeyedError(field, quantity, f"curve {curve.label!r}: {reason}; {allowed}")
        if plot.kind == "bounds" and (reason := lacking(spec, "smoothness")) is not None:
            allowed = f"{reason}, which bounds on a gradient norm need; allowed: trajectories, sweep"
            raise KeyedError("kind", plot.kind, f"curve {curve.label!r}: {allowed}")


def _quantities(plot: Plot) -> list[tuple[str, str]]:
    """The quantities that a plot reads, each with the field that names it."""
    along = [("measured", plot.measured)] if isinstance(plot, SweepPlot) and plot.measured else []
    timed = (
        [("x", measure.x) for measure in plot.measures if measure.x == WALL_TIME] if plot.kind == "trajectories" else []
    )
    return [*(("y", quantity) for quantity in drawn_quantities(plot)), *along, *timed]


def _allowed(specs: Iterable[RunSpec], *, shares: bool = False) -> str:
    of_all = [quantities_of(spec) for spec in specs]
    names = [name for name in of_all[0] if all(name in own for own in of_all) and (shares or not is_share(name))]
    return "allowed: " + ", ".join(names)
