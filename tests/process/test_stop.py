"""The tree of stop flags, and the two stages of a stop by signal."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.core.errors import StoppedError
from runner.process.stop import SIGNALS, StopFlag, stop_on_signals

ROOT = Path(__file__).parents[2]
PRELUDE = """
import os, signal, sys
from runner.core.errors import StoppedError
from runner.process.stop import StopFlag, stop_on_signals
"""


def start(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    assert err == ""
    return process.returncode, out


def test_nobody_asked_for_a_stop_at_first() -> None:
    flag = StopFlag()
    flag.check()
    flag.sleep(0)
    flag.sleep(-1)
    assert (flag.asked, flag.signum, flag.exit_code) == (False, None, None)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_tells_the_signal(signum: int, code: int) -> None:
    flag = StopFlag()
    flag.ask(signum)
    assert (flag.asked, flag.exit_code) == (True, code)


def test_the_first_askers_signal_is_remembered() -> None:
    flag = StopFlag()
    child = StopFlag(flag)
    flag.ask(signal.SIGINT)
    flag.ask(signal.SIGTERM)
    assert (flag.exit_code, child.exit_code) == (130, 130)


def test_every_job_stops_with_the_process() -> None:
    process = StopFlag()
    jobs = [StopFlag(process) for _ in range(3)]
    below = StopFlag(jobs[0])
    process.ask(signal.SIGINT)
    assert [flag.exit_code for flag in (*jobs, below)] == [130] * 4


def test_a_job_that_begins_after_the_stop_is_stopped_already() -> None:
    process = StopFlag()
    process.ask(signal.SIGINT)
    late = StopFlag(process)
    assert (late.asked, late.exit_code) == (True, 130)


def test_a_job_that_cannot_go_on_stops_alone_and_by_no_signal() -> None:
    process = StopFlag()
    ended, other = StopFlag(process), StopFlag(process)
    ended.halt()
    assert (ended.asked, ended.exit_code) == (True, None)
    assert not process.asked
    assert not other.asked
    with pytest.raises(StoppedError):
        ended.check()


def test_a_signal_after_a_job_ended_by_itself_still_counts() -> None:
    process = StopFlag()
    job = StopFlag(process)
    job.halt()
    process.ask(signal.SIGTERM)
    assert job.exit_code == 143


def test_asking_one_job_to_stop_leaves_the_process_and_the_others_alone() -> None:
    process = StopFlag()
    asked, other = StopFlag(process), StopFlag(process)
    asked.ask()
    assert (asked.asked, process.asked, other.asked) == (True, False, False)


@pytest.mark.parametrize("stop", [StopFlag.ask, StopFlag.halt])
def test_nobody_falls_asleep_after_a_stop(stop: Callable[[StopFlag], None]) -> None:
    flag = StopFlag()
    stop(flag)
    with pytest.raises(StoppedError):
        flag.sleep(86_400)
    with pytest.raises(StoppedError):
        flag.sleep(0)


def test_a_stop_wakes_everyone_who_sleeps_in_any_job() -> None:
    process = StopFlag()
    flags = [process, StopFlag(process), StopFlag(process)]
    ready = threading.Barrier(len(flags) + 1)
    woken: list[StopFlag] = []

    def sleep(flag: StopFlag) -> None:
        ready.wait()
        try:
            flag.sleep(86_400)
        except StoppedError:
            woken.append(flag)

    threads = [threading.Thread(target=sleep, args=(flag,), daemon=True) for flag in flags]
    for thread in threads:
        thread.start()
    ready.wait()
    process.ask()
    for thread in threads:
        thread.join(timeout=60)
    assert set(woken) == set(flags)


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_first_signal_asks_and_lets_the_work_in_hand_be_finished(signum: int) -> None:
    with stop_on_signals(StopFlag()) as flag:
        job = StopFlag(flag)
        signal.raise_signal(signum)
        finished = True
    assert (finished, flag.exit_code, job.exit_code) == (True, 128 + signum, 128 + signum)


def test_the_handlers_of_before_are_put_back_also_after_an_error() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(signum) for signum in SIGNALS]

    def run() -> None:
        with stop_on_signals(StopFlag()):
            during.extend(handlers())
            raise ZeroDivisionError

    during: list[object] = []
    before = handlers()
    with pytest.raises(ZeroDivisionError):
        run()
    assert handlers() == before
    assert during != before


def test_outside_the_main_thread_no_handler_is_touched() -> None:
    before = [signal.getsignal(signum) for signum in SIGNALS]
    during: list[object] = []

    def elsewhere() -> None:
        with stop_on_signals(StopFlag()):
            during.extend(signal.getsignal(signum) for signum in SIGNALS)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert during == before


@pytest.mark.slow
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_process_that_sleeps_is_woken_by_a_signal_and_says_which(signum: int) -> None:
    process = start("""
with stop_on_signals(StopFlag()) as flag:
    print("ready", flush=True)
    try:
        StopFlag(flag).sleep(86_400)
    except StoppedError:
        print("put away", flush=True)
sys.exit(flag.exit_code)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signum)
    assert finish(process) == (128 + signum, "put away\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGTERM),
    ],
)
def test_a_second_signal_ends_the_process_at_once(first: int, second: int) -> None:
    process = start(f"""
try:
    with stop_on_signals(StopFlag()) as flag:
        signal.raise_signal({int(first)})
        print("going on", flush=True)
        signal.raise_signal({int(second)})
        print("still here", flush=True)
finally:
    print("put away", flush=True)
""")
    assert finish(process) == (128 + second, "going on\n")


@pytest.mark.slow
def test_a_process_started_in_the_background_with_sigint_ignored_heeds_it() -> None:
    process = start("""
signal.signal(signal.SIGINT, signal.SIG_IGN)
with stop_on_signals(StopFlag()) as flag:
    signal.raise_signal(signal.SIGINT)
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
sys.exit(flag.exit_code)
""")
    assert finish(process) == (130, "")
