"""What a command imports: what its job needs, and nothing that only another one does."""

from __future__ import annotations

import pytest

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.server import Sandbox
from tests.robustness.guards.conftest import Watched

pytestmark = pytest.mark.slow

REPORT = ("polars", "papermill", "nbformat", "nbclient", "jupyter_client")
API = ("requests", "urllib3", "runner.sources.http", "runner.jobs.backfill.engine")
OTHER_JOBS = (
    "runner.jobs.stations",
    "runner.jobs.match",
    "runner.jobs.replay",
)
SANDBOX = ("http.server", "runner.sources.sandbox.server", "runner.sources.sandbox.opening")
OTHER_SOURCES = (
    "runner.sources.openaq.opening",
    "runner.sources.openaq.api",
    "runner.sources.airnow.source",
)
MULTIRUN = ("runner.cli.sweep", "joblib", "ray")


def reached(modules: list[str], unwanted: tuple[str, ...]) -> set[str]:
    """Return the unwanted among the modules, with what is in them."""
    return {one for one in modules if one.startswith(tuple(f"{name}." for name in unwanted))} | (
        set(modules) & set(unwanted)
    )


def test_help_needs_neither_hydra_nor_anything_that_does_a_job(watched: Watched) -> None:
    modules = watched("--help")["modules"]
    unwanted = ("hydra", "omegaconf", "antlr4", "pymongo", "structlog", "rich", "asyncio")
    jobs = ("runner.jobs.registry", "runner.store", "runner.core.outcome", "runner.core.plan")
    everything = (*unwanted, *jobs, *REPORT, *API, *OTHER_JOBS, *SANDBOX, *MULTIRUN)
    assert not reached(modules, everything)
    assert "runner.cli.help" in modules


def test_status_needs_nothing_that_asks_an_api(watched: Watched) -> None:
    modules = watched("job=status")["modules"]
    everything = ("runner.jobs.backfill.job", "runner.quality.checks", *REPORT, *API)
    assert not reached(modules, (*everything, *OTHER_JOBS, *SANDBOX, *MULTIRUN))
    assert {"pymongo", "runner.process.tables"} <= set(modules)


def test_a_backfill_needs_no_sandbox_no_other_source_and_no_report(watched: Watched) -> None:
    with Sandbox({1584: "one"}, Climatology()) as api:
        modules = watched(
            "stations.ids=[1584]",
            "backfill.start_date=2023-01-01",
            "backfill.end_date=2023-01-02",
            "rate_limit=unlimited",
            "quality=off",
            "report=none",
            f"source.base_url={api.url}",
        )["modules"]
    ours = ("runner.quality.checks", "runner.quality.report.run_files", *OTHER_JOBS)
    everything = (*ours, *REPORT)
    assert not reached(modules, (*everything, *OTHER_SOURCES, *SANDBOX, *MULTIRUN))
    assert {"requests", "runner.sources.aqicn.history"} <= set(modules)
