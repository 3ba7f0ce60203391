"""From a claim to its tests: which runs each of them compares."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from byzcode.errors import KeyedError, one_of
from byzcode.studies.claim import Claim, Falls, Grows, Law, Open, Predicted, Side, Tested
from byzcode.studies.expand import Member
from byzcode.studies.study import Study

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One test of a claim: its runs, those that they are compared with, and where on the study's grid it stands.

    ``runs`` follow the claim's ``values``, or are one; ``against`` are as many, or none.
    """

    study: str
    claim: Claim
    place: Values
    runs: tuple[Member, ...] = ()
    against: tuple[Member, ...] = ()

    @property
    def name(self) -> str:
        """study/claim, and what tells the tests of a claim apart."""
        return "/".join([self.study, self.claim.claim, *map(_word, self.place.values())])

    def request(self) -> dict[str, Any]:
        """What the evidence depends on beside the stored runs."""
        shown = {**getattr(self.claim, "where", {}), **self.place}
        return {
            "claim": self.claim.model_dump(mode="json"),
            "cell": self.name,
            "place": ", ".join(f"{key} = {_word(value)}" for key, value in shown.items()),
            "runs": [member.spec.run_id for member in self.runs],
            "against": [member.spec.run_id for member in self.against],
        }


def cells(study: Study, members: Sequence[Member]) -> list[Cell]:
    """All tests of the claims of a study. Raises KeyedError where a claim names what the study does not have."""
    found = [cell for number, claim in enumerate(study.claims) for cell in _cells(study, members, number, claim)]
    names = [claim.claim for claim in study.claims]
    for number, name in enumerate(names):
        if names.index(name) < number:
            raise KeyedError(f"claims[{number}].claim", name, "each name once in a study")
    return found


def _cells(study: Study, members: Sequence[Member], number: int, claim: Claim) -> Iterator[Cell]:
    if isinstance(claim, Open):
        yield Cell(study.study, claim, {})
        return
    where = f"claims[{number}]"
    if all(plot.kind == "allocation" for plot in study.plots.values()):
        raise KeyedError(f"{where}.test", claim.test, "this study trains nothing: none of its figures needs it")
    if claim.figure is not None and claim.figure not in study.plots:
        raise KeyedError(f"{where}.figure", claim.figure, "not a plot of this study; " + one_of(study.plots))
    steps: list[dict[str, Any]] = [{}]
    if isinstance(claim, Falls | Grows | Law):
        steps = [{claim.along: value} for value in claim.values]
    sides = {"curve": claim.curve, "against": getattr(claim, "against", None)}
    for values in itertools.product(*(_places(study, claim, key, where) for key in claim.each)):
        place = dict(zip(claim.each, values, strict=True))
        runs = {
            name: tuple(
                _member(study, members, side, {**claim.where, **place, **step}, f"{where}.{name}") for step in steps
            )
            if side
            else ()
            for name, side in sides.items()
        }
        found = Cell(study.study, claim, place, runs["curve"], runs["against"])
        _check(found, where)
        yield found


def _places(study: Study, claim: Tested, key: str, where: str) -> list[Any]:
    """The values of a grid key at which a claim is tested."""
    if key not in study.grid:
        raise KeyedError(f"{where}.each", key, "not a key of the study's grid; " + one_of(study.grid))
    found = [value for value in study.grid[key] if key not in claim.where or _is(value, claim.where[key])]
    if not found:
        values = map(_word, study.grid[key])
        raise KeyedError(f"{where}.where.{key}", claim.where[key], "not a value of the grid; " + one_of(values))
    return found


def _check(cell: Cell, where: str) -> None:
    """Refuse a test that cannot say anything: of a run with itself, of seeds that are no pairs, without a factor."""
    claim, specs = cell.claim, [member.spec for member in (*cell.runs, *cell.against)]
    if isinstance(claim, Falls | Grows | Law) and len({member.spec.run_id for member in cell.runs}) < len(cell.runs):
        raise KeyedError(f"{where}.along", claim.along, f"some runs of {claim.curve.curve!r} are the same along it")
    for one, other in zip(cell.runs, cell.against, strict=bool(cell.against)):
        if one.spec.run_id == other.spec.run_id:
            raise KeyedError(f"{where}.against", other.curve.label, "the same run as that of the curve")
    for spec in specs:
        if spec.seeds != specs[0].seeds:
            raise KeyedError(f"{where}.curve", specs[0].seeds, f"seeds must be the same in all runs, not {spec.seeds}")
    for spec in specs:
        if isinstance(claim, Predicted) and claim.distance == "each_other" and spec.devices - spec.f < 2:
            allowed = f"two honest devices at least, whose messages can be compared, not {spec.devices - spec.f}"
            raise KeyedError(f"{where}.distance", claim.distance, allowed)
    if isinstance(claim, Predicted) or (isinstance(claim, Law) and claim.predicted == "coded_variance"):
        for spec in specs:
            if spec.redundancy == spec.subsets:
                allowed = f"below {spec.subsets} (the number of subsets, M), where the closed form is not 0"
                raise KeyedError(f"{where}.curve", spec.redundancy, f"redundancy must be {allowed}")


def _member(study: Study, members: Sequence[Member], side: Side, asked: Values, where: str) -> Member:
    """The one run of a side at a place. A key that a curve does not run through is the same run everywhere."""
    own = [member for member in members if member.curve.label == side.curve]
    if not own:
        labels = [curve.label for curve in study.curves]
        raise KeyedError(where, side.curve, "not a curve of this study; " + one_of(labels, side.curve))
    anywhere = {key for member in members for key in member.point}
    for key in {**asked, **side.where}:
        if key not in anywhere:
            raise KeyedError(f"{where}.where", key, "not a grid key of this study; " + one_of(sorted(anywhere), key))
    for key in side.where:
        if key not in own[0].point:
            raise KeyedError(f"{where}.where", key, f"{side.curve!r} does not run through it; " + one_of(own[0].point))
    wanted = {key: value for key, value in {**asked, **side.where}.items() if key in own[0].point}
    found = {
        member.spec.run_id: member
        for member in own
        if all(_is(member.point[key], value) for key, value in wanted.items())
    }
    if len(found) != 1:
        more = sorted(set(own[0].point) - set(wanted))
        hint = f"its grid has no {dict(wanted)}"
        if found:
            hint = f"say more of {', '.join(more)}" if more else "say the options as well, as its grid does"
        raise KeyedError(where, side.curve, f"must be one run, but {len(found)} match; {hint}")
    return next(iter(found.values()))


def _is(value: Any, wanted: Any) -> bool:
    """Whether a value of a grid is the wanted one; a component may be named by its name alone."""
    return bool(value == wanted) or (isinstance(value, Mapping) and value.get("name") == wanted)


def _word(value: Any) -> str:
    if isinstance(value, Mapping):  # a component: its name, then its options in an order that is not the file's
        first = ["name"] if "name" in value else []
        return " ".join(_word(value[key]) for key in [*first, *sorted(value.keys() - {"name"})])
    return f"{value:g}" if isinstance(value, float) else str(value)
