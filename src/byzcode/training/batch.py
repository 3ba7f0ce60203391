"""Batches: runs of the same shape, stacked along the leading axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.coding import ENCODERS
from byzcode.lazy import torch
from byzcode.problems import ALONG_RUNS, PROBLEMS, Problem, Smooth, joined
from byzcode.provenance.content import canonical
from byzcode.schedules import SCHEDULES
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec

if TYPE_CHECKING:
    from torch import Tensor

#: The fields in which the runs of a batch may differ: data, lists, weights and steps have a leading axis of runs. Of a
#: method only the server matters, because its other settings appear in other fields.
_ALONG_RUNS = {"seeds", "method", "allocation", "encoding", "step_size", "step_unit"}


def shape_of(spec: RunSpec) -> str:
    """The settings that specs must have in common to be trained as one batch, as JSON."""
    common = spec.model_dump(mode="json", exclude=_ALONG_RUNS)
    method = METHODS[spec.method]
    may_differ = {name for name, field in type(spec.problem).model_fields.items() if ALONG_RUNS in field.metadata}
    problem = spec.problem.model_dump(mode="json", exclude=may_differ)
    server = {"server": method.server, "decoder": method.decoder, "vote": method.vote}
    held = {"allocation": spec.allocation.model_dump(mode="json")} if spec.votes else {}
    return canonical({**common, "problem": problem, **server, **held})


@dataclass(frozen=True)
class Part:
    """Some seeds of a spec, and the subsets that their devices hold, (R, N, S)."""

    spec: RunSpec
    seeds: tuple[int, ...]
    assigned: NDArray[np.int32]


@dataclass(frozen=True)
class Batch:
    """R runs of one shape. ``spec`` is that of the first run; the other fields have a leading axis of runs.

    ``assigned`` and ``weights`` have a row for each vector that is sent: N, or N l if a device sends l (the first l
    rows are those of device 0).
    """

    spec: RunSpec
    seeds: tuple[int, ...]
    problem: Problem
    assigned: NDArray[np.int32]
    weights: NDArray[Any]
    step: Tensor  # (R, 1), before the schedule

    @cached_property
    def schedule(self) -> Callable[[int], float]:
        """The factor of the step in an iteration."""
        schedule = self.spec.step_schedule
        return partial(SCHEDULES[schedule.name], iterations=self.spec.iterations, **schedule.options)


#: Builds the problems of some seeds of a spec on a compute device.
Build = Callable[[RunSpec, tuple[int, ...], str], Problem]


def build(spec: RunSpec, seeds: tuple[int, ...], device: str) -> Problem:
    """Build the problems of some seeds of a spec."""
    return PROBLEMS[spec.problem.name](seeds, device, spec.dtype, **spec.problem.options)


def once_each() -> Build:
    """:func:`build` with a memory, for specs that share problems: it keeps all that it has built."""
    built: dict[tuple[str, str, tuple[int, ...], str], Problem] = {}

    def build_once(spec: RunSpec, seeds: tuple[int, ...], device: str) -> Problem:
        key = (spec.problem.model_dump_json(), spec.dtype, seeds, device)
        if key not in built:
            built[key] = build(spec, seeds, device)
        return built[key]

    return build_once


def assemble(parts: Sequence[Part], device: str, build: Build = build) -> Batch:
    """Stack parts of one shape in a batch. Raises ValueError if their shapes differ."""
    if len({shape_of(part.spec) for part in parts}) != 1:
        raise ValueError("runs of different shapes cannot be one batch")
    spec = parts[0].spec
    sent = [_sent(part) for part in parts]
    slots = max(rows.shape[-1] for rows in sent)
    problem = joined([build(part.spec, part.seeds, device) for part in parts])
    return Batch(
        spec=spec,
        seeds=tuple(seed for part in parts for seed in part.seeds),
        problem=problem,
        assigned=np.concatenate([_widened(rows, slots, EMPTY) for rows in sent]),
        weights=np.concatenate(
            [_widened(_weights(part.spec, rows), slots, 0) for part, rows in zip(parts, sent, strict=True)]
        ),
        step=_steps(parts, problem).unsqueeze(-1),
    )


def _steps(parts: Sequence[Part], problem: Problem) -> Tensor:
    """The step eta of each run, (R,): step_size, divided by L if step_unit is 1/L."""
    lengths = [len(part.seeds) for part in parts]
    step = problem.start().new_tensor(np.repeat([part.spec.step_size for part in parts], lengths))
    relative = [part.spec.step_unit == "1/L" for part in parts]
    if not any(relative):
        return step
    smoothness = cast(Smooth, problem).smoothness
    among = torch.tensor(np.repeat(relative, lengths), device=step.device)
    return step / torch.where(among, smoothness, torch.ones_like(smoothness))


def _sent(part: Part) -> NDArray[np.int32]:
    """The subsets behind each vector that is sent, (R, N l, S / l): those of a device, or of each of its l files."""
    seeds, _, slots = part.assigned.shape
    return part.assigned.reshape(seeds, part.spec.rows, slots // part.spec.vectors)


def _weights(spec: RunSpec, sent: NDArray[np.int32]) -> NDArray[Any]:
    encoder, options = ENCODERS[spec.encoding.name], spec.encoding.options
    return np.stack([encoder(lists, spec.subsets, **options) for lists in sent])


def _widened(table: NDArray[Any], slots: int, filling: int) -> NDArray[Any]:
    missing = slots - table.shape[-1]
    return np.pad(table, [(0, 0), (0, 0), (0, missing)], constant_values=filling) if missing else table
