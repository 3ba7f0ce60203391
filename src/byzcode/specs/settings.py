"""Settings of a run that are not components (the Byzantine devices, the record, the seeds), and size limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from byzcode.errors import KeyedError
from byzcode.specs.strict import Strict

#: Limits for one run. An array of MOST_NUMBERS numbers takes 75 GiB in float64, about what a large node or a GPU has.
MOST_NUMBERS = 10**10
MOST_SEEDS, MOST_DEVICES, MOST_ITERATIONS = 10_000, 100_000, 10**8
#: The most recorded points, over all seeds: they take 700 MB in a trajectory file.
MOST_POINTS = 10**7


class Byzantine(Strict):
    """How many devices are Byzantine, and which."""

    alpha: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.2, description="Byzantine fraction; f = alpha N, rounded half up."
    )
    identities: Literal["redrawn", "persistent", "chosen"] = Field(
        default="redrawn",
        description=(
            "Byzantine devices drawn anew at each iteration (as CRA-DL states), or once, or chosen against the "
            "allocation: those that hold the rows whose loss unbalances what honest devices hold most; or, where the "
            "server votes, those that win most votes. Only with the first two do all methods have the same Byzantine "
            "devices."
        ),
    )
    compressed: bool = Field(
        default=True,
        description=(
            "Whether Byzantine messages are compressed as honest ones are (a copied message is then compressed twice), "
            "or sent uncompressed."
        ),
    )


class Record(Strict):
    """Which iterations are recorded: every k-th, or log-spaced ones, and always the first and the last."""

    spacing: Literal["every", "log"] = Field(default="every", description="Evenly, or denser at the beginning.")
    step: Annotated[int, Field(ge=1, le=MOST_ITERATIONS)] = Field(
        default=5, description="Iterations between records; with spacing log, points per decade, at most 1000."
    )

    @model_validator(mode="after")
    def _few_a_decade(self) -> Self:
        if self.spacing == "log" and self.step > 1000:
            raise KeyedError("record.step", self.step, "allowed: 1 to 1000 points per decade")
        return self

    def points(self, last: int) -> int:
        """An upper limit on the number of recorded iterations, exact for log spacing."""
        return last // self.step + 2 if self.spacing == "every" else len(self.iterations(last))

    def iterations(self, last: int, *, after: int = -1) -> list[int]:
        """The recorded iterations from 0 to ``last``, or only those later than ``after``, which is below ``last``."""
        if self.spacing == "every":
            inner = range((after // self.step + 1) * self.step, last, self.step)
            return [*inner, last]
        points: set[int] = {0, last}
        exponent = max(0, math.floor(self.step * math.log10(max(after, 1))) - 1)
        while (point := round(10 ** (exponent / self.step))) < last:
            points.add(point)
            exponent += 1
        return sorted(point for point in points if point > after)


def _seeds(value: Any) -> Any:
    """``seeds: 10`` means 0 to 9."""
    if not isinstance(value, int | float | str | Mapping | None):
        return value
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    if number > MOST_SEEDS:  # check this before making the list
        raise ValueError(f"allowed: at most {MOST_SEEDS} seeds")
    if not (number >= 1 and number == int(number)):
        raise ValueError(f"allowed: how many seeds, 1 to {MOST_SEEDS}, or a list of them")
    return list(range(int(number)))


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**32)], ...],
    BeforeValidator(_seeds, json_schema_input_type=int | list[int]),
    Field(min_length=1, max_length=MOST_SEEDS),
]
