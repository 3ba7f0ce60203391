"""RunSpec: everything that affects the numbers of a run, resolved and typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from byzcode.absence import ABSENCES
from byzcode.aggregation import RULES
from byzcode.allocation import ALLOCATIONS
from byzcode.coding import DECODERS, VOTES
from byzcode.estimation import ESTIMATORS
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.problems import PROBLEMS, ProblemKind, Sizes
from byzcode.provenance.content import canonical, short_hash
from byzcode.specs import consistency
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.fields import COMPONENTS, RunFields, sizes_of
from byzcode.specs.methods import METHODS

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


class RunSpec(RunFields):
    """One training configuration with all its seeds. It does not contain labels, plots or the compute device."""

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
            return min((self.answering - 1) // 2, RULES[self.aggregation.name].most_liars(self.left))
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
        vote, most = VOTES[METHODS[self.method].vote], RULES[self.aggregation.name].most_liars(self.left)
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
        return sizes_of(self.problem)

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
    def left(self) -> int:
        """The number of messages that the rule gets after pre-aggregation."""
        return PRE_AGGREGATORS[self.pre_aggregation.name].left(self.compared, **self.pre_aggregation.options)

    @property
    def undefined(self) -> str | None:
        """Why the rule is not defined for the f that it is given and the messages that it gets; None if it is defined.

        An undefined run is valid but ends at iteration 0, so that a sweep over alpha may go beyond one half.
        """
        most = RULES[self.aggregation.name].most_liars(self.left)
        if self.lost <= most:
            return None
        among = f"{self.answering} devices" + (" that answer" if self.absent else "")
        if self.left < self.answering:
            among += f", reduced to {self.left} messages by {self.pre_aggregation.name},"
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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        consistency.check(self)
        return self
