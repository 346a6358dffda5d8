"""`python -m tests.robustness.chaos -n 200`: many trials, and the report of them."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from random import Random
from threading import Lock

from tests.robustness.chaos.faults import BY_NAME, DATABASE, FAULTS, Fault, draw, faults_on
from tests.robustness.chaos.servers import Bed, Server, server_of
from tests.robustness.chaos.trial import Case, Result, Trial

_AT_ONCE = 4
"""Trials at the same time: they wait more than they work."""
_SERVERS = {Bed.STANDALONE: 1, Bed.ONE: 1, Bed.THREE: 2, Bed.ARBITER: 1}
"""Servers of a bed: elections take their time."""
_ROUND = (Bed.STANDALONE, Bed.ONE, Bed.THREE) * 3 + (Bed.ARBITER,)
"""Beds in turn; an arbiter is what few people have."""
_KINDS = ("regular", "timeseries")


def plan(trials: int, seed: str, only: Fault | None = None) -> Iterator[Case]:
    """Yield trials, spread over the beds: on each, first every fault alone, then some together."""
    beds = only.beds if only else _ROUND
    alone = {bed: _alone([only] if only else faults_on(bed)) for bed in beds}
    for number in range(trials):
        bed = beds[number % len(beds)]
        name = f"{seed}-{number}"
        fault, kind = next(alone[bed], (only, Random(f"kind {name}").choice(_KINDS)))
        faults = (fault,) if fault else draw(Random(f"faults {name}"), bed)
        yield Case(name, faults, bed, kind)


def _alone(faults: Sequence[Fault]) -> Iterator[tuple[Fault, str]]:
    """Yield every fault, with both kinds of collection where the database or sleep is at fault."""
    for position, fault in enumerate(faults):
        both = fault.suspends or fault.group is DATABASE
        for kind in _KINDS if both else (_KINDS[position % 2],):
            yield fault, kind


class Servers:
    """Servers for trials at the same time, each used by one trial, started when first asked for.

    Args:
        opened: stops them.
        number: of servers of each bed, at most.
    """

    def __init__(self, opened: ExitStack, number: Mapping[Bed, int]) -> None:
        self._opened = opened
        self._lock = Lock()
        self._free: dict[Bed, SimpleQueue[Server | None]] = {bed: SimpleQueue() for bed in number}
        for bed, count in number.items():
            for _server in range(count):
                self._free[bed].put(None)

    def trial(self, case: Case) -> Result:
        """Run a trial on a server that is free."""
        free = self._free[case.bed]
        server = free.get()
        try:
            if server is None:
                server = server_of(case.bed).__enter__()
                with self._lock:
                    self._opened.push(server)
            return Trial(case, server).run()
        except Exception:  # noqa: BLE001 - one trial that broke must not cost the others
            if server is not None:
                server.__exit__(None, None, None)
                server = None
            return Result(case, problems=[f"the trial itself broke: {traceback.format_exc()}"])
        finally:
            free.put(server)


def table(results: Sequence[Result]) -> str:
    """Return the report's tables: what a bed's trials found, and the trials of each fault."""
    counted = (
        "lost",
        "doubled",
        "stale",
        "wrong",
        "invented",
        "not_stored",
        "refetched",
        "allowed",
    )
    lines = [
        f"| bed | trials | failed | {' | '.join(counted).replace('_', ' ')} |",
        f"|---|{'---|' * (len(counted) + 2)}",
    ]
    for bed in Bed:
        of_it = [result for result in results if result.case.bed is bed]
        sums = [sum(getattr(result, name) for result in of_it) for name in counted]
        failed = sum(not result.good for result in of_it)
        cells = " | ".join(f"{round(number, 1):g}" for number in (len(of_it), failed, *sums))
        lines.append(f"| {bed} | {cells} |")
    lines += ["", f"| fault | {' | '.join(Bed)} | failed |", f"|---|{'---|' * (len(Bed) + 1)}"]
    for fault in FAULTS:
        struck = [result for result in results if fault.name in result.struck]
        numbers = [
            str(sum(result.case.bed is bed for result in struck)) if bed in fault.beds else ""
            for bed in Bed
        ]
        failed = sum(not result.good for result in struck)
        lines.append(f"| {fault.name} | {' | '.join(numbers)} | {failed} |")
    return "\n".join(lines)


def run_all(cases: Sequence[Case], at_once: int) -> Iterator[Result]:
    """Yield the results of trials as they end."""
    with ExitStack() as opened:
        servers = Servers(opened, _SERVERS)
        pool = opened.enter_context(ThreadPoolExecutor(at_once))
        ended = as_completed([pool.submit(servers.trial, case) for case in cases])
        yield from (future.result() for future in ended)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trials; return 0 if every promise was kept in all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.chaos", description=__doc__)
    parser.add_argument("-n", type=int, default=200, help="trials")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="repeats the same trials")
    parser.add_argument("--from", dest="first", type=int, default=0, help="trials to leave out")
    parser.add_argument("--only", choices=sorted(BY_NAME), help="one fault alone")
    parser.add_argument("--at-once", type=int, default=_AT_ONCE, help="trials at the same time")
    parser.add_argument("--report", type=Path, help="file whose table is replaced")
    asked = parser.parse_args(argv)
    print(f"seed {asked.seed}", flush=True)
    cases = [*plan(asked.n, asked.seed, BY_NAME.get(asked.only))][asked.first :]
    began = time.monotonic()
    results: list[Result] = []
    for result in run_all(cases, asked.at_once):
        results.append(result)
        verdict = "ok  " if result.good else "FAIL"
        print(f"{verdict} {len(results)}/{len(cases)} {result.case}", flush=True)
        if not result.good:
            print(f"     {str(result).partition('): ')[2][:3000]}", flush=True)
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
    sizes = Counter(len(result.case.faults) for result in results)
    said = ", ".join(f"{count} with {size}" for size, count in sorted(sizes.items()))
    made = f"`{command}`: {len(results)} trials ({said} faults at once), 0 failed.\n\n"
    path.write_text(f"{before}{begin}{made}{table(results)}\n{end}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
