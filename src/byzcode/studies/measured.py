"""What the plots and claims of a study may ask of its runs: quantities that their problems have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from byzcode.errors import KeyedError
from byzcode.specs.quantities import is_share, lacking, progress_of, quantities_of
from byzcode.specs.run import RunSpec
from byzcode.studies.claim import COSTS, Tested
from byzcode.studies.expand import Member
from byzcode.studies.study import Plot, SweepPlot, TrajectoryPlot

T = TypeVar("T", bound=Tested)


def progress(specs: Iterable[RunSpec]) -> str:
    """By what the progress of all these runs is told: the excess loss, or the training loss where one has none."""
    return "loss" if any(progress_of(spec) == "loss" for spec in specs) else "excess_loss"


def with_quantity(plot: Plot, members: Sequence[Member]) -> Plot:
    """A plot with a quantity that its runs have, where it names none."""
    if not isinstance(plot, SweepPlot) or "y" in plot.model_fields_set:
        return plot
    found = progress(member.spec for member in members)
    return plot if found == plot.y else plot.model_copy(update={"y": found})


def claim_with_quantity(claim: T, specs: Sequence[RunSpec], where: str) -> T:
    """A claim about a quantity that its runs have, where it names none. Raises KeyedError where they lack its own."""
    found = claim
    if "quantity" not in claim.model_fields_set and progress(specs) != claim.quantity:
        found = claim.model_copy(update={"quantity": progress(specs)})
    if found.quantity in COSTS:
        return found
    for spec in specs:
        if (reason := lacking(spec, found.quantity)) is not None:
            raise KeyedError(f"{where}.quantity", found.quantity, f"{reason}; {_allowed([spec])}")
    if is_share(found.quantity):
        allowed = "claims compare what is better the less there is of it, and of this more is better"
        raise KeyedError(f"{where}.quantity", found.quantity, f"{allowed}; {_allowed(specs)}")
    return found


def check_plot(plot: Plot, members: Sequence[Member]) -> None:
    """Refuse a plot of what some of its runs do not have. Raises KeyedError with a key of the plot."""
    for curve, spec, _ in members:
        for quantity in plot.quantities if isinstance(plot, TrajectoryPlot | SweepPlot) else ():
            if (reason := lacking(spec, quantity)) is not None:
                allowed = _allowed([member.spec for member in members], shares=True)
                raise KeyedError("y", quantity, f"curve {curve.label!r}: {reason}; {allowed}")
        if plot.kind == "bounds" and (reason := lacking(spec, "smoothness")) is not None:
            allowed = f"{reason}, which bounds on a gradient norm need; allowed: trajectories, sweep"
            raise KeyedError("kind", plot.kind, f"curve {curve.label!r}: {allowed}")


def _allowed(specs: Iterable[RunSpec], *, shares: bool = False) -> str:
    of_all = [quantities_of(spec) for spec in specs]
    names = [name for name in of_all[0] if all(name in own for own in of_all) and (shares or not is_share(name))]
    return "allowed: " + ", ".join(names)
