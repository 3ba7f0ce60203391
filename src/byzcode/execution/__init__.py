"""Where and how jobs run: locks, SLURM, CUDA, batches, forecasts, and what a run shows."""
