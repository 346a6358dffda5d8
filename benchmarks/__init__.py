"""Figures of this machine: each file prints its own, `python -m benchmarks.NAME`."""
