"""Measurements. Every figure is a ratio taken in one run: machines differ, and are shared."""
