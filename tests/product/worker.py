"""One process that asks as fast as the budget of its key lets it, until its input ends.

python -m tests.product.worker URL DATABASE DELAY_S MAX_PER_HOUR HOUR_S GUARD_S
"""

import logging
import os
import sys
import threading

import structlog
from pymongo import MongoClient

from runner.config.source import Retry
from runner.core.errors import StoppedError, ThrottledError
from runner.core.plan import Pace
from runner.process.secrets import Secret
from runner.process.stop import StopFlag
from runner.sources.http import HttpClient, Reply, Timeouts
from runner.store.budget import Budget, Limits
from runner.store.outage import Outage
from runner.store.shared_pacer import SharedPacer


def read(reply: Reply) -> int:
    if reply.status == 429:
        raise ThrottledError("429", retry_after_s=reply.retry_after_s)
    return reply.status


def main() -> None:
    url, database, delay_s, max_per_hour, hour_s, guard_s = sys.argv[1:]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    key, stop = Secret(os.environ["KEY"]), StopFlag()
    with MongoClient[dict[str, object]](os.environ["MONGO"], tz_aware=True, journal=True) as client:
        limits = Limits.of(Pace(float(delay_s), int(max_per_hour)), float(hour_s), float(guard_s))
        budget = Budget(client[database], url, key)
        pacer = SharedPacer(budget, limits, Outage(5, stop), stop)
        policy = Retry(
            max_attempts=8,
            max_elapsed_s=60,
            backoff_s=0.01,
            backoff_max_s=0.01,
            throttled_max_s=60,
        )
        api = HttpClient(url, pacer, stop, str, policy, Timeouts(5, 5))

        def ask() -> None:
            try:
                while True:
                    api.get("/", {}, {"token": key}, read)
            except StoppedError:
                return

        budget.used()  # connected
        print("ready", flush=True)  # noqa: T201 - to the test that started this process
        sys.stdin.readline()
        thread = threading.Thread(target=ask)
        thread.start()
        sys.stdin.read()
        stop.ask()
        thread.join()


if __name__ == "__main__":
    main()
