"""The code behind the rules of the Snakemake workflow."""
