"""RunSpec: everything that changes the numbers of a run, resolved and typed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from byzcode.aggregation import RULES
from byzcode.allocation import ALLOCATIONS
from byzcode.attacks import ATTACKS
from byzcode.coding import DECODERS, ENCODERS
from byzcode.compression import COMPRESSORS
from byzcode.errors import KeyedError, complain, from_validation, one_of
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.problems import PROBLEMS, ProblemKind, Sizes
from byzcode.provenance.content import canonical, short_hash
from byzcode.schedules import SCHEDULES
from byzcode.specs.components import Choice, Component
from byzcode.specs.methods import METHODS, Method
from byzcode.specs.plain_json import read_json
from byzcode.specs.strict import Strict

Problem = Annotated[Component, Choice(PROBLEMS, "problem")]
Allocation = Annotated[Component, Choice(ALLOCATIONS, "allocation")]
Encoding = Annotated[Component, Choice(ENCODERS, "encoding")]
Attack = Annotated[Component, Choice(ATTACKS, "attack")]
Compression = Annotated[Component, Choice(COMPRESSORS, "compressor")]
PreAggregation = Annotated[Component, Choice(PRE_AGGREGATORS, "pre-aggregator")]
Aggregation = Annotated[Component, Choice(RULES, "rule")]
Schedule = Annotated[Component, Choice(SCHEDULES, "schedule")]

#: What one run may ask for. An array of so many numbers takes 75 GiB in float64: no more fits a large node or a GPU.
MOST_NUMBERS = 10**10
MOST_SEEDS, MOST_DEVICES, MOST_ITERATIONS = 10_000, 100_000, 10**8
#: Recorded iterations of all seeds together: 700 MB of a trajectory.
MOST_POINTS = 10**7

#: The fields of a RunSpec that hold a component, and the tables that these are from.
COMPONENTS: dict[str, Mapping[str, Any]] = {
    "problem": PROBLEMS,
    "allocation": ALLOCATIONS,
    "encoding": ENCODERS,
    "compression": COMPRESSORS,
    "attack": ATTACKS,
    "pre_aggregation": PRE_AGGREGATORS,
    "aggregation": RULES,
    "step_schedule": SCHEDULES,
}

#: Fields that runs had before they were fields: left out of the canonical JSON where they have these values, so that a
#: field that is added changes no run id.
_IMPLIED: Mapping[str, Any] = {"step_unit": "1/L", "step_schedule": {"name": "constant"}}


class Byzantine(Strict):
    """How many devices lie, and which."""

    alpha: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.2, description="Byzantine fraction; f = alpha N, rounded half up."
    )
    identities: Literal["redrawn", "persistent"] = Field(
        default="redrawn", description="Liars drawn anew at each iteration (as CRA-DL states), or once."
    )
    compressed: bool = Field(
        default=True,
        description=(
            "Whether lies go through the compressor, as honest messages do (so a copied message goes twice), or are "
            "sent whole."
        ),
    )


class Record(Strict):
    """Which iterations are recorded: every k-th, or log-spaced ones. The first and the last always are."""

    spacing: Literal["every", "log"] = Field(default="every", description="Evenly, or denser at the beginning.")
    step: Annotated[int, Field(ge=1, le=MOST_ITERATIONS)] = Field(
        default=5, description="Every so many iterations; or, with spacing log, so many points a decade, at most 1000."
    )

    @model_validator(mode="after")
    def _few_a_decade(self) -> Self:
        if self.spacing == "log" and self.step > 1000:
            raise KeyedError("record.step", self.step, "allowed: 1 to 1000 points a decade")
        return self

    def points(self, last: int) -> int:
        """How many iterations are recorded, at most."""
        return last // self.step + 2 if self.spacing == "every" else len(self.iterations(last))

    def iterations(self, last: int, *, after: int = -1) -> list[int]:
        """The recorded iterations, 0 to ``last``, or those of them ``after`` another one before the last."""
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
    if number > MOST_SEEDS:  # before they are written out
        raise ValueError(f"allowed: at most {MOST_SEEDS} seeds")
    if not (number >= 1 and number == int(number)):
        raise ValueError(f"allowed: how many seeds, 1 to {MOST_SEEDS}, or a list of them")
    return list(range(int(number)))


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**32)], ...],
    BeforeValidator(_seeds, json_schema_input_type=int | list[int]),
    Field(min_length=1, max_length=MOST_SEEDS),
]


class Identified(Strict):
    """What has an identity: the hash of its canonical JSON."""

    def canonical(self) -> str:
        """The content as JSON with sorted keys."""
        return canonical(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: object) -> Self:
        """A validated spec. Raises UserError, one message that begins with ``where``."""
        return parse(cls, values, where)

    @classmethod
    def from_json(cls, text: str, where: object) -> Self:
        """A validated spec of a JSON text. Raises UserError."""
        return cls.parse(read_json(text, where), where)


def method_named(name: Any) -> Method:
    """A method of the table. Raises KeyedError where there is none of that name."""
    if not isinstance(name, str) or name not in METHODS:
        raise KeyedError("method", name, "unknown method; " + one_of(METHODS, name))
    return METHODS[name]


class RunSpec(Identified):
    """One training configuration with all its seeds. Labels, plots and the device are not in it."""

    spec_version: Literal[3] = Field(default=3, description="Changes with the meaning of the fields.")
    method: str = Field(
        description="A name in byzcode.specs.methods.METHODS; it settles what the fields below leave out."
    )
    problem: Problem = Field(
        default=Component(name="linear_regression"), validate_default=True, description="What is learnt."
    )
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)] = Field(
        default=100, description=f"N, the number of devices, at most {MOST_DEVICES}."
    )
    redundancy: Annotated[int, Field(ge=1)] = Field(
        default=None,
        validate_default=True,
        description="r, the number of subsets that each device holds; M / N for an uncoded method if left out.",
    )
    allocation: Allocation = Field(description="Who holds what; as the method has it if left out.")
    assignment: Literal["fixed", "redrawn", "subsets_redrawn", "devices_redrawn"] = Field(
        default="fixed",
        description=(
            "The allocation throughout, or under a fresh permutation of subsets and devices (or of one of the two) at "
            "each iteration."
        ),
    )
    encoding: Encoding = Field(description="What is sent of it; as the method has it if left out.")
    compression: Compression = Field(
        default=Component(name="identity"), validate_default=True, description="How what is sent is shortened."
    )
    attack: Attack = Field(default=Component(name="none"), validate_default=True, description="What liars send.")
    byzantine: Byzantine = Field(default=Byzantine(), description="How many devices lie, and which.")
    pre_aggregation: PreAggregation = Field(
        default=Component(name="none"), validate_default=True, description="What the server does in front of its rule."
    )
    aggregation: Aggregation = Field(description="What the server makes of the messages; some methods fix it.")
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
    start: Literal["zero"] = Field(default="zero", description="theta^0: where the problem starts, zero in most.")
    iterations: Annotated[int, Field(ge=1, le=MOST_ITERATIONS)] = Field(
        default=500, description=f"T, the number of steps, at most {MOST_ITERATIONS}."
    )
    record: Record = Field(default=Record(), description="Which iterations are recorded.")
    diverged_at: Annotated[float, Field(gt=1)] = Field(
        default=1e6, description="A seed has diverged when its loss exceeds so many times its first loss."
    )
    message_bits: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=32, description="Bits of one number in a message, for the count of communication only."
    )
    seeds: Seeds = Field(
        default=tuple(range(10)), description=f"Seeds, at most {MOST_SEEDS}; a number n means 0 to n - 1."
    )
    dtype: Literal["float64", "float32"] = Field(default="float64", description="Precision of the whole run.")

    @property
    def f(self) -> int:
        """The number of liars, alpha N rounded half up."""
        return int(round(self.byzantine.alpha * self.devices, 9) + 0.5)  # 0.29 times 50 is 14.499999999999998

    @property
    def problem_kind(self) -> ProblemKind:
        """What the table says of the problem."""
        return PROBLEMS[self.problem.name]

    @property
    def sizes(self) -> Sizes:
        """How large the problem is."""
        return _sizes_of(self.problem)

    @property
    def subsets(self) -> int:
        """M, the number of data subsets."""
        return self.sizes.subsets

    @property
    def samples(self) -> int:
        """K, the number of samples in all subsets."""
        return self.sizes.samples

    @property
    def dimension(self) -> int:
        """D, the number of parameters."""
        return self.sizes.dimension

    @property
    def _left(self) -> int:
        """How many messages the rule gets."""
        return PRE_AGGREGATORS[self.pre_aggregation.name].left(self.devices, **self.pre_aggregation.options)

    @property
    def undefined(self) -> str | None:
        """Why the rule is not defined for f liars among the messages that it gets, or None where it is.

        Such a run is a measurement all the same: it ends where it begins, and a sweep over alpha may cross one half.
        """
        most = RULES[self.aggregation.name].most_liars(self._left)
        if self.f <= most:
            return None
        among = f"{self.devices} devices"
        if self._left < self.devices:
            among += f", of which {self.pre_aggregation.name} leaves {self._left} messages,"
        return f"f = {self.f} liars, but {self.aggregation.name} among {among} bears at most {most}"

    @property
    def undecodable(self) -> str | None:
        """Why the method's decoder is not exact for f liars, or None where it is, or there is none.

        Such a run is trained, and its failures and errors are counted; whatever compares with it says so.
        """
        decoder = METHODS[self.method].decoder
        if not decoder:
            return None
        most = DECODERS[decoder].bears(self.devices, self.subsets, self.redundancy)
        if self.f <= most:
            return None
        return f"f = {self.f} liars, but {decoder} with redundancy {self.redundancy} bears at most {most}"

    def canonical(self) -> str:
        """The content as JSON with sorted keys, without what :data:`_IMPLIED` says."""
        values = self.model_dump(mode="json")
        return canonical({key: value for key, value in values.items() if _IMPLIED.get(key) != value})

    @property
    def run_id(self) -> str:
        """The identity of the run: the first 12 hex digits of the hash of its canonical JSON."""
        return short_hash(self.canonical())

    @property
    def allocation_spec(self) -> AllocationSpec:
        """The part of the run that settles who holds what."""
        return AllocationSpec.model_construct(  # all of it is checked here already
            allocation=self.allocation,
            devices=self.devices,
            subsets=self.subsets,
            redundancy=self.redundancy,
            seeds=self.seeds,
        )

    @model_validator(mode="before")
    @classmethod
    def _compose(cls, values: Any) -> Any:
        """Fill in what the method settles, and refuse what contradicts it."""
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
        """An uncoded device holds its M / N subsets unless told otherwise."""
        if value is not None or not {"method", "problem", "devices"} <= info.data.keys():
            return value
        method, devices = info.data["method"], info.data["devices"]
        subsets = _sizes_of(info.data["problem"]).subsets
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
        """1/L where the problem knows L, unless told otherwise."""
        if "problem" not in info.data:
            return value
        problem = info.data["problem"].name
        smooth = "smoothness" in PROBLEMS[problem].knows
        if value == "1/L" and not smooth:
            raise KeyedError("step_unit", value, f"problem {problem} does not know its smoothness L; allowed: absolute")
        return value if value is not None else "1/L" if smooth else "absolute"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_sizes(
            self,
            {
                "problem": ("the features of all seeds", self.sizes.data),
                "devices": ("seeds N D, the messages", self.devices * self.dimension),
            },
        )
        _check_held(self, "problem.subsets")
        if METHODS[self.method].server == "decoder":
            reason = DECODERS[METHODS[self.method].decoder].refuses(self.devices, self.subsets, self.redundancy)
            if reason is not None:
                raise KeyedError("redundancy", self.redundancy, f"{reason}; with method {self.method}")
        if (decoder := ENCODERS[self.encoding.name].decoder) and decoder != METHODS[self.method].decoder:
            raise KeyedError("encoding", self.encoding.name, "only for a method that decodes it")
        if self.f >= self.devices:
            reason = f"f = {self.f} liars among {self.devices} devices: one at least must be honest"
            raise KeyedError("byzantine.alpha", self.byzantine.alpha, reason)
        _check_options("attack", self.attack, ATTACKS[self.attack.name].refuses, self.devices)
        if self.undefined is None:
            refuses = RULES[self.aggregation.name].refuses
            _check_options("aggregation", self.aggregation, refuses, self._left, self.f)
        points = len(self.seeds) * self.record.points(self.iterations)
        if points > MOST_POINTS:
            raise KeyedError("record.step", self.record.step, f"{points} points are recorded; allowed: {MOST_POINTS}")
        return self


def _sizes_of(problem: Component) -> Sizes:
    """How large a problem is. Raises KeyedError where its options make none."""
    try:
        return PROBLEMS[problem.name].sizes(**problem.options)
    except KeyedError as error:
        raise KeyedError(f"problem.{error.key}", error.value, error.allowed) from None


class AllocationSpec(Identified):
    """What settles an allocation file: the same for every run that holds its subsets in the same way."""

    allocation: Allocation
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)]
    subsets: Annotated[int, Field(ge=1)]
    redundancy: Annotated[int, Field(ge=1)]
    seeds: Seeds

    @property
    def allocation_id(self) -> str:
        """The identity of the allocation, as :attr:`RunSpec.run_id` is that of a run."""
        return short_hash(self.canonical())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_held(self, "subsets")
        return self


def _check_held(spec: RunSpec | AllocationSpec, key: str) -> None:
    """Raise KeyedError where no allocation is as a spec asks; ``key`` is that of the number of subsets."""
    devices, subsets, redundancy = spec.devices, spec.subsets, spec.redundancy
    if redundancy > subsets:
        raise KeyedError("redundancy", redundancy, f"allowed: 1 to {subsets} (the number of subsets, M)")
    _check_sizes(
        spec,
        {
            "redundancy": ("seeds N r, who holds what", devices * redundancy),
            "seeds": ("seeds N (N - 1) / 2, the pairs of devices", devices * (devices - 1) // 2),
            key: ("seeds M, how often each is held", subsets),
        },
    )
    if devices * subsets > MOST_NUMBERS:
        what = f"N M, whether a device holds a subset: {devices * subsets} numbers"
        raise KeyedError(key, subsets, f"{what}; allowed: at most {MOST_NUMBERS}")
    reason = ALLOCATIONS[spec.allocation.name].refuses(devices, subsets, redundancy)
    if reason is not None:
        raise KeyedError("redundancy", redundancy, f"{reason}; with allocation {spec.allocation.name}")
    if len(set(spec.seeds)) < len(spec.seeds):
        raise KeyedError("seeds", list(spec.seeds), "each seed once")


def _check_sizes(spec: RunSpec | AllocationSpec, arrays: Mapping[str, tuple[str, int]]) -> None:
    """Raise KeyedError where an array is too large: by key what it is and how many numbers it has for each seed."""
    seeds = len(spec.seeds)
    for key, (what, numbers) in arrays.items():
        if seeds * numbers > MOST_NUMBERS:
            given = getattr(spec, key.rpartition(".")[2])
            given = given.options if isinstance(given, Component) else seeds if key == "seeds" else given
            raise KeyedError(key, given, f"{what}: {seeds * numbers} numbers; allowed: at most {MOST_NUMBERS}")


def _check_options(key: str, component: Component, refuses: Callable[..., tuple[str, str] | None], *sizes: int) -> None:
    """Raise KeyedError where a component refuses one of its options at some sizes."""
    refused = refuses(*sizes, **component.options)
    if refused is not None:
        option, allowed = refused
        raise KeyedError(f"{key}.{option}", component.options[option], allowed)


T = TypeVar("T", bound=BaseModel)


def parse(model: type[T], values: Mapping[str, Any], where: object) -> T:
    """Validate a mapping. Raises UserError, one message that begins with ``where``, whatever the order of keys."""
    for order in (dict, in_order):
        try:
            return model.model_validate(order(values))
        except ValidationError as error:
            refusal = from_validation(error, where, model)
        except KeyedError as error:
            refusal = complain(where, error.key, error.value, error.allowed)
    raise refusal


def in_order(value: Any) -> Any:
    """A value of a file with the keys of all its mappings sorted."""
    if isinstance(value, Mapping):
        return {key: in_order(value[key]) for key in sorted(value, key=str)}
    return [in_order(each) for each in value] if isinstance(value, list) else value


def _agrees(given: Any, fixed: Any) -> bool:
    if isinstance(given, Component | BaseModel):
        given = given.model_dump()
    if isinstance(fixed, str):
        return given == fixed or (isinstance(given, Mapping) and given.get("name") == fixed)
    return all(given.get(key) == value for key, value in fixed.items()) if isinstance(given, Mapping) else False
