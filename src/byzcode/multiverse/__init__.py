"""The claims under other readings: what becomes of each verdict where the papers are silent."""
