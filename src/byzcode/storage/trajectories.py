"""The trajectory file: the measurements of one RunSpec for all its seeds. A file is complete, or reading it fails."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode import __version__
from byzcode.errors import UserError, short
from byzcode.kernels.native import library
from byzcode.lazy import torch
from byzcode.provenance.content import canonical, long_hash
from byzcode.specs import parts
from byzcode.specs.quantities import ESTIMATE, NEEDS, WALL_TIME, lacking
from byzcode.specs.run import RunSpec
from byzcode.storage.allocations import allocation_digest
from byzcode.storage.layout import STAGES
from byzcode.storage.netcdf import Sizes, Stored, Variable, fill, read, writing
from byzcode.storage.statement import Statement
from byzcode.training.memory import peak_memory
from byzcode.training.records import Measurements, gradients_per_iteration
from byzcode.training.status import NEVER, Status

if TYPE_CHECKING:
    import xarray

KIND = "trajectory"

_BOTH = ("seed", "iteration")

VARIABLES = {
    "seed": Variable(("seed",), "i8", "1", "seed", "determines data, allocation, liars and attack of a row"),
    "iteration": Variable(("iteration",), "i8", "1", "iteration", "number of steps taken before the measurement"),
    "loss": Variable(_BOTH, "f8", "1", "training loss F(theta)", "NaN after the end of a seed, as all measurements"),
    "excess_loss": Variable(_BOTH, "f8", "1", "training loss above its minimum, F(theta) - F(theta*)"),
    "aggregation_error": Variable(_BOTH, "f8", "1", "distance of the aggregate from the true gradient"),
    "honest_dispersion": Variable(_BOTH, "f8", "1", "root mean squared distance of honest messages from their mean"),
    "coding_bias": Variable(
        _BOTH,
        "f8",
        "1",
        "distance of the mean honest message from the true gradient",
        "as the dispersion, of messages as sent; NaN where messages are codewords for a decoder",
    ),
    "heterogeneity": Variable(
        _BOTH, "f8", "1", "root mean squared distance of subsets' gradients from the true gradient"
    ),
    "largest_heterogeneity": Variable(
        _BOTH, "f8", "1", "largest distance of a subset's gradient from the true gradient"
    ),
    "gradient_norm": Variable(_BOTH, "f8", "1", "norm of the true gradient"),
    "distance_to_optimum": Variable(_BOTH, "f8", "1", "distance of theta from the minimiser"),
    "estimated_f": Variable(_BOTH, "f8", "1", "number of Byzantine devices that the server estimates"),
    "gradients_computed": Variable(
        _BOTH, "f8", "gradients of subsets", "gradients computed by all devices together, cumulative"
    ),
    "bits_sent": Variable(
        _BOTH, "f8", "bit", "bits sent by all devices to the server, cumulative", "a lie counts as an honest message"
    ),
    "wall_time": Variable(
        _BOTH,
        "f8",
        "1",
        "modelled time until the server has its messages, cumulative",
        "in units of the least time of a gradient; no time is modelled for sending, encoding and decoding",
    ),
    "decoding_failures": Variable(
        _BOTH, "f8", "iterations", "iterations without a decoded gradient, cumulative", "the decoder noticed: no step"
    ),
    "decoding_errors": Variable(
        _BOTH, "f8", "iterations", "iterations with a wrongly decoded gradient, cumulative", "noticed or not"
    ),
    "smoothness": Variable(("seed",), "f8", "1", "smoothness L of the training loss", "the step is step_size / L"),
    "strong_convexity": Variable(
        ("seed",), "f8", "1", "strong convexity mu of the training loss", "least eigenvalue of its Hessian"
    ),
    "status": Variable(
        ("seed",),
        "i1",
        "1",
        "status of the seed",
        "diverged: the loss is finite and beyond its limit; overflowed: it is not finite; poisoned: it is not "
        "finite because liars sent infinities or NaN; undefined: the rule is not defined for this many liars, nothing "
        "was trained",
    ),
    "status_at": Variable(
        ("seed",), "i8", "1", "first recorded iteration at which a seed had its status", f"{NEVER}: it finished"
    ),
}


def variables_of(spec: RunSpec) -> dict[str, Variable]:
    """The variables of a run's file: those that its problem can measure, and the problem's own metrics."""
    some = (*NEEDS, ESTIMATE, WALL_TIME)
    known = {name: about for name, about in VARIABLES.items() if name not in some or lacking(spec, name) is None}
    metrics = spec.problem_kind.metrics.items()
    return known | {name: Variable(_BOTH, "f8", own.units, own.long_name, own.comment) for name, own in metrics}


def engine_digest(spec: RunSpec) -> str:
    """The identity of the code that makes the trajectory of a run."""
    return STAGES["train"].digest(parts.of_run(spec))


def engine_parts(spec: RunSpec) -> dict[str, str]:
    """The same code by source file, with a hash of the parts of each that count."""
    return STAGES["train"].parts(parts.of_run(spec))


def parts_in(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The ``engine_parts`` of a file's attributes; empty for a file that is older than this attribute."""
    try:
        parts = json.loads(str(attributes.get("engine_parts", "{}")))
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(meaning) for name, meaning in parts.items()} if isinstance(parts, dict) else {}


