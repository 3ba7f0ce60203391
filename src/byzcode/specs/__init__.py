"""The specification of a run, its components, and the named methods."""
