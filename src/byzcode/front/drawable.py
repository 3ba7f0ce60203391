"""The runs of a figure: read from datasets or files, each with a label, and the quantities that all of them have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from byzcode.errors import UserError, complain, one_of
from byzcode.figures import style
from byzcode.figures.words import in_plain
from byzcode.provenance.content import canonical
from byzcode.specs.methods import METHODS
from byzcode.specs.quantities import lacking, progress_of, quantities_of
from byzcode.specs.run import RunSpec
from byzcode.storage import trajectories as stored_runs

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class Run:
    """A run to draw, and its label if it was given one."""

    spec: RunSpec
    data: xarray.Dataset
    label: str | None


def read(runs: Any, where: str) -> list[Run]:
    """The runs, in the given order. Raises UserError."""
    if isinstance(runs, Mapping) and not _is_dataset(runs):
        found = [run for label, own in runs.items() for run in _of(own, str(label), where)]
    else:
        found = _of(runs, None, where)
    if not found:
        raise UserError(f"{where}: no run; allowed: one or more")
    return found


def _of(given: Any, label: str | None, where: str) -> list[Run]:
    if isinstance(given, str | os.PathLike):
        given = stored_runs.open(os.fspath(given))
    if _is_dataset(given):
        if "spec" not in given.attrs:
            raise UserError(f"{where}: a dataset without the attribute spec; allowed: datasets as train returns them")
        return [Run(RunSpec.from_json(str(given.attrs["spec"]), where), given, label)]
    if not isinstance(given, Sequence):
        raise UserError(
            f"{where}: a {type(given).__name__}; allowed: datasets as train returns them, or paths of files"
        )
    return [run for each in given for run in _of(each, label, where)]


def _is_dataset(given: Any) -> bool:
    return hasattr(given, "data_vars") and hasattr(given, "attrs")


def labelled(runs: Sequence[Run], apart: Sequence[str] = ()) -> dict[str, list[Run]]:
    """The runs by label: as given, or the method and what the others do not have, but for the keys ``apart``."""
    flat = {id(run): _flat(run.spec, apart) for run in runs}
    known = {key: {canonical(own[key]) for own in flat.values() if key in own} for key in _keys(flat.values())}
    differing = [key for key, values in known.items() if len(values) > 1]
    named: dict[str, list[Run]] = {}
    for run in runs:
        label = run.label or _words(run.spec, flat[id(run)], differing)
        named.setdefault(label, []).append(run)
    if apart or any(run.label for run in runs):
        return named
    return {  # the same run twice, or runs that differ in nothing that a label can say
        f"{label} ({number})" if len(own) > 1 else label: [run]
        for label, own in named.items()
        for number, run in enumerate(own, start=1)
    }


def _flat(spec: RunSpec, apart: Sequence[str]) -> dict[str, Any]:
    """The fields of a run by dotted key, without those ``apart`` and those that follow from the method."""
    flat: dict[str, Any] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, each in value.items():
                add(prefix if key == "name" else f"{prefix}.{key}", each)
        else:
            flat[prefix] = value

    for key, value in spec.model_dump(mode="json").items():
        add(key, value)
    method = METHODS[spec.method]
    implied = {**method.defaults, **method.fixed} | ({} if method.coded else {"redundancy": spec.redundancy})
    return {key: value for key, value in flat.items() if key not in apart and implied.get(key) != value}


def _keys(flat: Any) -> list[str]:
    return list(dict.fromkeys(key for own in flat for key in own))


def _words(spec: RunSpec, own: Mapping[str, Any], differing: Sequence[str]) -> str:
    said = [in_plain(style.level_words(key, own[key])) for key in differing if key in own and key != "method"]
    return ", ".join([METHODS[spec.method].title, *said])


def quantities(y: Any, specs: Sequence[RunSpec], where: str, most: int | None = None) -> list[str]:
    """The quantities to draw, which all runs have. Raises UserError."""
    if y is None:
        return ["loss" if any(progress_of(spec) == "loss" for spec in specs) else "excess_loss"]
    named = [y] if isinstance(y, str) else list(y)
    common = [name for name in quantities_of(specs[0]) if all(lacking(spec, name) is None for spec in specs)]
    for name in named:
        if name not in common:
            raise complain(where, "y", name, one_of(common, name))
    if not named or (most is not None and len(named) > most):
        raise complain(where, "y", y, "allowed: one of " + ", ".join(common))
    return named


def check_key(key: str, name: str, specs: Sequence[RunSpec], where: str) -> None:
    """Refuse a key that no run has."""
    known = list(dict.fromkeys(each for spec in specs for each in _all_keys(spec)))
    if key not in known:
        raise complain(where, name, key, one_of(known, key))


def _all_keys(spec: RunSpec) -> list[str]:
    values = spec.model_dump(mode="json")
    return [*values, *(f"{head}.{key}" for head, part in values.items() if isinstance(part, dict) for key in part)]
