"""Whether stored results are those that a configuration asks for, whole, of this code, and as a reference has them.

:class:`~byzcode.verify.verification.Verification` looks at all of it; Snakemake asks
:func:`~byzcode.verify.stale.standing` at its start, which imports little.
"""
