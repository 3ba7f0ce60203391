"""byzcode: coded robust aggregation for distributed learning with lying devices.

The rooms of the package, in the order in which the data passes through them:

``studies``      what is asked: run specifications, studies, identities
``problems``     what is learnt
``allocation``   which device holds which subsets
``coding``       what a device computes from the subsets it holds
``attacks``      what liars send
``aggregation``  what the server makes of it
``engine``       the training loop
``trajectory``   the stored result
``analysis``     plateaus and summaries
``figures``      pictures
"""

__version__ = "0.1.0"
