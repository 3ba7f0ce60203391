"""The report: two pages in the form of a reproducibility paper, whose numbers come from the stored tables.

``tables`` reads these, ``numbers`` takes from them what the report says, and ``pdf`` typesets the template beside it.
"""
