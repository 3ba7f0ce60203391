"""The readings of a configuration and the tests under each reading. Reads files; trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from byzcode.errors import KeyedError, complain, one_of
from byzcode.multiverse.readings import Universe, changes, read_as, universes
from byzcode.provenance.content import canonical, short_hash
from byzcode.specs import parts
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.parsing import parse
from byzcode.specs.run import RunSpec
from byzcode.studies.alternatives import Alternatives, MultiverseConfig, Selection
from byzcode.studies.cells import Cell, check_levels
from byzcode.studies.claim import Falls, Grows, Law, Open, Side
from byzcode.studies.expand import Member
from byzcode.studies.fields import agrees, tolerated
from byzcode.studies.files import inside, or_bundled, read_from
from byzcode.studies.plan import Plan, load, load_plan
from byzcode.studies.requests import Reading

#: The fields of a configuration that determine the tests; the folder of results and the device do not.
_READ = {"studies", "reading", "style", "multiverse"}

#: The source that error messages name for the request of a job.
_REQUEST = "reading request"

#: The fields of a claim on which no number depends.
_WORDS = {"says", "source", "confirms", "refutes", "figure", "kind", "kinds", "controls"}


#: Gives a member the specification that it has under a reading, which keeps some keys; the text names it in errors.
Rereading = Callable[[Member, frozenset[str], str], Member]


class Test(NamedTuple):
    """A test of a claim under a reading: its study, its request (see ``Cell.request``), and its runs by id."""

    study: str
    request: Mapping[str, Any]
    specs: Mapping[str, RunSpec]


@dataclass(frozen=True)
class Multiverse:
    """The claims to test and the readings to test them under."""

    plan: Plan
    settings: MultiverseConfig
    alternatives: Alternatives
    _tests: dict[str, list[Test]] = field(default_factory=dict, compare=False)  # by reading, once they are known

    @classmethod
    def load(cls, plan: Plan) -> Multiverse:
        """Load the multiverse from the files that a configuration names. Raises UserError."""
        path = or_bundled(plan.config.multiverse)
        settings = load(MultiverseConfig, path)
        where = inside(settings.alternatives, path, "alternatives")
        return cls(plan, settings, load(Alternatives, or_bundled(where)))

    @cached_property
    def universes(self) -> dict[str, Universe]:
        """The readings by name."""
        return {universe.name: universe for universe in universes(self.settings, self.alternatives.choices)}

    def tests(self, universe: Universe) -> list[Test]:
        """The tests under a reading. Raises UserError."""
        if universe.name not in self._tests:
            self._tests[universe.name] = self._all_tests(universe)
        return self._tests[universe.name]

    def entries(self, universe: Universe) -> list[str]:
        """The entries of components and methods that the runs under a reading name. Raises UserError."""
        specs = (spec for test in self.tests(universe) for spec in test.specs.values())
        return sorted({entry for spec in specs for entry in parts.of_run(spec)})

    def _all_tests(self, universe: Universe) -> list[Test]:
        tests: dict[str, Test] = {}
        for selection in self.settings.claims:
            changed = changes(universe.taken, self.alternatives.choices, selection.study)
            reread = self._rereading(selection, universe, changed)
            for cell in self._cells(selection):
                if cell.name in tests:
                    where = self.plan.config.multiverse
                    raise complain(where, "claims", cell.name, "selected twice; allowed: each test once")
                tests[cell.name] = self._test(cell, selection, universe, reread)
        return list(tests.values())

    def request(self, name: str) -> str:
        """The request of a reading's job; it includes a hash that changes with any run or claim tested under it."""
        universe = self.universes[name]
        about = {"kind": universe.kind, "size": universe.size, "taken": dict(universe.taken)}
        config = self.plan.config.model_dump(mode="json", include=_READ)
        return canonical({"config": config, "universe": about, "tests": self.digest(universe)})

    def digest(self, universe: Universe) -> str:
        """The hash of the tests under a reading. Raises UserError."""
        return short_hash(canonical([_without_words(test.request) for test in self.tests(universe)]))

    def _cells(self, selection: Selection) -> list[Cell]:
        """The tests to make under every reading. Raises UserError."""
        where = or_bundled(self.plan.config.multiverse)
        if selection.study not in self.plan.studies:
            raise complain(where, "claims.study", selection.study, one_of(self.plan.studies, selection.study))
        cells = [cell for cell in self.plan.studies[selection.study].cells if not isinstance(cell.claim, Open)]
        names = list(dict.fromkeys(cell.claim.claim for cell in cells))
        _check_where(selection, self.plan.studies[selection.study].members, where)
        for name in selection.claims or ():
            if name not in names:
                raise complain(where, "claims.claims", name, one_of(names, name))
        chosen = [
            cell
            for cell in cells
            if (selection.claims is None or cell.claim.claim in selection.claims)
            and all(_is_at(cell, key, value) for key, value in selection.where.items())
        ]
        if not chosen:
            raise complain(where, "claims.where", selection.where, f"no claim of {selection.study} is tested there")
        return chosen

    def _rereading(self, selection: Selection, universe: Universe, changed: Mapping[str, Any]) -> Rereading:
        """A function that rereads the runs of a selection; it rereads a run that many tests share only once."""
        smaller: dict[str, Any] = {}
        if universe.size == "reduced":
            smaller = {f"method.{name}.method": other for name, other in selection.instead.items()}
            # A reading that sets a size itself keeps it at the reduced size.
            smaller |= {key: value for key, value in selection.reduced.items() if key not in changed}

        known: dict[tuple[int, frozenset[str]], RunSpec] = {}

        def reread(member: Member, fixed: frozenset[str], where: str) -> Member:
            key = (id(member.spec), fixed)
            if key not in known:
                known[key] = read_as(read_as(member.spec, changed, fixed, where), smaller, (), where)
            return member._replace(spec=known[key])

        return reread

    def _test(self, cell: Cell, selection: Selection, universe: Universe, reread_member: Rereading) -> Test:
        where = f"{self.plan.config.multiverse}: {cell.name}"
        fixed = frozenset(_varied(cell, selection.where))

        def read(members: Sequence[Member]) -> tuple[Member, ...]:
            return tuple(reread_member(member, fixed, where) for member in members)

        reread = replace(cell, runs=read(cell.runs), against=read(cell.against))
        try:
            check_levels(reread, universe.size)
        except KeyedError as error:
            raise complain(where, error.key, error.value, error.allowed) from None
        specs = {member.spec.run_id: member.spec for member in (*reread.runs, *reread.against)}
        return Test(selection.study, reread.request(), specs)


