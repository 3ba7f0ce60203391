"""Recommend a method, redundancy, rule and compressor for a budget, by the bounds and by stored measurements."""
