"""Identities: of a run by its content, of code by its syntax trees."""
