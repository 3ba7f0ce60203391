"""A claim of a paper as a statistical test, written down with its study before anything is run."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from byzcode.specs.strict import Strict
from byzcode.studies.names import Key, Label, Mark, Name, Quantity, Text, Value

#: Why a claim may come out as it does: ``empirical``, only a run can tell; ``law``, an exponent that follows from scale
#: equivariance; ``identity``, true by construction or by arithmetic; ``control``, shows whether another test can tell
#: methods apart; ``chosen``, holds because a value of the reading or of the study was chosen so. Counted in this order.
Kind = Literal["empirical", "law", "identity", "control", "chosen"]

#: The part of a training that counts: its plateau; the last fifth of its iterations, plateau or not; or its start.
When = Literal["plateau", "end", "start"]

#: The compared quantity: one of the trajectories, or the cost of an iteration, summed over all devices.
if TYPE_CHECKING:
    Measured: TypeAlias = str
else:
    Measured = Quantity | Literal["gradients_computed", "bits_sent", "wall_time"]

#: Costs are compared per iteration, whatever part of a training counts.
COSTS = ("gradients_computed", "bits_sent", "wall_time")


class Side(Strict):
    """A curve of the study at a point of its grids."""

    curve: Label = Field(description="Label of the curve.")
    where: dict[Key, Value] = Field(default={}, description="Values of its grid keys.")


def _labelled(value: Any) -> Any:
    return {"curve": value} if isinstance(value, str) else value


OneSide = Annotated[Side, BeforeValidator(_labelled, json_schema_input_type=Side | str)]


class OtherKind(Strict):
    """The kind of a claim's test at one place, where it differs from that of the claim."""

    where: dict[Key, Value] = Field(min_length=1, description="The place: values of keys in `each`.")
    kind: Kind = Field(description="The kind of the claim there.")


class Stated(Strict):
    """The fields of every claim."""

    claim: Name = Field(description="Name, unique in the study.")
    kind: Kind = Field(
        default="empirical",
        description=(
            "Why it may hold: only a run can tell (`empirical`); an exponent follows from scale equivariance (`law`); "
            "by construction (`identity`); to show whether another test can tell methods apart (`control`); because a "
            "value was chosen so (`chosen`)."
        ),
    )
    says: Text = Field(min_length=1, description="The claim, in our words.")
    source: Text = Field(min_length=1, description="Where the claim is made.")
    mark: Mark = Field(description="Whether a source states it, or we inferred it.")


class Tested(Stated):
    """The fields of every claim that is tested."""

    curve: OneSide = Field(description="The curve to test: a label, or a label and values of grid keys.")
    where: dict[Key, Value] = Field(default={}, description="The part of the grid: values of grid keys.")
    each: list[Key] = Field(default=[], description="Grid keys: a separate test and verdict for each of their values.")
    quantity: Measured = Field(default="excess_loss", description="The compared quantity.")
    at: When = Field(default="plateau", description="The part of a training that counts.")
    kinds: list[OtherKind] = Field(default=[], description="Places where the test is of another kind.")
    controls: list[Name] = Field(
        default=[],
        description="For a control: the claims of the study whose tests it controls. If it passes, they warn.",
    )
    figure: Name | None = Field(default=None, description="The plot of the study that shows the claim.")
    confirms: Text = Field(min_length=1, description="The outcome that would confirm it.")
    refutes: Text = Field(min_length=1, description="The outcome that would refute it.")


Ratio = Annotated[float, Field(gt=0)]
Margin = Annotated[float, Field(gt=1)]


class Lower(Tested):
    """The level of ``curve`` is below ``factor`` times that of ``against``."""

    test: Literal["lower"] = Field(description="The kind of test.")
    against: OneSide = Field(description="The runs that it is compared with.")
    factor: Ratio = Field(default=1.0, description="The level must be below this factor times the other level.")


class Equivalent(Tested):
    """The levels differ by less than a factor of ``margin`` in either direction: two one-sided tests."""

    test: Literal["equivalent"] = Field(description="The kind of test.")
    against: OneSide = Field(description="The runs that it is compared with.")
    margin: Margin = Field(description="Equivalent: the ratio is between 1 / margin and margin.")


class Falls(Tested):
    """The level falls at every step along a key."""

    test: Literal["falls"] = Field(description="The kind of test.")
    along: Key = Field(description="Grid key along which it falls.")
    values: Annotated[list[Value], Field(min_length=2, max_length=1000)] = Field(description="Its values, in order.")


class Grows(Tested):
    """The advantage of ``curve`` over ``against`` grows along a key."""

    test: Literal["grows"] = Field(description="The kind of test.")
    against: OneSide = Field(description="The runs over which it has the advantage.")
    along: Key = Field(description="Grid key along which it grows.")
    values: Annotated[list[float], Field(min_length=2, max_length=1000)] = Field(
        description="Its values, rising or falling: the advantage grows from the first to the last."
    )
    scale: Literal["linear", "log"] = Field(default="linear", description="Fit over the values or their logarithms.")
    advantage: Literal["ratio", "difference"] = Field(description="Compare levels by ratio or by difference.")

    @field_validator("values")
    @classmethod
    def _in_order(cls, values: list[float]) -> list[float]:
        if {(later > earlier) - (later < earlier) for earlier, later in pairwise(values)} not in ({1}, {-1}):
            raise ValueError("allowed: values that rise at every step, or fall at every step")
        return values

    @field_validator("scale")
    @classmethod
    def _with_logarithms(cls, scale: str, fields: ValidationInfo) -> str:
        if scale == "log" and min(fields.data.get("values", [1.0])) <= 0:
            raise ValueError("allowed: linear, because values has a number that is not above 0")
        return scale


class Law(Tested):
    """The squared level is proportional to a factor from the theory along a key."""

    test: Literal["law"] = Field(description="The kind of test.")
    along: Key = Field(description="Grid key along which it holds.")
    values: Annotated[list[Value], Field(min_length=2, max_length=1000)] = Field(description="Its values, in order.")
    predicted: Literal["coded_variance", "heterogeneity", "dispersion"] = Field(
        description="The factor: (M - r) / (r (M - 1)), or the mean square of a measured quantity."
    )
    margin: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Proportional: the exponent deviates from 1 by at most this."
    )


class Predicted(Tested):
    """The distance of coded gradients at the start matches its closed form up to a factor of ``margin``."""

    test: Literal["predicted"] = Field(description="The kind of test.")
    at: Literal["start"] = Field(
        default="start", description="Always the start, where theta does not depend on the allocation."
    )
    distance: Literal["gradient", "each_other"] = Field(
        default="gradient",
        description="Distance from the true gradient, or between two honest messages (for sampled allocations).",
    )
    margin: Margin = Field(description="As predicted: the ratio is between 1 / margin and margin.")


class Open(Stated):
    """A claim that this project cannot test."""

    test: Literal["open"] = Field(description="The kind of test: none.")
    reason: Text = Field(min_length=1, description="Why it is not tested.")


Claim = Annotated[Lower | Equivalent | Falls | Grows | Law | Predicted | Open, Field(discriminator="test")]
