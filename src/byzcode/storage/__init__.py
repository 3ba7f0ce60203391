"""Stored files: whole or not there, sealed, with checksums; trajectories and allocations among them."""
