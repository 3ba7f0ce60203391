"""What a Snakemake run of this workflow shows on the terminal, in place of seven lines per job."""
