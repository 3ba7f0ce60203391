"""Stored files, among them trajectories and allocations: complete or absent, sealed, with checksums."""
