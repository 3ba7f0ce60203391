"""The specification of a run from keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

import numpy as np

from byzcode.errors import KeyedError, UserError, complain, one_of
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import method_named
from byzcode.specs.run import RunSpec
from byzcode.studies.expand import merge

#: The name of a part, or a mapping of its name and its options.
Part = str | Mapping[str, Any]


class Fields(TypedDict, total=False):
    """The fields of a run; what is left out is as in :class:`byzcode.specs.fields.RunFields`, which documents them."""

    method: str
    problem: Part
    devices: int
    redundancy: int
    allocation: Part
    assignment: Literal["fixed", "redrawn", "subsets_redrawn", "devices_redrawn"]
    encoding: Part
    compression: Part
    attack: Part
    byzantine: Mapping[str, Any]
    pre_aggregation: Part
    aggregation: Part
    assumed_alpha: float | None
    estimation: Part
    absence: Part
    step_size: float
    step_unit: Literal["1/L", "absolute"]
    step_schedule: Part
    momentum: float
    start: Literal["zero"]
    iterations: int
    record: Mapping[str, Any]
    diverged_at: float
    message_bits: int
    seeds: int | Sequence[int]
    dtype: Literal["float64", "float32"]


def spec(**fields: Unpack[Fields]) -> RunSpec:
    """The specification of a run: everything that affects its numbers, checked, with the defaults filled in.

    Fields are those of a run in a study. A dotted key reaches into one, as in a study. Raises UserError.

    >>> import byzcode as bz
    >>> bz.spec(method="cra_dl", redundancy=40, aggregation="median", attack="sign_flip").run_id
    '9a7988ff3aae'
    >>> bz.spec(method="rba_dl", aggregation="median", **{"byzantine.alpha": 0.3}).f
    30
    >>> bz.spec(method="rba_dl", agregation="median")
    Traceback (most recent call last):
    byzcode.errors.UserError: spec: agregation = 'median': unknown key; did you mean 'aggregation'? allowed: ...
    """
    return parsed(fields, "spec")


def parsed(fields: Mapping[str, Any], where: str) -> RunSpec:
    """The specification of a run from its fields. Raises UserError, which begins with ``where``."""
    plain = _plain(fields)
    for key in plain:  # first, because what a misspelt key should have given is missing elsewhere
        if key.partition(".")[0] not in RunSpec.model_fields:
            raise complain(where, key, plain[key], "unknown key; " + one_of(RunSpec.model_fields, key))
    try:
        return RunSpec.parse(_folded(plain), where)
    except KeyedError as error:
        raise complain(where, error.key, error.value, error.allowed) from None


def given(spec: object, fields: Mapping[str, Any], where: str) -> RunSpec:
    """The specification that is given, or that of some fields. Raises UserError."""
    if spec is None:
        return parsed(fields, where)
    if not isinstance(spec, RunSpec):
        raise UserError(
            f"{where}: the first argument is a {type(spec).__name__}; allowed: a RunSpec, or its fields by name"
        )
    if fields:
        raise complain(
            where, next(iter(fields)), next(iter(fields.values())), "allowed: a RunSpec, or fields; not both"
        )
    return spec


def _folded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with what dotted keys give in its place. Raises KeyedError."""
    dotted = {key: value for key, value in fields.items() if "." in key}
    whole = {key: value for key, value in fields.items() if key not in dotted}
    if not dotted:
        return whole
    method = method_named(whole.get("method"))
    usual = {head: about.default for head in COMPONENTS if not (about := RunSpec.model_fields[head]).is_required()}
    below = {head: part.name for head, part in usual.items()} | dict(method.defaults) | dict(method.fixed)
    heads = {key.partition(".")[0] for key in dotted}
    return merge({head: below[head] for head in heads if head in below} | whole, dotted)


def _plain(value: Any) -> Any:
    """A value with numbers of numpy as those of Python."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, range):
        return list(value)
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
