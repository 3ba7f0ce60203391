"""Analysis of trajectories: plateaus, rates, costs, and tests of claims."""
