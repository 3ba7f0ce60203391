"""The tests of a claim, and the runs that each test compares."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from byzcode.errors import KeyedError, one_of, shown
from byzcode.provenance.content import canonical
from byzcode.specs.last_part import lacking
from byzcode.studies.claim import COSTS, Claim, Falls, Grows, Law, Open, OtherKind, Predicted, Side, Tested
from byzcode.studies.expand import Member
from byzcode.studies.fields import agrees, in_digits, tolerated
from byzcode.studies.measured import claim_with_quantity
from byzcode.studies.study import Study

Values = Mapping[str, Any]
T = TypeVar("T", bound=Tested)


@dataclass(frozen=True)
class Cell:
    """One test of a claim: its runs, the runs to compare them with, and its point on the study's grid.

    ``runs`` has one run per value in the claim's ``values``, or a single run. ``against`` has as many runs, or none.
    """

    study: str
    claim: Claim
    place: Values
    words: tuple[str, ...] = ()  # one word per value of the place; it identifies the value among those of the grid
    runs: tuple[Member, ...] = ()
    against: tuple[Member, ...] = ()

    @property
    def name(self) -> str:
        """``study/claim``, followed by the words that distinguish the tests of a claim."""
        return "/".join([self.study, self.claim.claim, *self.words])

    def request(self) -> dict[str, Any]:
        """Everything that the evidence depends on except the stored runs."""
        fixed = {key: _word(value) for key, value in getattr(self.claim, "where", {}).items()}
        shown = {**fixed, **dict(zip(self.place, self.words, strict=True))}
        return {
            "claim": self.claim.model_dump(mode="json"),
            "cell": self.name,
            "place": ", ".join(f"{key} = {value}" for key, value in shown.items()),
            "runs": [member.spec.run_id for member in self.runs],
            "against": [member.spec.run_id for member in self.against],
        }


def cells(study: Study, members: Sequence[Member]) -> list[Cell]:
    """All tests of the claims of a study. Raises KeyedError if a claim names something that the study does not have."""
    tests = [cell for number, claim in enumerate(study.claims) for cell in _cells(study, members, number, claim)]
    names = [claim.claim for claim in study.claims]
    for number, name in enumerate(names):
        if names.index(name) < number:
            raise KeyedError(f"claims[{number}].claim", name, "each name once in a study")
    for number, claim in enumerate(study.claims):
        _check_controls(claim, study.claims, f"claims[{number}]")
    return tests


def _check_controls(claim: Claim, claims: Sequence[Claim], where: str) -> None:
    """Check that a control, and nothing else, names claims that it controls. Raises KeyedError."""
    controls = getattr(claim, "controls", [])
    if (claim.kind == "control") != bool(controls):
        allowed = "names of the claims that it controls" if not controls else "only for a claim of kind control"
        raise KeyedError(f"{where}.controls", controls, f"allowed: {allowed}")
    names = [other.claim for other in claims if isinstance(other, Tested) and other.kind != "control"]
    for name in controls:
        if name not in names:
            allowed = one_of(names, name) if names else "this study tests no other claim"
            raise KeyedError(f"{where}.controls", name, f"not a tested claim of this study; {allowed}")


def _cells(study: Study, members: Sequence[Member], number: int, claim: Claim) -> Iterator[Cell]:
    if isinstance(claim, Open):
        yield Cell(study.study, claim, {})
        return
    claim, where = _settled(claim), f"claims[{number}]"
    if all(plot.kind == "allocation" for plot in study.plots.values()):
        raise KeyedError(f"{where}.test", claim.test, "this study trains nothing: none of its figures needs it")
    if claim.figure is not None and claim.figure not in study.plots:
        raise KeyedError(f"{where}.figure", claim.figure, "not a plot of this study; " + one_of(study.plots))
    steps: list[dict[str, Any]] = [{}]
    if isinstance(claim, Falls | Grows | Law):
        steps = [{claim.along: value} for value in claim.values]
    for key in claim.each:
        if claim.each.count(key) > 1 or key == getattr(claim, "along", None):
            raise KeyedError(f"{where}.each", key, "each key once, and not the key along which the claim is tested")
    sides = {"curve": claim.curve, "against": getattr(claim, "against", None)}
    places = [_places(study, claim, key, where) for key in claim.each]
    _check_kinds(claim, dict(zip(claim.each, places, strict=True)), f"{where}.kinds")
    for values in itertools.product(*places):
        place = dict(zip(claim.each, values, strict=True))
        words = tuple(_words(key, value, study.grid[key]) for key, value in place.items())
        for step in steps:
            _check_once(claim.where, {**place, **step}, f"{where}.where")
        points = [{**claim.where, **place, **step} for step in steps]
        runs = {
            name: tuple(_member(study, members, side, point, f"{where}.{name}") for point in points) if side else ()
            for name, side in sides.items()
        }
        specs = [member.spec for side in runs.values() for member in side]
        cell = Cell(
            study.study,
            claim_with_quantity(_of_kind(claim, place), specs, where),
            place,
            words,
            runs["curve"],
            runs["against"],
        )
        _check(cell, where)
        yield cell


def _places(study: Study, claim: Tested, key: str, where: str) -> list[Any]:
    """The values of a grid key at which a claim is tested."""
    if key not in study.grid:
        raise KeyedError(f"{where}.each", key, "not a key of the study's grid; " + one_of(study.grid))
    grid = [tolerated(key, value) for value in study.grid[key]]
    chosen = [value for value in grid if key not in claim.where or agrees(key, value, claim.where[key])]
    if not chosen:
        values = map(_word, grid)
        raise KeyedError(f"{where}.where.{key}", claim.where[key], "not a value of the grid; " + one_of(values))
    return chosen


def _of_kind(claim: T, place: Values) -> T:
    """The claim with the kind that it has at a place."""
    if not claim.kinds:
        return claim
    kinds = [other.kind for other in claim.kinds if _is_at(other, place)]
    return claim.model_copy(update={"kind": kinds[0] if kinds else claim.kind, "kinds": []})


def _is_at(other: OtherKind, place: Values) -> bool:
    return all(agrees(key, place[key], tolerated(key, value)) for key, value in other.where.items())


def _check_kinds(claim: Tested, places: Mapping[str, Sequence[Any]], where: str) -> None:
    """Check that each other kind is at a place where the claim is tested. Raises KeyedError."""
    for other in claim.kinds:
        for key, value in sorted(other.where.items()):
            if key not in places:
                allowed = one_of(places) if places else "the claim has no each"
                raise KeyedError(f"{where}.where.{key}", value, f"not a key in each; {allowed}")
            if not any(agrees(key, place, tolerated(key, value)) for place in places[key]):
                values = one_of(map(_word, places[key]))
                raise KeyedError(f"{where}.where.{key}", value, f"not a value at which the claim is tested; {values}")


def _check(cell: Cell, where: str) -> None:
    """Refuse a meaningless test: of a run with itself, with seeds that do not pair, or with a closed form of 0."""
    claim, specs = cell.claim, [member.spec for member in (*cell.runs, *cell.against)]
    if isinstance(claim, Falls | Grows | Law) and len({member.spec.run_id for member in cell.runs}) < len(cell.runs):
        raise KeyedError(f"{where}.along", claim.along, f"some runs of {claim.curve.curve!r} do not differ along it")
    for run, other in zip(cell.runs, cell.against, strict=bool(cell.against)):
        if run.spec.run_id == other.spec.run_id:
            raise KeyedError(f"{where}.against", other.curve.label, "the same run as the curve's")
    for spec in specs:
        if spec.seeds != specs[0].seeds:
            raise KeyedError(f"{where}.curve", specs[0].seeds, f"seeds must be the same in all runs, not {spec.seeds}")
    check_levels(cell, where)
    for spec in specs:
        if isinstance(claim, Predicted) and claim.distance == "each_other" and spec.honest < 2:
            allowed = f"needs at least two honest devices to compare their messages, not {spec.honest}"
            raise KeyedError(f"{where}.distance", claim.distance, allowed)
    if isinstance(claim, Predicted) or (isinstance(claim, Law) and claim.predicted == "coded_variance"):
        for spec in specs:
            if spec.redundancy == spec.subsets:
                allowed = f"below {spec.subsets} (the number of subsets, M), where the closed form is not 0"
                raise KeyedError(f"{where}.curve", spec.redundancy, f"redundancy must be {allowed}")


def check_levels(cell: Cell, where: str) -> None:
    """Refuse a test if its runs have no level, or end after different numbers of iterations. Raises KeyedError."""
    claim, members = cell.claim, (*cell.runs, *cell.against)
    if not isinstance(claim, Tested) or claim.at == "start" or (claim.quantity in COSTS and not isinstance(claim, Law)):
        return
    for member in members:
        reason = lacking(member.spec.record, member.spec.iterations)
        if reason is not None:
            raise KeyedError(f"{where}, curve {member.curve.label!r}: record.step", member.spec.record.step, reason)
    lengths = {member.spec.iterations: member.curve.label for member in reversed(members)}
    if claim.at == "end" and len(lengths) > 1:
        (iterations, label), (other_iterations, other_label) = list(lengths.items())[::-1][:2]
        given = f"{label!r} has {iterations}, {other_label!r} has {other_iterations}"
        allowed = f"all runs must have equally many iterations; {given}"
        raise KeyedError(f"{where}.at", claim.at, f"{allowed}. Use at: plateau to compare runs of different lengths")


def _check_once(given: Values, point: Values, where: str) -> None:
    """Refuse a value of a key that contradicts the value at which the claim is tested."""
    for key in sorted(given.keys() & point.keys()):
        if not (agrees(key, given[key], point[key]) or agrees(key, point[key], given[key])):
            allowed = f"contradicts {key} = {shown(point[key])}, where the claim is tested; give one value"
            raise KeyedError(f"{where}.{key}", given[key], allowed)


def _member(study: Study, members: Sequence[Member], side: Side, point: Values, where: str) -> Member:
    """The single run of a side at a place. Ignores keys of the place that the side's curve does not vary."""
    own = [member for member in members if member.curve.label == side.curve]
    if not own:
        labels = [curve.label for curve in study.curves]
        raise KeyedError(where, side.curve, "not a curve of this study; " + one_of(labels, side.curve))
    anywhere = {key for member in members for key in member.point}
    for key in sorted({**point, **side.where}):
        if key not in anywhere:
            raise KeyedError(f"{where}.where", key, "not a grid key of this study; " + one_of(sorted(anywhere), key))
    for key in sorted(side.where):
        if key not in own[0].point:
            raise KeyedError(f"{where}.where", key, f"{side.curve!r} does not vary it; " + one_of(own[0].point))
    _check_once(side.where, point, f"{where}.where")
    wanted = {key: value for key, value in {**point, **side.where}.items() if key in own[0].point}
    matches = {
        member.spec.run_id: member
        for member in own
        if all(agrees(key, member.point[key], value) for key, value in wanted.items())
    }
    if len(matches) != 1:
        more = sorted(set(own[0].point) - set(wanted))
        hint = f"its grid has no {dict(wanted)}"
        if matches:
            hint = f"give values of {', '.join(more)}" if more else "give the options as well, as in its grid"
        raise KeyedError(where, side.curve, f"must be a single run, but {len(matches)} match; {hint}")
    return next(iter(matches.values()))


