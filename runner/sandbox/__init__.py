"""A loopback server that speaks the AQICN API: replayed or synthetic values, faults on demand."""

from runner.sandbox.climatology import Climatology
from runner.sandbox.faults import Faults
from runner.sandbox.server import Sandbox
from runner.sandbox.values import Replay, Values

__all__ = ["Climatology", "Faults", "Replay", "Sandbox", "Values"]
