"""The fields of a run, and how those that are left out are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from byzcode.absence import ABSENCES
from byzcode.aggregation import RULES
from byzcode.allocation import ALLOCATIONS
from byzcode.attacks import ATTACKS
from byzcode.coding import ENCODERS
from byzcode.compression import COMPRESSORS
from byzcode.errors import KeyedError
from byzcode.estimation import ESTIMATORS
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.problems import PROBLEMS, Sizes
from byzcode.schedules import SCHEDULES
from byzcode.specs.allocation import Allocation
from byzcode.specs.components import Choice, Component
from byzcode.specs.methods import METHODS, method_named
from byzcode.specs.parsing import Identified
from byzcode.specs.settings import MOST_DEVICES, MOST_ITERATIONS, MOST_SEEDS, Byzantine, Record, Seeds

Problem = Annotated[Component, Choice(PROBLEMS, "problem")]
Encoding = Annotated[Component, Choice(ENCODERS, "encoding")]
Attack = Annotated[Component, Choice(ATTACKS, "attack")]
Compression = Annotated[Component, Choice(COMPRESSORS, "compressor")]
PreAggregation = Annotated[Component, Choice(PRE_AGGREGATORS, "pre-aggregator")]
Aggregation = Annotated[Component, Choice(RULES, "rule")]
Estimation = Annotated[Component, Choice(ESTIMATORS, "estimator")]
Absence = Annotated[Component, Choice(ABSENCES, "absence")]
Schedule = Annotated[Component, Choice(SCHEDULES, "schedule")]

#: The fields of a RunSpec that hold a component, and the table of each.
COMPONENTS: dict[str, Mapping[str, Any]] = {
    "problem": PROBLEMS,
    "allocation": ALLOCATIONS,
    "encoding": ENCODERS,
    "compression": COMPRESSORS,
    "attack": ATTACKS,
    "pre_aggregation": PRE_AGGREGATORS,
    "aggregation": RULES,
    "estimation": ESTIMATORS,
    "absence": ABSENCES,
    "step_schedule": SCHEDULES,
}


class RunFields(Identified):
    """What a run states. :class:`byzcode.specs.run.RunSpec` has what follows from it."""

    spec_version: Literal[3] = Field(default=3, description="Changes with the meaning of the fields.")
    method: str = Field(
        description="A name in byzcode.specs.methods.METHODS; it sets the fields below that are left out."
    )
    problem: Problem = Field(
        default=Component(name="linear_regression"), validate_default=True, description="The learning problem."
    )
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)] = Field(
        default=100, description=f"N, the number of devices, at most {MOST_DEVICES}."
    )
    redundancy: Annotated[int, Field(ge=1)] = Field(
        default=None,
        validate_default=True,
        description="r, the number of subsets that each device holds; M / N for an uncoded method if left out.",
    )
    allocation: Allocation = Field(description="Which device holds which subsets; by default that of the method.")
    assignment: Literal["fixed", "redrawn", "subsets_redrawn", "devices_redrawn"] = Field(
        default="fixed",
        description=(
            "Whether the allocation stays fixed, or each iteration permutes subsets and devices (or one of the two) "
            "anew."
        ),
    )
    encoding: Encoding = Field(description="How a device combines its gradients; by default that of the method.")
    compression: Compression = Field(
        default=Component(name="identity"), validate_default=True, description="How messages are compressed."
    )
    attack: Attack = Field(
        default=Component(name="none"), validate_default=True, description="What Byzantine devices send."
    )
    byzantine: Byzantine = Field(default=Byzantine(), description="How many devices are Byzantine, and which.")
    pre_aggregation: PreAggregation = Field(
        default=Component(name="none"), validate_default=True, description="What the server does before its rule."
    )
    aggregation: Aggregation = Field(description="The server's aggregation rule; some methods fix it.")
    assumed_alpha: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None,
        description=(
            "The Byzantine fraction that the server assumes: its rule and pre-aggregation are given f' = this times N, "
            "rounded half up. byzantine.alpha, the true one, if left out. Only for a method whose server has a rule."
        ),
    )
    estimation: Estimation = Field(
        default=Component(name="none"),
        validate_default=True,
        description="How the server estimates f from the messages of each iteration; by default it is given f.",
    )
    absence: Absence = Field(
        default=Component(name="none"),
        validate_default=True,
        description="Which devices do not answer in an iteration, and how long the server waits; by default all do.",
    )
    step_size: Annotated[float, Field(gt=0)] = Field(default=0.5, description="eta, in units of step_unit.")
    step_unit: Literal["1/L", "absolute"] = Field(
        default=None,
        validate_default=True,
        description=(
            "Whether step_size is a multiple of 1/L, L the smoothness of F (computed for each seed), or eta itself. "
            "1/L if left out, where the problem knows L."
        ),
    )
    step_schedule: Schedule = Field(
        default=Component(name="constant"), validate_default=True, description="How the step changes during training."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description=(
            "beta: the server steps along the running mean m = beta m + (1 - beta) g of its aggregates g, not along g."
        ),
    )
    start: Literal["zero"] = Field(default="zero", description="theta^0: the problem's first iterate, usually zero.")
    iterations: Annotated[int, Field(ge=1, le=MOST_ITERATIONS)] = Field(
        default=500, description=f"T, the number of steps, at most {MOST_ITERATIONS}."
    )
    record: Record = Field(default=Record(), description="Which iterations are recorded.")
    diverged_at: Annotated[float, Field(gt=1)] = Field(
        default=1e6, description="A seed has diverged when its loss exceeds this many times its first loss."
    )
    message_bits: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=32, description="Bits of one number in a message, for the count of communication only."
    )
    seeds: Seeds = Field(
        default=tuple(range(10)), description=f"Seeds, at most {MOST_SEEDS}; a number n means 0 to n - 1."
    )
    dtype: Literal["float64", "float32"] = Field(default="float64", description="Precision of the whole run.")

    @model_validator(mode="before")
    @classmethod
    def _compose(cls, values: Any) -> Any:
        """Fill in the fields that the method sets. Raises KeyedError for a value that contradicts the method."""
        if not isinstance(values, Mapping) or "method" not in values:
            return values
        method = method_named(values["method"])
        complete = {**method.defaults, **values}
        for key, fixed in method.fixed.items():
            given = complete.get(key)
            if given is not None and not _agrees(given, fixed):
                raise KeyedError(key, given, f"method {values['method']} fixes {key} to {fixed}")
            complete.setdefault(key, fixed)
        return complete

    @field_validator("redundancy", mode="before")
    @classmethod
    def _uncoded_share(cls, value: Any, info: ValidationInfo) -> Any:
        """By default, each device of an uncoded method holds M / N subsets (rounded down)."""
        if value is not None or not {"method", "problem", "devices"} <= info.data.keys():
            return value
        method, devices = info.data["method"], info.data["devices"]
        subsets = sizes_of(info.data["problem"]).subsets
        if METHODS[method].coded:
            raise KeyedError("redundancy", None, f"method {method} is coded: say how many subsets each device holds")
        if subsets < devices:
            raise KeyedError(
                "devices", devices, f"allowed: 1 to {subsets} (the number of subsets) for an uncoded method"
            )
        return subsets // devices

    @field_validator("step_unit", mode="before")
    @classmethod
    def _unit(cls, value: Any, info: ValidationInfo) -> Any:
        """The default is 1/L if the problem knows L, else absolute."""
        if "problem" not in info.data:
            return value
        problem = info.data["problem"].name
        smooth = "smoothness" in PROBLEMS[problem].knows
        if value == "1/L" and not smooth:
            raise KeyedError("step_unit", value, f"problem {problem} does not know its smoothness L; allowed: absolute")
        return value if value is not None else "1/L" if smooth else "absolute"


def sizes_of(problem: Component) -> Sizes:
    """The sizes of a problem. Raises KeyedError if no problem has these options."""
    try:
        return PROBLEMS[problem.name].sizes(**problem.options)
    except KeyedError as error:
        raise KeyedError(f"problem.{error.key}", error.value, error.allowed) from None


def _agrees(given: Any, fixed: Any) -> bool:
    if isinstance(given, Component | BaseModel):
        given = given.model_dump()
    if isinstance(fixed, str):
        return given == fixed or (isinstance(given, Mapping) and given.get("name") == fixed)
    return all(given.get(key) == value for key, value in fixed.items()) if isinstance(given, Mapping) else False
