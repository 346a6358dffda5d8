"""job=sandbox: serve the API on loopback until stopped."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace

from runner.config.files import bundled_stations
from runner.core.outcome import Outcome
from runner.process.job import PROGRAM, Job

_LOOK_S = 0.2
"""How often a serving job looks whether it shall stop."""


def run(job: Job) -> Outcome:
    """Serve the API on loopback until stopped."""
    from runner.sources.sandbox.opening import sandbox_server  # noqa: PLC0415 - a whole server

    names = {**bundled_stations(), **job.config.stations.named}
    with sandbox_server(job, names) as server:
        job.tell(
            f"Sandbox API at {server.url} (counts: {server.url}/_stats). "
            "Use it from another shell:\n"
            f"  AQICN_API_KEY=any-text {shlex.join(PROGRAM)} source.base_url={server.url} "
            "mongo.database=air_quality_db_sandbox\n"
            "It speaks OpenAQ's API, too: OPENAQ_API_KEY=any-text, and source=openaq besides.\n"
            "Stop with Ctrl-C."
        )
        while not job.stop.asked:
            time.sleep(_LOOK_S)  # in the main thread, where signal handlers run
    return replace(job.outcome(), stopped_by=None)