def _settled(claim: T) -> T:
    """The claim with its values in their canonical form; the claim itself if they already are."""

    def where(side: Side | Tested) -> dict[str, Any]:
        return {key: tolerated(key, value) for key, value in side.where.items()}

    changed: dict[str, Any] = {"where": where(claim)}
    for name in ("curve", "against"):
        if isinstance(side := getattr(claim, name, None), Side):
            changed[name] = side.model_copy(update={"where": where(side)})
    if isinstance(claim, Falls | Law):
        changed["values"] = [tolerated(claim.along, value) for value in claim.values]
    settled = claim.model_copy(update=changed)
    return claim if canonical(settled.model_dump()) == canonical(claim.model_dump()) else settled


def _words(key: str, value: Any, grid: Sequence[Any]) -> str:
    """A value in words that are unique in the grid, with the names of options if their values do not suffice."""
    others = [_word(tolerated(key, other)) for other in grid]
    word = _word(value)
    return word if others.count(word) < 2 else _word(value, named=True)


def _word(value: Any, named: bool = False) -> str:
    if isinstance(value, Mapping):  # a component: its name, then its options, sorted
        first = [_word(value["name"])] if "name" in value else []
        options = sorted(value.keys() - {"name"})
        return " ".join([*first, *(f"{key} {_word(value[key])}" if named else _word(value[key]) for key in options)])
    return in_digits(value) if isinstance(value, float) else str(value)
