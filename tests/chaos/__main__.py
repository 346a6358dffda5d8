"""`python -m tests.chaos -n 200`: many trials, and the report of them."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from random import Random

from tests.chaos.faults import BY_NAME, FAULTS, Fault, draw
from tests.chaos.servers import Mongod
from tests.chaos.trial import Result, Trial

_AT_ONCE = 3
"""Trials at the same time: they wait more than they work."""


def plan(trials: int, seed: str, only: Fault | None) -> Iterator[tuple[str, tuple[Fault, ...]]]:
    """Yield seed and faults of every trial: each fault alone, then one to three at random."""
    for number in range(trials):
        name = f"{seed}-{number}"
        if only:
            yield name, (only,)
        elif number < len(FAULTS):
            yield name, (FAULTS[number],)
        else:
            yield name, draw(Random(f"faults {name}"))


class Servers:
    """Servers for trials at the same time, each used by one trial."""

    def __init__(self, opened: ExitStack, number: int) -> None:
        self._free: dict[bool, SimpleQueue[Mongod]] = {False: SimpleQueue(), True: SimpleQueue()}
        for _server in range(number):
            for replica_set, free in self._free.items():
                free.put(opened.enter_context(Mongod(replica_set=replica_set)))

    def trial(self, seed: str, faults: Sequence[Fault]) -> Result:
        """Run one trial on a server that is free."""
        free = self._free[any(fault.replica_set for fault in faults)]
        mongod = free.get()
        try:
            return Trial(seed, faults, mongod).run()
        finally:
            mongod.start()
            mongod.wait_until_writable()
            free.put(mongod)


def table(results: Sequence[Result]) -> str:
    """Return the report's table: a row a fault, over all trials in which it came to pass."""
    by_fault: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        for name in result.struck:
            by_fault[name].append(result)
    lines = [
        "| fault | trials | lost | doubled | wrong | invented | refetched | allowed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        of_it = by_fault[fault.name]
        counts = [
            len(of_it),
            sum(result.lost for result in of_it),
            sum(result.doubled for result in of_it),
            sum(result.wrong for result in of_it),
            sum(result.invented for result in of_it),
            round(sum(result.refetched for result in of_it), 1),
            sum(result.allowed for result in of_it),
        ]
        lines.append(f"| {fault.name} | {' | '.join(f'{count:g}' for count in counts)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trials; return 0 if every promise was kept in all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("-n", type=int, default=200, help="trials")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="repeats the same trials")
    parser.add_argument("--from", dest="first", type=int, default=0, help="trials to leave out")
    parser.add_argument("--only", choices=sorted(BY_NAME), help="one fault alone")
    parser.add_argument("--at-once", type=int, default=_AT_ONCE, help="trials at the same time")
    parser.add_argument("--report", type=Path, help="file whose table is replaced")
    asked = parser.parse_args(argv)
    print(f"seed {asked.seed}", flush=True)
    trials = [*plan(asked.n, asked.seed, BY_NAME.get(asked.only))][asked.first :]
    began = time.monotonic()
    results: list[Result] = []
    with ExitStack() as opened:
        servers = Servers(opened, asked.at_once)
        pool = opened.enter_context(ThreadPoolExecutor(asked.at_once))
        for result in pool.map(lambda item: servers.trial(*item), trials):
            results.append(result)
            verdict = "ok  " if result.good else "FAIL"
            print(f"{verdict} {result.seed} {', '.join(result.faults)}", flush=True)
            if not result.good:
                print(f"     {str(result)[:3000]}", flush=True)
    failed = [result for result in results if not result.good]
    print(table(results))
    print(f"{len(results)} trials, {len(failed)} failed, {time.monotonic() - began:.0f} s")
    if asked.report and not failed:
        _write(asked.report, results, f"make chaos N={asked.n} SEED={asked.seed}")
    return 1 if failed else 0


def _write(path: Path, results: Sequence[Result], command: str) -> None:
    """Replace what stands between the two marks of the report."""
    text = path.read_text("utf-8")
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    sizes = Counter(len(result.faults) for result in results)
    said = ", ".join(f"{count} with {size}" for size, count in sorted(sizes.items()))
    made = f"`{command}`: {len(results)} trials ({said} faults at once), 0 failed.\n\n"
    path.write_text(f"{before}{begin}{made}{table(results)}\n{end}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
