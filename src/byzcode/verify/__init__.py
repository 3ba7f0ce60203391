"""Check stored results: complete, intact, of the current code, and equal to a reference within tolerances.

:class:`~byzcode.verify.verification.Verification` does all these checks. At its start, Snakemake calls
:func:`~byzcode.verify.stale.standing`, which imports little.
"""
