"""byzcode: coded robust aggregation for distributed learning with lying devices.

The rooms of the package, in the order in which the data passes through them:

``studies``      what is asked: run specifications, studies, identities
``problems``     what is learnt
``allocation``   which device holds which subsets
``coding``       what a device computes from the subsets it holds
``attacks``      what liars send
``aggregation``  what the server makes of it
``kernels``      the hot loops of all these, compiled and plain
``batch``        runs of one shape, side by side
``engine``       the training loop
``records``      what is measured in it
``workplace``    where the workflow works: locks, and jobs that outlive their Snakemake
``sharing``      runs trained together though each is a job, on ``cuda`` devices
``trajectory``   the stored result
``analysis``     plateaus and summaries
``figures``      pictures
"""

import os

__version__ = "0.1.0"

# A stored file is written under a name of its own and read from memory, so nothing here needs the locks of HDF5. Some
# file systems of clusters have none, and HDF5 opens no file there. It looks at this when netCDF4 is imported.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
