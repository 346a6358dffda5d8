"""Canary: OpenAQ's key turns up nowhere in what a run produces."""

from typing import Any

import pytest
from pymongo.database import Database

from runner.sources.sandbox.settings import Faults
from tests.product.openaq_api import invented_api
from tests.product.product import FAST, Runner

pytestmark = pytest.mark.slow

KEY = "canary-openaq-0a1b2c3d4e"


@pytest.mark.parametrize("case", ["success", "refused"])
def test_no_openaq_key_in_anything_a_run_produces(
    runner: Runner, database: Database[dict[str, Any]], case: str
) -> None:
    faults = Faults(rate_5xx=0.2, rate_truncated=0.2, rate_over_quota=0.1)
    with invented_api(faults, token="another" if case == "refused" else KEY) as api:
        reported = ("quality=standard", "quality.fail_on=never", "report=html")
        done = runner(
            "source=openaq",
            "stations.ids=[8641]",
            "backfill.start_date=2016-11-05",
            "backfill.end_date=2016-11-15",
            *FAST,
            *(reported if case == "success" else ()),
            f"source.base_url={api.url}",
            "source.retry.max_attempts=20",
            "log_level=DEBUG",
            expect=None,
            OPENAQ_API_KEY=KEY,
        )
    assert done.returncode == (0 if case == "success" else 1), done.stdout + done.stderr
    assert ("OpenAQ refuses the key" in done.stdout) == (case == "refused")
    produced = {"stdout": done.stdout, "stderr": done.stderr}
    for file in runner.directory.rglob("*"):
        if file.is_file():
            produced[str(file)] = file.read_text("utf-8", errors="replace")
    for collection in database.list_collection_names():
        produced[collection] = str(list(database[collection].find()))
    if case == "success":
        report = next(text for name, text in produced.items() if name.endswith("report.html"))
        assert "OpenAQ location 7441" in report
        assert "licence not stated" in report
        assert "ingest_concentrations" in produced
    assert {where for where, text in produced.items() if KEY in text or "canary" in text} == set()