def provenance(spec: RunSpec, assigned: NDArray[np.int32], device: str) -> dict[str, str]:
    """Everything that determines the bits of a run: the spec, the allocation, code, libraries and compute device."""
    return {
        "spec": spec.canonical(),
        "allocation_digest": allocation_digest(assigned),
        "engine_digest": engine_digest(spec),
        **{f"{name}_version": version(name) for name in ("torch", "numpy", "netCDF4", "pydantic")},
        "device": device,
    }


#: Environment variables that choose how MKL and torch compute, by the attribute that stores each.
_CHOSEN_BY = {"mkl_cbwr": "MKL_CBWR", "aten_cpu_capability": "ATEN_CPU_CAPABILITY"}


def processor() -> dict[str, str]:
    """How the processor affects the bits of a run: torch's CPU capability, and the environment variables above."""
    chosen = {name: os.environ.get(variable, "not set") for name, variable in _CHOSEN_BY.items()}
    return {"cpu_capability": torch.backends.cpu.get_cpu_capability(), **chosen}


def agrees(path: Path, spec: RunSpec, assigned: NDArray[np.int32], device: str) -> bool:
    """Whether a complete file exists with the provenance that a training of this run would have in this process."""
    try:
        attributes = load(path, spec).attributes
    except UserError:
        return False
    expected = provenance(spec, assigned, device)
    return all(str(attributes.get(name)) == value for name, value in expected.items())


def write(
    path: Path,
    spec: RunSpec,
    measured: Measurements,
    assigned: NDArray[np.int32],
    *,
    device: str,
    threads: int,
    wall_seconds: float,
    cpu_seconds: float,
    batch_runs: int = 1,
) -> None:
    """Store a run, which was one of ``batch_runs`` runs in a batch.

    Raises UserError if the file cannot be written, or if the code was edited since this process loaded it.
    """
    if edited := STAGES["train"].edited(parts.of_run(spec)):
        raise UserError(f"{path}: not stored: {edited[0]} was edited while the run was trained: train it again")
    statement = Statement("train", engine_digest(spec), long_hash(spec.canonical()), allocation_digest(assigned))
    iterations = np.asarray(spec.record.iterations(spec.iterations))
    variables = variables_of(spec)
    values = {
        **measured.arrays(),
        "seed": np.asarray(spec.seeds),
        "iteration": iterations,
        "gradients_computed": gradients_per_iteration(assigned)[:, None] * iterations,
    }
    with writing(path, statement) as file:
        fill(
            file,
            variables,
            values,
            {
                "Conventions": "CF-1.11",
                "title": f"Training of {spec.method} under {spec.attack.name}, {len(spec.seeds)} seeds",
                "summary": "Measurements of distributed gradient descent in which f of N devices lie (byzcode).",
                "byzcode_file": KIND,
                "run_id": spec.run_id,
                "byzcode_version": __version__,
                **provenance(spec, assigned, device),
                **processor(),
                **parts.datasheets_of(spec),
                "engine_parts": canonical(engine_parts(spec)),
                "python_version": platform.python_version(),
                "platform": f"{platform.system()} {platform.machine()}",
                "threads": threads,
                "kernels": "compiled" if library() else "plain",  # used on the CPU; both give the same bits
                "batch_runs": batch_runs,  # the seconds of a batch are divided among its runs by seeds
                "wall_seconds": wall_seconds,
                "cpu_seconds": cpu_seconds,
                "peak_memory_mib": round(peak_memory(), 1),  # of the process
            },
        )
        for name, about in variables.items():
            if about.dimensions == _BOTH:
                file[name].coordinates = "seed iteration"
        file["status"].flag_values = np.asarray(list(Status), dtype=np.int8)
        file["status"].flag_meanings = " ".join(status.word for status in Status)


