"""What ``byzcode new`` writes: working components that are called ``example`` here, and a study."""
