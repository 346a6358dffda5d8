"""Coverage-guided fuzzing: `python -m tests.robustness.fuzz --seconds 60`, or `make fuzz`."""

from __future__ import annotations

import argparse
import importlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import structlog

ROOMS = ["runner.core", "runner.sources", "runner.store.checkpoint_document"]
NAMES = ("records", "answer", "airnow", "checkpoint")
_LONGEST_INPUT = 8192


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=NAMES, help="default: all, one by one")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--runs", type=int, help="inputs, the same every time, instead of seconds")
    parser.add_argument("--findings", type=Path, default=Path("data/fuzz"), help="crashes go here")
    asked = parser.parse_args()
    asked.findings.mkdir(parents=True, exist_ok=True)
    if asked.target:
        fixed = [f"-runs={asked.runs}", "-seed=1"]
        fuzz(
            asked.target,
            fixed if asked.runs else [f"-max_total_time={asked.seconds}"],
            asked.findings,
        )
    words = ["--seconds", str(asked.seconds), "--findings", str(asked.findings)]
    codes = [
        subprocess.run(
            [sys.executable, "-m", "tests.robustness.fuzz", name, *words], check=False
        ).returncode
        for name in NAMES
    ]
    return max(map(abs, codes))


def fuzz(name: str, length: list[str], findings: Path) -> None:
    """Fuzz one target and end the process: 0, or 77 with the input that broke it in `findings`."""
    atheris = importlib.import_module("atheris")  # no types, and no wheel for every machine

    with atheris.instrument_imports(include=ROOMS):
        from tests.robustness.fuzz.targets import TARGETS
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    from tests.robustness.fuzz.seeds import SEEDS

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            Path(corpus, str(number)).write_bytes(seed)
        limits = [*length, f"-max_len={_LONGEST_INPUT}", "-timeout=20"]
        quiet = ["-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={findings}/{name}-"]
        atheris.Setup([sys.argv[0], corpus, *limits, *quiet], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