def open(path: str | Path, run: RunSpec | str | None = None) -> xarray.Dataset:  # noqa: A001 - read as trajectories.open
    """Read a stored run in memory and, if ``run`` (a spec or an id) is given, check that it is that run.

    Raises UserError if the file is missing, truncated, damaged, foreign or incomplete, or holds another run than its
    ``run_id`` says or than ``run``. The message is one line with the file and the reason.
    """
    return load(path, run).dataset()


def load(path: str | Path, run: RunSpec | str | None = None) -> Stored[RunSpec]:
    """Read a stored run with its spec, as numpy arrays. Raises UserError as :func:`open` does."""
    path = Path(path)

    def expected(attributes: dict[str, Any]) -> tuple[RunSpec, Sizes, Mapping[str, Variable]]:
        spec = RunSpec.from_json(attributes["spec"], path)
        if spec.run_id != attributes["run_id"]:
            raise UserError(f"{path}: its run_id {attributes['run_id']} is not that of its spec, {spec.run_id}")
        expected_id = run.run_id if isinstance(run, RunSpec) else run
        if expected_id is not None and spec.run_id != expected_id:
            raise UserError(f"{path}: holds run {spec.run_id}; expected {expected_id}")
        if isinstance(run, RunSpec) and spec.canonical() != run.canonical():
            raise UserError(f"{path}: holds another run of the same id: {short(spec.canonical(), 500)}")
        sizes = {"seed": [len(spec.seeds)], "iteration": [len(spec.record.iterations(spec.iterations))]}
        return spec, sizes, variables_of(spec)

    stored = read(path, KIND, ("spec", "run_id", "engine_digest"), expected)
    if odd := _odd(stored.spec, stored.arrays):
        raise UserError(f"{path}: foreign: {odd}")
    return stored


def _odd(spec: RunSpec, arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """Why seeds, iterations, status or counts cannot come from a training of this run, or None."""
    iterations = np.asarray(spec.record.iterations(spec.iterations))
    status, since = arrays["status"], arrays["status_at"]
    finished = status == Status.FINISHED
    wrong = {
        "seed": (arrays["seed"] != np.asarray(spec.seeds)).any(),
        "iteration": (arrays["iteration"] != iterations).any(),
        "status": not np.isin(status, list(Status)).all(),
        "status_at": (since[finished] != NEVER).any() or not np.isin(since[~finished], iterations).all(),
        **{name: _no_count(arrays[name], since != 0) for name in ("decoding_failures", "decoding_errors")},
    }
    return next((f"its {name} cannot belong to this run" for name, is_wrong in wrong.items() if is_wrong), None)


def _no_count(numbers: NDArray[np.float64], begun: NDArray[np.bool_]) -> bool:
    """Whether numbers (R, n) cannot be counts. They may be NaN from a seed's end on; ``begun`` seeds end after 0."""
    counted = np.where(np.isnan(numbers), 0, numbers)
    return bool(np.isnan(numbers[begun, 0]).any() or not np.isfinite(counted).all() or (counted < 0).any())
