"""byzcode: coded robust aggregation for distributed learning with lying devices.

The packages, the lowest first; each imports from those above it in this list alone (pyproject.toml, import-linter):

``errors``, ``lazy``       what a user's mistake says; torch at first use
``provenance``             identities: of a run by its content, of code by its syntax trees
``randomness``             random streams, counted
``kernels``                the hot loops, compiled and plain
``data``                   data sets, and how their examples are divided into subsets
``problems``, ``schedules``, ``allocation``, ``attacks``, ``compression``, ``pre_aggregation``, ``aggregation``,
``coding``                 the components of a run: what is learnt, how steps change, which device holds what, what
                           liars send, how messages are shortened, what the server makes of them, what devices send
``specs``                  what a run is: its specification, and the named methods
``training``               the loop, and what is measured in it
``storage``                stored files: trajectories and allocations, sealed, with checksums
``theory``                 robustness constants, bounds, overlaps
``studies``                studies, claims and readings, and the plan of a configuration
``execution``              how jobs run: the start and end of a Snakemake run, locks, SLURM, CUDA, batches, forecasts
``analysis``               plateaus, paired tests, evidence
``recommend``              which method, redundancy, rule and compressor to use
``figures``, ``scorecard``, ``multiverse``
                           pictures and pages
``verify``                 checks and archives of results
``workflow``               what the Snakemake rules ask: what each job reads and is told
``cli``                    the command line
"""

import os

from byzcode.provenance import sources as _sources

__version__ = "0.1.0"

# Before the modules that compute are loaded: a result that is stored later names the code that made it.
_sources.loaded()

# A stored file is written under a name of its own and read from memory, so nothing here needs the locks of HDF5. Some
# file systems of clusters have none, and HDF5 opens no file there. It looks at this when netCDF4 is imported.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
