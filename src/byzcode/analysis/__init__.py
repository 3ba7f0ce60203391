"""What the trajectories say: plateaus, rates, costs."""
