"""RunSpec: everything that affects the numbers of a run, resolved and typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from byzcode.absence import ABSENCES
from byzcode.aggregation import RULES
from byzcode.allocation import ALLOCATIONS
from byzcode.attacks import ATTACKS
from byzcode.coding import DECODERS, ENCODERS, VOTES
from byzcode.compression import COMPRESSORS
from byzcode.errors import KeyedError, one_of
from byzcode.estimation import ESTIMATORS
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.problems import PROBLEMS, ProblemKind, Sizes
from byzcode.provenance.content import canonical, short_hash
from byzcode.schedules import SCHEDULES
from byzcode.specs.allocation import Allocation, AllocationSpec, check_held, check_sizes
from byzcode.specs.components import Choice, Component
from byzcode.specs.methods import METHODS, Method
from byzcode.specs.parsing import Identified
from byzcode.specs.settings import MOST_DEVICES, MOST_ITERATIONS, MOST_POINTS, MOST_SEEDS, Byzantine, Record, Seeds

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

#: Fields added after the first runs, with the values that those runs imply. The canonical JSON omits a field with its
#: implied value, so that a new field changes no run id.
_IMPLIED: Mapping[str, Any] = {
    "step_unit": "1/L",
    "step_schedule": {"name": "constant"},
    "momentum": 0.0,
    "assumed_alpha": None,
    "estimation": {"name": "none"},
    "absence": {"name": "none"},
}


def method_named(name: Any) -> Method:
    """Look up a method. Raises KeyedError if the table has no method of that name."""
    if not isinstance(name, str) or name not in METHODS:
        raise KeyedError("method", name, "unknown method; " + one_of(METHODS, name))
    return METHODS[name]


class RunSpec(Identified):
    """One training configuration with all its seeds. It does not contain labels, plots or the compute device."""

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

    @property
    def f(self) -> int:
        """The number of Byzantine devices, alpha N rounded half up."""
        return self._share(self.byzantine.alpha)

    @property
    def assumed_f(self) -> int:
        """f', the number of Byzantine devices that the server's rule is given; f unless ``assumed_alpha`` is set.

        If the server estimates f, it is the largest estimate that the rule can use.
        """
        if self.estimates:
            return min((self.answering - 1) // 2, RULES[self.aggregation.name].most_liars(self._left))
        return self.f if self.assumed_alpha is None else self._share(self.assumed_alpha)

    @property
    def absent(self) -> int:
        """s, the number of devices that do not answer in an iteration, their share of N rounded half up."""
        return self._share(ABSENCES[self.absence.name].share(**self.absence.options))

    @property
    def answering(self) -> int:
        """N - s, the number of messages that come in an iteration; f of them are lies."""
        return self.devices - self.absent

    @property
    def honest(self) -> int:
        """H = N - s - f, the number of honest messages that come."""
        return self.answering - self.f

    @property
    def timed(self) -> bool:
        """Whether the time of an iteration is modelled."""
        return not ABSENCES[self.absence.name].idle

    @property
    def vectors(self) -> int:
        """The number of vectors that a device sends: one for each of its files if the server votes, else one."""
        file = ALLOCATIONS[self.allocation.name].file
        if not self.votes or file is None:
            return 1
        return self.redundancy // file(self.devices, self.subsets, self.redundancy)

    @property
    def rows(self) -> int:
        """The number of vectors that all devices send together."""
        return self.devices * self.vectors

    @property
    def votes(self) -> bool:
        """Whether the server votes on the copies of files."""
        return METHODS[self.method].server == "votes"

    @property
    def copies(self) -> int:
        """The number of devices that hold each subset, N r / M, if it is the same for all."""
        return self.devices * self.redundancy // self.subsets

    @property
    def compared(self) -> int:
        """The number of messages that pre-aggregation and rule get: N - s, or of files if the server votes."""
        return self.rows // self.copies if self.votes else self.answering

    @property
    def lost(self) -> int:
        """The number of lies that the rule is told of.

        This is f'; if the server votes, the number of files of which f' liars may win the vote, whichever devices they
        are, or the most lies that the rule tolerates, if that is less: liars drawn at random win far fewer.
        """
        if not self.votes:
            return self.assumed_f
        vote, most = VOTES[METHODS[self.method].vote], RULES[self.aggregation.name].most_liars(self._left)
        return min(most, vote.files_lost(self.compared, self.vectors, self.copies, self.assumed_f))

    @property
    def estimates(self) -> bool:
        """Whether the server estimates f."""
        return not ESTIMATORS[self.estimation.name].idle

    def _share(self, alpha: float) -> int:
        """The number of devices alpha N, rounded half up."""
        return int(round(alpha * self.devices, 9) + 0.5)  # 0.29 times 50 is 14.499999999999998

    @property
    def problem_kind(self) -> ProblemKind:
        """The table entry of the problem."""
        return PROBLEMS[self.problem.name]

    @property
    def sizes(self) -> Sizes:
        """The sizes of the problem."""
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
        """The number of messages that the rule gets after pre-aggregation."""
        return PRE_AGGREGATORS[self.pre_aggregation.name].left(self.compared, **self.pre_aggregation.options)

    @property
    def undefined(self) -> str | None:
        """Why the rule is not defined for the f that it is given and the messages that it gets; None if it is defined.

        An undefined run is valid but ends at iteration 0, so that a sweep over alpha may go beyond one half.
        """
        most = RULES[self.aggregation.name].most_liars(self._left)
        if self.lost <= most:
            return None
        among = f"{self.answering} devices" + (" that answer" if self.absent else "")
        if self._left < self.answering:
            among += f", reduced to {self._left} messages by {self.pre_aggregation.name},"
        assumed = "" if self.assumed_alpha is None else "assumed "
        return (
            f"{assumed}f = {self.assumed_f} liars, but {self.aggregation.name} among {among} tolerates at most {most}"
        )

    @property
    def undecodable(self) -> str | None:
        """Why the method's decoder is not exact for f Byzantine devices; None if it is exact or there is no decoder.

        Such a run is trained, and its failures and errors are counted. Comparisons with it mention the reason.
        """
        decoder = METHODS[self.method].decoder
        if not decoder:
            return None
        known = DECODERS[decoder]
        most = known.most_beside(self.absent, self.devices, self.subsets, self.redundancy)
        if self.f <= most:
            return None
        absent = f" and {self.absent} absent devices" if self.absent else ""
        beside = f" beside {self.absent} absent ones" if self.absent else ""
        allowed = "none" if most < 0 else f"at most {most} liars{beside}" if absent else f"at most {most}"
        return f"f = {self.f} liars{absent}, but {decoder} with redundancy {self.redundancy} tolerates {allowed}"

    def canonical(self) -> str:
        """The content as JSON with sorted keys, without what the first runs imply.

        These are the fields that have their value in :data:`_IMPLIED`, and the added options of components
        (:class:`byzcode.lazy.Entry`) that have their default.
        """
        values = self.model_dump(mode="json")
        for head, table in COMPONENTS.items():
            model = type(getattr(self, head))
            for option in table[values[head]["name"]].added:
                if values[head][option] == model.model_fields[option].default:
                    del values[head][option]
        return canonical({key: value for key, value in values.items() if _IMPLIED.get(key) != value})

    @property
    def run_id(self) -> str:
        """The identity of the run: the first 12 hex digits of the hash of its canonical JSON."""
        return short_hash(self.canonical())

    @property
    def allocation_spec(self) -> AllocationSpec:
        """The part of the run that determines which device holds which subsets."""
        return AllocationSpec.model_construct(  # the RunSpec has validated these values
            allocation=self.allocation,
            devices=self.devices,
            subsets=self.subsets,
            redundancy=self.redundancy,
            seeds=self.seeds,
        )

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
        """The default is 1/L if the problem knows L, else absolute."""
        if "problem" not in info.data:
            return value
        problem = info.data["problem"].name
        smooth = "smoothness" in PROBLEMS[problem].knows
        if value == "1/L" and not smooth:
            raise KeyedError("step_unit", value, f"problem {problem} does not know its smoothness L; allowed: absolute")
        return value if value is not None else "1/L" if smooth else "absolute"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_sizes(
            self,
            {
                "problem": ("the features of all seeds", self.sizes.data),
                "devices": ("seeds N D, the messages", self.rows * self.dimension),
            },
        )
        check_held(self, "problem.subsets")
        if METHODS[self.method].server == "decoder":
            reason = DECODERS[METHODS[self.method].decoder].refuses(self.devices, self.subsets, self.redundancy)
            if reason is not None:
                raise KeyedError("redundancy", self.redundancy, f"{reason}; with method {self.method}")
        if self.votes:
            self._check_votes()
        if (decoder := ENCODERS[self.encoding.name].decoder) and decoder != METHODS[self.method].decoder:
            raise KeyedError("encoding", self.encoding.name, "allowed only for a method that decodes it")
        if self.f >= self.devices:
            reason = f"f = {self.f} liars among {self.devices} devices: at least one must be honest"
            raise KeyedError("byzantine.alpha", self.byzantine.alpha, reason)
        if self.absent and self.honest < 1:
            reason = f"{self.absent} absent and {self.f} Byzantine of {self.devices} devices: an honest one must answer"
            raise KeyedError("absence", self.absence.model_dump(), reason)
        if self.absent and ESTIMATORS[self.estimation.name].remembers:
            reason = (
                "remembers suspicions of devices, which must all answer; leave out absence, or allowed: another one"
            )
            raise KeyedError("estimation", self.estimation.name, reason)
        for key, value in (("assumed_alpha", self.assumed_alpha), ("estimation", self.estimation.name)):
            told = METHODS[self.method].server == "rule" or (self.votes and key == "assumed_alpha")
            if value not in (None, "none") and not told:
                reason = f"the server of method {self.method} has no rule that is given f; leave it out"
                raise KeyedError(key, value, reason)
        if self.assumed_alpha is not None and self.estimates:
            reason = f"the server estimates f ({self.estimation.name}); leave out one of the two"
            raise KeyedError("assumed_alpha", self.assumed_alpha, reason)
        _check_options("attack", self.attack, ATTACKS[self.attack.name].refuses, self.devices)
        if self.undefined is None:
            refuses = RULES[self.aggregation.name].refuses
            _check_options("aggregation", self.aggregation, refuses, self._left, self.lost)
        points = len(self.seeds) * self.record.points(self.iterations)
        if points > MOST_POINTS:
            raise KeyedError("record.step", self.record.step, f"{points} points are recorded; allowed: {MOST_POINTS}")
        return self

    def _check_votes(self) -> None:
        """Raise KeyedError if this allocation has no files to vote on, or a vote needs others."""
        vote = VOTES[METHODS[self.method].vote]
        served = [name for name, each in ALLOCATIONS.items() if each.file and (each.pairwise or not vote.pairwise)]
        if self.allocation.name not in served:
            raise KeyedError(
                "allocation", self.allocation.name, f"allowed: {', '.join(served)}; with method {self.method}"
            )
        if self.devices * self.redundancy % self.subsets:
            reason = f"each file must be on equally many devices: N r / M an integer; with method {self.method}"
            raise KeyedError("redundancy", self.redundancy, reason)
        if self.timed:
            reason = f"leave it out: the server of method {self.method} votes on the copies of all devices"
            raise KeyedError("absence", self.absence.model_dump(), reason)


def _sizes_of(problem: Component) -> Sizes:
    """The sizes of a problem. Raises KeyedError if no problem has these options."""
    try:
        return PROBLEMS[problem.name].sizes(**problem.options)
    except KeyedError as error:
        raise KeyedError(f"problem.{error.key}", error.value, error.allowed) from None


def _check_options(key: str, component: Component, refuses: Callable[..., tuple[str, str] | None], *sizes: int) -> None:
    """Raise KeyedError if a component refuses one of its options at these sizes."""
    refused = refuses(*sizes, **component.options)
    if refused is not None:
        option, allowed = refused
        raise KeyedError(f"{key}.{option}", component.options[option], allowed)


def _agrees(given: Any, fixed: Any) -> bool:
    if isinstance(given, Component | BaseModel):
        given = given.model_dump()
    if isinstance(fixed, str):
        return given == fixed or (isinstance(given, Mapping) and given.get("name") == fixed)
    return all(given.get(key) == value for key, value in fixed.items()) if isinstance(given, Mapping) else False
