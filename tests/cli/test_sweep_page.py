"""The page of a sweep: a row a job with a link, nothing from outside, everything escaped."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from runner.cli.summary import PlannedJob, Summary, SweepPlan
from runner.cli.sweep_files import sweep_page
from runner.core.outcome import Outcome

NASTY = "stations.name=\"<script>alert('1')</script>&\u202e\""


class Reader(HTMLParser):
    """Reads links, tags and rows as a browser would."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _value in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def page(*, over: bool, label: str = "stations=hue", directory: str = "0") -> str:
    jobs = (
        PlannedJob(0, (label,), label, directory),
        PlannedJob(1, ("stations=hanoi",), "stations=hanoi", "1"),
    )
    plan = SweepPlan("/sweep", f"python -m runner -m {label}", "basic", "2026-01-01", jobs)
    outcomes = {0: Outcome(job="backfill", run_id="r", error=label).to_json()}
    pages = {0: f"{directory}/quality/report.html"}
    ended_at = "2026-01-02" if over else ""
    content: dict[str, Any] = Summary.of(plan, outcomes, {0}, pages, ended_at=ended_at).to_json()
    return sweep_page(content)


def test_every_job_has_a_row_and_a_page_of_its_own_is_linked() -> None:
    read = Reader(page(over=True))
    assert read.tags.count("tr") == 2 + 2  # the head, and the totals
    assert read.links == ["./0/quality/report.html"]
    assert "exit code 1" in page(over=True)
    assert "not run" in page(over=True)


def test_it_needs_nothing_from_outside_and_runs_nothing() -> None:
    html = page(over=True)
    read = Reader(html)
    assert not {"script", "link", "img", "iframe", "form"} & set(read.tags)
    assert not {name for name in read.attributes if name.startswith("on")}
    assert "default-src 'none'" in html
    assert "://" not in html


def test_what_a_person_typed_is_escaped_and_a_link_stays_below() -> None:
    html = page(over=True, label=NASTY, directory="javascript:alert(1)//")
    read = Reader(html)
    assert "script" not in read.tags
    assert "\u202e" not in html
    assert read.links == ["./javascript%3Aalert%281%29///quality/report.html"]


def test_it_loads_itself_again_only_while_jobs_may_begin() -> None:
    assert 'http-equiv="refresh"' in page(over=False)
    assert 'http-equiv="refresh"' not in page(over=True)
    assert "under way" in page(over=False)
