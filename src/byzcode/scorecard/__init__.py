"""The scorecard: the verdict on each claim as a self-contained page, and the labels of figures in the report.

``table`` defines and reads the tested cells of claims; ``axis`` places intervals; ``words`` formats numbers; ``page``
fills the template beside it; ``report`` assigns figures to papers and claims.
"""
