"""Figures of this machine, ratios where they can be: `python -m benchmarks.NAME` prints its own."""
