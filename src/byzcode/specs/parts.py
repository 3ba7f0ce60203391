"""The code that a run names: the entries of its components and of its method, for :mod:`byzcode.provenance.code`.

An entry is written ``module:name``. ``module:name*`` also covers the words and bounds that figures show and trainings
do not use. A run may also name a module of the user, in the same form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from byzcode.coding import DECODERS, VOTES
from byzcode.data import DATA_SETS, DataSet
from byzcode.lazy import ENTRY, Table
from byzcode.provenance.content import canonical
from byzcode.provenance.syntax import IN_WORDS
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.components import Choice
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec


def of_run(spec: RunSpec) -> list[str]:
    """The entries that a run names."""
    decoder, vote = METHODS[spec.method].decoder, METHODS[spec.method].vote
    return [
        f"byzcode.specs.methods:METHODS[{spec.method}]",
        *_components(spec),
        *([_entry(DECODERS, decoder)] if decoder else []),
        *([_entry(VOTES, vote)] if vote else []),
    ]


def drawn(specs: Iterable[RunSpec]) -> list[str]:
    """The entries that some runs name, with their words; sorted, without duplicates."""
    return sorted({f"{entry}{IN_WORDS}" for spec in specs for entry in of_run(spec)})


def of_allocation(spec: AllocationSpec) -> list[str]:
    """The entry that an allocation names."""
    return list(_components(spec))


def data_sets_of(spec: RunSpec) -> dict[str, DataSet]:
    """The data sets that a run names, by name."""
    named = (entry.partition(":")[0] for entry in _components(spec))
    by_module = {DATA_SETS.module(name): name for name in DATA_SETS}
    return {by_module[module]: DATA_SETS[by_module[module]] for module in named if module in by_module}


def datasheets_of(spec: RunSpec) -> dict[str, str]:
    """The attribute of a trajectory that describes its data sets: source, licence and checksums. Empty without any."""
    sheets = {name: known.datasheet() for name, known in data_sets_of(spec).items()}
    return {"data_sets": canonical(sheets)} if sheets else {}


def _components(spec: RunSpec | AllocationSpec) -> Iterator[str]:
    for name, field in type(spec).model_fields.items():
        for choice in (each for each in field.metadata if isinstance(each, Choice)):
            component = getattr(spec, name)
            yield _entry(choice.table, component.name)
            # An option may name a component of another table: a problem names its data set.
            tables = getattr(choice.table[component.name], "tables", {})
            yield from (_entry(table, _name(component.options[option])) for option, table in tables.items())
            yield from (component.options[option] for option in getattr(choice.table[component.name], "modules", ()))


def _name(value: Any) -> str:
    """The name in the value of an option, which has options of its own or is the name itself."""
    return str(value["name"] if isinstance(value, Mapping) else value)


def _entry(table: Mapping[str, Any], name: str) -> str:
    assert isinstance(table, Table)  # every table of components is one
    return f"{table.module(name)}:{ENTRY}"
