"""byzcode: coded robust aggregation for distributed learning with Byzantine devices.

``import byzcode as bz`` offers, each loaded when it is first used:

``bz.train(...)``, ``bz.spec(...)``, ``bz.study(path)``
    train a run or a study
``bz.aggregate(rule, messages, f)``, ``bz.pre_aggregate``, ``bz.attack``, ``bz.compress``
    rules, attacks and compressors on tensors, arrays and lists of them
``bz.allocate``, ``bz.encode``, ``bz.decode``
    gradient codes
``bz.plot.trajectories``, ``bz.plot.sweep``
    figures of runs
``bz.register.attack``, ``rule``, ``compressor``, ``problem``, ``data``
    decorators for parts of one's own
``bz.RunSpec``, ``bz.UserError``
    the specification of a run, and the error that a user can fix

docs/python.md describes them.

The packages, from the lowest layer to the highest. Each imports only from packages that precede it in this list
(import-linter checks this, see pyproject.toml):

``errors``, ``lazy``       messages for users' mistakes; torch and components, loaded at first use
``provenance``             identities: of a run by its content, of code by its syntax trees
``randomness``             random streams, counter-based
``kernels``                the hot loops, compiled and plain
``data``                   data sets, and how to divide their examples into subsets
``problems``, ``schedules``, ``allocation``, ``attacks``, ``compression``, ``pre_aggregation``, ``aggregation``,
``estimation``, ``absence``, ``coding``
                           the components of a run: learning problems, step schedules, allocations of subsets to
                           devices, Byzantine attacks, compressors, the server's rules, its estimators of f, devices
                           that do not answer, encoders and decoders
``specs``                  the specification of a run, and the named methods
``training``               the training loop and its measurements
``storage``                stored files: trajectories and allocations, sealed, with checksums
``fetch``                  the files of data sets: routes, checks, datasheets
``theory``                 robustness constants, bounds, overlaps
``studies``                studies, claims and readings, and the plan of a configuration
``execution``              how jobs run: the start and end of a Snakemake run, locks, SLURM, CUDA, batches,
                           forecasts, and what the terminal shows of a run
``analysis``               plateaus, paired tests, evidence
``recommend``              which method, redundancy, rule and compressor to use
``figures``, ``pages``, ``scorecard``, ``gallery``, ``multiverse``
                           pictures and pages; ``pages`` has what the pages share
``report``                 two pages on the claims, as PDF
``verify``                 checks and archives of results
``workflow``               the functions that the Snakemake rules call: inputs and parameters of each job
``scaffold``               what users begin with: a folder with the workflow, a component, a study
``cli``                    the command line
``front``                  what ``import byzcode`` offers
``adapters``               our rules and attacks behind the interfaces of byzfl and Flower
"""

from __future__ import annotations

import os
from importlib import import_module as _import_module

from byzcode.provenance import sources as _sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

# Read the sources before the modules that compute are loaded: each stored result names the code that made it.
_sources.loaded()

# byzcode writes each stored file under a temporary name and reads it from memory, so it does not need the locks of
# HDF5. Some cluster file systems have no locks, and HDF5 opens no file there. HDF5 reads this when netCDF4 is imported.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

#: What the package offers, by the module that has it. ``__init__.pyi`` says the same to type checkers and editors.
_OFFERED = {
    "RunSpec": "specs.run",
    "UserError": "errors",
    "aggregate": "front.aggregate",
    "allocate": "front.code",
    "attack": "front.attack",
    "compress": "front.compress",
    "decode": "front.code",
    "encode": "front.code",
    "plot": "front",
    "pre_aggregate": "front.aggregate",
    "register": "front",
    "spec": "front.spec",
    "study": "front.study",
    "train": "front.train",
}

__all__ = [*_OFFERED, "__version__"]


def __getattr__(name: str) -> Any:
    """Load what the package offers when it is first used."""
    if name not in _OFFERED:
        from byzcode.errors import one_of

        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; {one_of(_OFFERED, name)}")
    module = _OFFERED[name]
    value = globals()[name] = (
        _import_module(f"{__name__}.{module}.{name}")
        if module == "front"
        else getattr(_import_module(f"{__name__}.{module}"), name)
    )
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_OFFERED})
