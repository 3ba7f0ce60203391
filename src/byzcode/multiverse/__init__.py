"""The multiverse: the verdicts on the claims under other readings of what the papers leave open."""
