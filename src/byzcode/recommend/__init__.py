"""Which method, redundancy, rule and compressor to use: what the bounds say fits a budget, and what was measured."""
