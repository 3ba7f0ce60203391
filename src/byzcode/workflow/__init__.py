"""What the rules of the Snakemake workflow are made of."""
