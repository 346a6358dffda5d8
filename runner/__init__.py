"""Declarative backfill of hourly air-quality readings into MongoDB."""

__version__ = "0.2.0"
