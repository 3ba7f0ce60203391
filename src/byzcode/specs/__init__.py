"""What a run is: its specification, its components, the named methods."""