def files_named(plan: Plan) -> Iterator[str]:
    """The files that the values of a configuration name."""
    yield from (plan.config.reading, plan.config.style)
    yield from (planned.path for planned in plan.studies.values())
    if read_from(plan.config.multiverse).exists():
        yield plan.config.multiverse
        yield Multiverse.load(plan).settings.alternatives


def joint_request(requests: Mapping[str, str]) -> str:
    """The request of the job that combines all readings: their names, and by name the hash of each request."""
    hashes = {name: short_hash(request) for name, request in requests.items()}
    return canonical({"readings": list(hashes), "requests": hashes})


def of_request(request: Mapping[str, Any]) -> tuple[Multiverse, Universe]:
    """The reading in the request of its job. Raises UserError, also if its tests have changed since."""
    reading = parse(Reading, request, _REQUEST)
    multiverse, taken = Multiverse.load(load_plan(reading.config, _REQUEST)), reading.universe.taken
    choices = [choice.choice for choice in multiverse.alternatives.choices]
    if odd := sorted(taken.keys() ^ set(choices)):
        raise complain(_REQUEST, "universe.taken", odd[0], f"one value for each choice; {one_of(choices)}")
    universe = Universe(reading.universe.kind, reading.universe.size, taken)
    if multiverse.digest(universe) != reading.tests:
        allowed = "the hash of the tests of this configuration; its files were edited since; make a new request"
        raise complain(_REQUEST, "tests", reading.tests, allowed)
    return multiverse, universe


def _without_words(request: Mapping[str, Any]) -> dict[str, Any]:
    """A test without its texts, so that editing a text retrains nothing."""
    return {
        **request,
        "place": "",
        "claim": {key: value for key, value in request["claim"].items() if key not in _WORDS},
    }


def _check_where(selection: Selection, members: Sequence[Member], where: object) -> None:
    """Refuse keys or values that the study's grid does not have. Raises UserError."""
    grid: dict[str, dict[str, Any]] = {}
    for member in members:
        for key, value in member.point.items():
            grid.setdefault(key, {})[canonical(value)] = value
    for key, value in selection.where.items():
        named, wanted = f"claims.where.{key}", tolerated(key, value)
        if key not in grid:
            raise complain(where, named, value, f"not a grid key of {selection.study}; {one_of(grid, key)}")
        if not any(agrees(key, known, wanted) for known in grid[key].values()):
            raise complain(where, named, value, f"not a value of the grid; {one_of(grid[key].values())}")


def _is_at(cell: Cell, key: str, value: Any) -> bool:
    """Whether a test is at a value of the grid; a test that does not vary with the key is."""
    fixed = {**getattr(cell.claim, "where", {}), **cell.place}
    return key not in fixed or agrees(key, fixed[key], tolerated(key, value))


def _varied(cell: Cell, free: Mapping[str, Any]) -> set[str]:
    """The keys that a test varies itself, without those in ``free``.

    For a component, these are its name and the options in the grid; a reading may set the other options.
    """
    values = list(cell.place.items())
    for side in (getattr(cell.claim, name, None) for name in ("curve", "against")):
        values += side.where.items() if isinstance(side, Side) else ()
    if isinstance(cell.claim, Falls | Grows | Law):
        values += [(cell.claim.along, value) for value in cell.claim.values]
    varied = set()
    for key, value in values:
        if key not in free:
            given = value if isinstance(value, Mapping) else ["name"]
            varied |= {f"{key}.{option}" for option in given} if key in COMPONENTS else {key}
    return varied
