"""docs/howto/operate-a-backfill.md at a small size: checked, watched, stopped and taken out."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pymongo.database import Database

from runner.cli.main import main
from tests.product.product import FAST, Runner, readings_of, wait_for

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "operate-a-backfill.md"
WORDS = [
    shlex.split(line)[3:]
    for line in re.findall(r"^python -m runner.*$", PAGE.read_text("utf-8"), re.MULTILINE)
]
SMALL = (
    *("source=sandbox", "stations.ids=[1584,13658]", "backfill.lease_s=2", *FAST),
    *("backfill.start_date=2023-01-01", "backfill.end_date=2023-01-04", "backfill.batch_size=2"),
)
"""Two stations, 72 windows."""
SLOWLY = ("rate_limit.delay_s=0.4", "backfill.workers=1")


def test_a_backfill_is_checked_watched_stopped_from_elsewhere_resumed_and_taken_out(
    runner: Runner,
    sandbox_database: Database[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in runner.environment.items():
        if name.startswith("MONGO_"):
            monkeypatch.setenv(name, value)
    elsewhere = tmp_path / "another machine"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    story = iter(WORDS)

    def look(*more: str, run: str = "") -> str:
        """Do the next command of the page in the other directory; return what it printed."""
        words = [word.replace("ID", run) if run else word for word in next(story)]
        assert main([*words, *SMALL, *more]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    checked = look()
    assert "TO DO" not in checked
    assert re.search(r"^fine   rights ", checked, re.MULTILINE)
    assert "Ready to write to" in checked
    assert "144 station-hours in 72 windows" in look()
    process = runner.start(*next(story), *SMALL, *SLOWLY)
    words = next(story)

    def at_work() -> dict[str, Any] | None:
        assert main([*words, *SMALL, "output=json"]) == 0
        seen: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["runs"]
        return seen[0] if seen and seen[0]["progress"].get("windows") else None

    one = wait_for(at_work)
    assert (one["state"], one["pid"], one["source"]) == ("running", process.pid, "sandbox")
    assert one["progress"]["of"] == 2
    assert 0 < one["progress"]["percent"] < 100
    assert main(["job=status", *SMALL]) == 0
    assert f"held by run {one['run_id']} ({one['host']}:{process.pid}): 1 station" in (
        capsys.readouterr().out
    )
    assert "within 15 s" in look(run=one["run_id"])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "run.stopping" in err
    assert "Resume where this run ended" in out
    assert main(["job=stop", "run=no-such", *SMALL]) == 2
    assert "At work there: none" in capsys.readouterr().err
    look()
    look()
    rows = pl.read_parquet(elsewhere / "export" / "readings" / "*.parquet")
    stored = [item["ts"] for item in readings_of(sandbox_database)]
    assert rows.sort("station_idx", "ts")["ts"].to_list() == stored
    figures = look()
    assert figures.endswith("# EOF\n")
    assert 'air_quality_stations{state="completed"} 2' in figures
    assert "air_quality_runs_at_work 0" in figures
    for line in figures.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE|EOF).*|[a-z_]+(\{[^}]*\})? -?[0-9.]+(e\+\d+)?", line), (
            line
        )
