"""Studies, readings, claims and plans: reads and checks configuration files, and trains nothing."""
