"""A source of one's own, from a package that is not ours: the lines that CONTRIBUTING.md shows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pymongo.database import Database

from tests.product.forked import REPOSITORY
from tests.product.product import FAST, Runner

pytestmark = pytest.mark.slow
GUIDE = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
SECRET = "canary-balloon-0a1b2c3d4e"


def guide(pattern: str) -> str:
    (found,) = re.findall(pattern, GUIDE, re.DOTALL)
    return str(found)


def install(directory: Path) -> None:
    """Lay out what pip would: a module, and the metadata with its entry point."""
    directory.mkdir()
    (directory / "balloon_source.py").write_text(guide(r"```python\n(.*?)```"), encoding="utf-8")
    metadata = directory / "balloon_source-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: balloon-source\nVersion: 1.0\n"
    )
    group = guide(r"in the group `([\w.]+)`")
    entry = guide(r"entry point `(balloon = [^`]+)`").replace('"', "")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")


@contextmanager
def balloon() -> Iterator[tuple[str, list[str]]]:
    """Serve hourly values as the balloon would; give its address, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            query = parse_qs(urlsplit(self.path).query)
            start, end = (datetime.fromisoformat(query[name][0]) for name in ("start", "end"))
            hours = range(int((end - start) / timedelta(hours=1)))
            times = [start.astimezone(UTC) + timedelta(hours=hour) for hour in hours]
            said = [
                {"aqi": 42, "time": {"s": f"{moment:%Y-%m-%d %H:%M:%S}", "tz": "+00:00"}}
                for moment in times
            ]
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_source_of_ones_own_is_planned_run_credited_and_its_key_kept_secret(
    runner: Runner, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    package, conf = tmp_path / "elsewhere", tmp_path / "conf"
    install(package)
    (conf / "source").mkdir(parents=True)
    yaml = guide(r"`source/balloon.yaml`, which is `([^`]+)`")
    (conf / "source" / "balloon.yaml").write_text(f"# A balloon over Hanoi\n{yaml}\n")
    environment: dict[str, Any] = {
        "PYTHONPATH": os.pathsep.join([runner.environment["PYTHONPATH"], str(package)]),
        "RUNNER_CONF_DIR": str(conf),
        "BALLOON_KEY": SECRET,
    }
    days = ("stations.ids=[8641]", "backfill.start_date=2023-01-01", "backfill.end_date=2023-01-03")
    with balloon() as (url, asked):
        ask = (*days, "source=balloon", f"source.base_url={url}", "backfill.batch_size=24", *FAST)
        planned = runner("job=plan", *ask, **environment)
        assert "BALLOON_KEY goes to 127.0.0.1" in planned.stdout
        assert asked == []
        done = runner(*ask, "quality=standard", **environment)
    assert len(asked) == 2
    assert all(f"key={SECRET}" in path for path in asked)
    stored = [*database["waqi_station_readings"].find()]
    assert [one["aqi"] for one in stored] == [42] * 48
    checked = runner.last_json("quality/quality.json")
    assert (checked["source"], checked["origin"]["providers"]) == ("balloon", ["balloon"])
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    written = "".join(path.read_text("utf-8", errors="replace") for path in files)
    assert SECRET not in written + planned.stdout + done.stdout + done.stderr

    refused = runner("source.kind=baloon", expect=2, **environment)
    assert "allowed are airnow, aqicn, aqicn_live, openaq" in refused.stderr
    assert "did you mean balloon?" in refused.stderr
