"""Closed forms: robustness constants, bounds on the error of the aggregate, overlaps of allocations."""
