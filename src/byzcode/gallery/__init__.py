"""All figures by paper: the page results/index.html, and the names of figures in Snakemake's report.

``page`` fills the template beside it; ``report`` labels the figures in the report.
"""
