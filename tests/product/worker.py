"""One process that asks as fast as the budget of its key lets it, until its input ends.

python -m tests.product.worker URL DATABASE INTERVAL_S LATE_S
"""

import logging
import os
import sys
import threading

import structlog
from pymongo import MongoClient

from runner.config.source import Retry
from runner.core.errors import StoppedError, ThrottledError
from runner.process.secrets import Secret
from runner.process.stop import StopFlag
from runner.sources.http import HttpClient, Reply, Timeouts
from runner.store.budget import Budget
from runner.store.outage import Outage
from runner.store.shared_pacer import SharedPacer


def read(reply: Reply) -> int:
    if reply.status == 429:
        raise ThrottledError("429", retry_after_s=reply.retry_after_s)
    return reply.status


def main() -> None:
    url, database, interval_s, late_s = sys.argv[1:]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    key, stop = Secret(os.environ["KEY"]), StopFlag()
    with MongoClient[dict[str, object]](os.environ["MONGO"], tz_aware=True, journal=True) as client:
        budget = Budget(client[database], url, key)
        pacer = SharedPacer(budget, float(interval_s), Outage(5, stop), stop, late_s=float(late_s))
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

        budget.free_in_s(0)  # connected
        print("ready", flush=True)  # noqa: T201 - to the test that started this process
        sys.stdin.readline()
        thread = threading.Thread(target=ask)
        thread.start()
        sys.stdin.read()
        stop.ask()
        thread.join()


if __name__ == "__main__":
    main()
