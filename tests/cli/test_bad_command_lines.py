"""Mistakes on the command line: exit 2, one to five lines, nothing attempted, nothing created."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

MISTAKES: list[tuple[list[str], str]] = [
    (["station=hanoi"], "no group or key 'station'; did you mean 'stations'?"),
    (["stations=hanoy"], "stations=hanoy: there is no such option; did you mean hanoi?"),
    (["job=stat"], "did you mean status or stations?"),
    (["backfill.yeers=3"], "did you mean 'backfill.years'?"),
    (["years=3"], "did you mean 'backfill.years'?"),
    (["delay_s=2"], "did you mean 'rate_limit.delay_s'?"),
    (["backfill_years=3"], "did you mean 'backfill.years'?"),
    (["backfill.surprise=3"], "backfill has: start_date, end_date"),
    (["+backfill.surprise=3"], "backfill has: start_date, end_date"),
    (["surprise=3"], "there are job, stations"),
    (["backfill.years=abc"], "backfill.years=abc is not a whole number"),
    (["rate_limit.delay_s=slow"], "rate_limit.delay_s=slow is not a number"),
    (["stations.ids=8641"], "stations.ids: write a list"),
    (["stations.ids=[hanoi]"], "stations.ids[0]=hanoi is not a whole number"),
    (["dry_run=maybe"], "allowed are true and false"),
    (["log_level=TRACE"], "allowed are DEBUG, INFO, WARNING, ERROR"),
    (["log_level=debug"], "did you mean DEBUG?"),
    (["backfill.batch_size=null"], "backfill.batch_size must have a value"),
    (["backfill.batch_size=0"], "backfill.batch_size=0: allowed are 1 to 8,784 (hours)"),
    (["backfill.years=-1"], "backfill.years=-1"),
    (["rate_limit.delay_s=nan"], "rate_limit.delay_s=nan"),
    (["backfill.start_date=2022-13-01"], "month must be in 1..12"),
    (["backfill.start_date=2023-01-02", "backfill.end_date=2023-01-01"], "not before the end"),
    (["backfill.start_date=2999-01-01"], "The future cannot be fetched"),
    (["backfill.end_date=2999-01-01"], "lies in the future"),
    (["stations.ids=[1,1]"], "stands there 2 times"),
    (["stations.ids=[99999999999]"], "no station index"),
    (["mongo.database=${oc.env:NOT_SET}"], "needs the environment variable NOT_SET"),
    (["mongo.database=${no.such}"], "names a setting that does not exist"),
    (["backfill.years=a=b"], "two pairs of quotes"),
    (["stations.ids=[1"], "cannot read 'stations.ids=[1'"),
    (["stations=hanoi,hue"], "'stations=[hanoi,hue]'   for one run"),
    (["stations="], "needs one of its options"),
    (["stations=null"], "needs one of its options"),
    (["+profile=demo"], "write it without the +: profile=demo"),
    (["+dry_run=true"], "write it without the +: dry_run=true"),
    (["~dry_run"], "cannot be taken away"),
    (["stations.named={5: x}"], "write '+stations.named={5: x}'"),
    (["stations.selectors.x.name=y"], "stations.name and stations.bbox"),
    (["source.sites.Hue=12488"], "write +source.sites.Hue="),
    (["quality.stations.8641.T02.warn=3"], "write +quality.stations.8641.T02.warn="),
    (["profile.dry_run=true"], "did you mean 'dry_run'?"),
    (["job=replay", "rejects=true"], "leave it out: job=replay tries the rejected records again"),
    (["job=replay", "job.rejects=true"], "leave it out: job=replay tries the rejected records"),
    (["status"], "write job=status"),
    (["help"], "--help"),
    (["source=airnow"], "source.path=DIR"),
    (["source=airnow", "source.path=."], "there is no *.csv file in it"),
    (["-m", "stations=hanoi,hanoy"], "did you mean hanoi?"),
    (["hydra/launcher=fast"], "hydra/launcher has: basic"),
    (["-x"], "there is no option -x"),
    (["--multirn"], "did you mean --multirun?"),
    (["--workers", "3"], "write: backfill.workers=VALUE"),
    (["--cfg", "jobs"], "job or hydra or all"),
    (["--config-dir"], "--config-dir needs a value"),
    (["--config-dir", "/no/such/directory"], "does not exist: /no/such/directory"),
]


@pytest.mark.parametrize(("argv", "told"), MISTAKES, ids=[" ".join(m[0]) for m in MISTAKES])
def test_every_mistake_is_told_in_a_few_lines_and_nothing_is_created(
    run: Run, cwd: Path, argv: list[str], told: str
) -> None:
    run(*argv).refused(told)
    assert [path for path in cwd.rglob("*") if "multirun" not in path.parts] == []


OLD: list[tuple[list[str], str]] = [
    (["--years", "3"], "--years 3 is not an option here; write: backfill.years=3"),
    (["--years=3"], "backfill.years=3"),
    (["--year", "3"], "backfill.years=3"),
    (["--stations", "1", "2"], "--stations 1 2 is not an option here; write: stations.ids=[1,2]"),
    (["--stations", "1,-2"], "stations.ids=[1,-2]"),
    (["--stations", "-476599"], "stations.ids=[-476599]"),
    (["--start-date", "2022-01-01"], "backfill.start_date=2022-01-01"),
    (["--end-date", "2022-01-01"], "backfill.end_date=2022-01-01"),
    (["--batch-size", "24"], "backfill.batch_size=24"),
    (["--delay", "2"], "rate_limit.delay_s=2"),
    (["--rate-limit", "2"], "rate_limit.delay_s=2"),
    (["--rate-limit-delay", "2"], "rate_limit.delay_s=2"),
    (["--dry-run"], "dry_run=true"),
    (["--dry_run"], "dry_run=true"),
    (["--log-level", "debug"], "log_level=DEBUG"),
    (["--verbose"], "log_level=DEBUG"),
    (["--status"], "job=status"),
    (["--resume"], "leave it out, every run resumes"),
    (
        ["--stations", "1", "2", "--years", "3", "--dry-run"],
        "are not options here; write: stations.ids=[1,2] backfill.years=3 dry_run=true",
    ),
    (["stations=hanoi", "--years", "3"], "write: backfill.years=3"),
]


@pytest.mark.parametrize(("argv", "told"), OLD, ids=[" ".join(old[0]) for old in OLD])
def test_old_flags_are_answered_in_one_line_with_the_override(
    run: Run, cwd: Path, argv: list[str], told: str
) -> None:
    ran = run(*argv)
    ran.refused(told)
    assert len(ran.err.splitlines()) == 1
    assert list(cwd.iterdir()) == []


@pytest.mark.parametrize(
    "override",
    [
        "api_key=canary-value",
        "mongo.uri=mongodb://me:canary-value@db.example.org/?w=1",
        "+source.token=canary-value",
        "++mongo.password=canary-value",
    ],
)
def test_secrets_on_the_command_line_are_refused_and_not_repeated(
    run: Run, cwd: Path, override: str
) -> None:
    ran = run(override)
    ran.refused("key of the source", "MONGO_URI in the environment")
    assert "canary-value" not in ran.err + ran.out
    assert list(cwd.iterdir()) == []


def test_known_secrets_are_masked_in_messages(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQICN_API_KEY", "canary-value")
    ran = run("mongo.database=canary-value/")
    ran.refused("mongo.database=***")
    assert "canary-value" not in ran.err


def test_a_dotenv_that_is_no_text_is_named(run: Run, cwd: Path) -> None:
    (cwd / ".env").write_bytes(b"AQICN_API_KEY=\xff\xfe\n")
    run("job=plan").refused(".env")


def test_a_run_directory_that_cannot_be_made_is_named_and_another_used(run: Run) -> None:
    ran = run("hydra.run.dir=/proc/runs")
    first, *_rest = ran.err.splitlines()
    assert first.startswith("warning: cannot use /proc/runs")
    assert "log and files of this run go to /" in first
    assert "Traceback" not in ran.err
