"""job=sandbox: serve the API on loopback until stopped."""

from __future__ import annotations

import time
from dataclasses import replace

from runner.config.files import bundled_stations
from runner.core.outcome import Outcome
from runner.process.job import Job
from runner.sources import providers

_LOOK_S = 0.2
"""How often a serving job looks whether it shall stop."""


def run(job: Job) -> Outcome:
    """Serve the API on loopback until stopped."""
    serve = next(one.serve for one in providers().values() if one.serve)
    with serve(job, {**bundled_stations(), **job.config.stations.named}) as how_to_use:
        job.tell(f"{how_to_use}\nStop with Ctrl-C.")
        while not job.stop.asked:
            time.sleep(_LOOK_S)  # in the main thread, where signal handlers run
    return replace(job.outcome(), stopped_by=None)
