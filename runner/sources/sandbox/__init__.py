"""A loopback server that speaks the AQICN API: replayed or synthetic values, faults on demand."""

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.faults import Faults
from runner.sources.sandbox.server import Sandbox
from runner.sources.sandbox.values import Replay, Values

__all__ = ["Climatology", "Faults", "Replay", "Sandbox", "Values"]
