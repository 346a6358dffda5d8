"""The page: one file that needs nothing else, tells the verdict first, and misleads nobody."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from runner.report.execution import execute
from runner.report.notebooks import PAGE, builtin_notebooks
from runner.report.quality_page import QualityPage
from runner.report.shell import write_html
from tests.quality.faults import FAULTS
from tests.quality.world import KNOWN, world

pytestmark = pytest.mark.slow

SECTIONS = (
    "Next",
    "What the run did",
    "Checks",
    "Coverage by month",
    "Missing hours, and why",
    "Calendar",
    "The air, as far as these readings tell",
    "Stations",
    "Where this comes from",
)
HOSTILE = (
    "<script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(2)>\x1b[31m\u202eĐà Nẵng "
    + "x" * 10_000
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


class Page(HTMLParser):
    """What a browser would find on the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self._in_heading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        self.links += [value or "" for name, value in attrs if name.startswith("on")]
        self._in_heading = tag == "h2"
        if self._in_heading:
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_heading = self._in_heading and tag != "h2"

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings[-1] += data


def made(directory: Path, notebook: Path | None = None) -> Path:
    """Return the page of a run directory, made as the product makes it."""
    source = notebook or builtin_notebooks() / f"{PAGE}.ipynb"
    done = execute(
        source, directory / "done.ipynb", {"RUN_DIR": str(directory)}, cell_timeout_s=120
    )
    assert done.error == ""
    write_html(done.notebook, directory / "report.html", "Quality report")
    return directory / "report.html"


def change(directory: Path, **values: Any) -> None:
    """Change quality.json."""
    path = directory / "quality" / "quality.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with faults of several kinds."""
    directory = tmp_path_factory.mktemp("faulty")
    run = world(directory)
    for check_id in ("V01",):
        FAULTS[check_id].inject(run)
    run.check()
    return made(directory)


def test_the_page_is_one_file_without_script_or_reference(faulty: Path) -> None:
    page = Page(faulty.read_text("utf-8"))
    assert page.headings == list(SECTIONS)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.links
    assert all(link.startswith("data:image/") for link in page.links)
    assert not re.search(r"@import|url\(", faulty.read_text("utf-8"))


def test_the_verdict_comes_first_in_words_with_six_numbers(faulty: Path) -> None:
    html = faulty.read_text("utf-8")
    assert html.index("✖ FAIL") < html.index("Next")
    assert "(V01)" in html.partition("Next")[0]
    assert html.partition("Next")[0].count("<li>") == 6
    assert "SYNTHETIC" in html.partition("Next")[0]


def test_commands_that_are_shown_can_be_pasted(tmp_path: Path) -> None:
    run = world(tmp_path)
    FAULTS["K01"].inject(run)
    run.check()
    steps = QualityPage.of(tmp_path).next_steps().html
    assert re.findall(r"<code>(.*?)</code>", steps) == ["python -m runner job=dedupe"]


def test_failures_stand_before_warnings_before_the_rest(faulty: Path) -> None:
    checks = faulty.read_text("utf-8").partition(">Checks")[2].partition(">Coverage by month")[0]
    states = re.findall(r'class="status (\w+)"', checks)
    order = ["fail", "error", "warn", "pass", "skip"]
    assert states == sorted(states, key=order.index)
    assert {"fail", "pass", "skip"} <= set(states)


@pytest.mark.parametrize(
    ("check_id", "why"),
    [("C03", "nobody has fetched it yet"), ("C04", "the source has nothing")],
)
def test_missing_hours_say_why(tmp_path: Path, check_id: str, why: str) -> None:
    run = world(tmp_path)
    FAULTS[check_id].inject(run)
    run.check()
    assert why in QualityPage.of(tmp_path).gaps().html


def test_the_same_files_give_the_same_page(tmp_path: Path) -> None:
    run = world(tmp_path)
    FAULTS["C04"].inject(run)
    run.check()
    first = made(tmp_path).read_bytes()
    assert made(tmp_path).read_bytes() == first


def test_hostile_names_are_text(tmp_path: Path) -> None:
    run = world(tmp_path, stations=(KNOWN, 8767))
    FAULTS["C04"].inject(run)
    document = run.check()
    change(tmp_path, stations=[{**one, "name": HOSTILE} for one in document["stations"]])
    html = made(tmp_path).read_text("utf-8")
    page = Page(html)
    assert page.headings == list(SECTIONS)
    assert "script" not in page.tags
    assert all(link.startswith("data:image/") for link in page.links)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", html)
    assert "x" * 200 not in html
    assert "Đà Nẵng" not in html or "&lt;script&gt;" in html


@pytest.mark.parametrize("stations", [(KNOWN,), (KNOWN, 8767)])
def test_no_reading_at_all_has_a_page(tmp_path: Path, stations: tuple[int, ...]) -> None:
    run = world(tmp_path, stations=stations)
    for idx in stations:
        run.frames[idx] = run.frames[idx].clear()
    run.check()
    html = made(tmp_path).read_text("utf-8")
    assert "This section failed" not in html
    assert "There is no reading in the range." in html


def test_a_section_that_fails_is_marked_and_the_rest_is_there(tmp_path: Path) -> None:
    world(tmp_path).check()
    source = builtin_notebooks() / f"{PAGE}.ipynb"
    broken = json.loads(source.read_text("utf-8"))
    for cell in broken["cells"]:
        cell["source"] = [line.replace("page.coverage()", "1 / 0") for line in cell["source"]]
    (tmp_path / "broken.ipynb").write_text(json.dumps(broken), "utf-8")
    html = made(tmp_path, tmp_path / "broken.ipynb").read_text("utf-8")
    assert Page(html).headings == list(SECTIONS)
    assert html.count("This section failed") == 1
    assert "ZeroDivisionError" in html
    assert "Traceback" not in html
    assert "✔ pass" in html


def test_a_check_compared_with_the_last_run_shows_the_change(tmp_path: Path) -> None:
    run = world(tmp_path)
    run.previous = run.as_previous()
    FAULTS["C04"].inject(run)
    run.check()
    html = made(tmp_path).read_text("utf-8")
    assert "since the last run" in html
    assert "0 ✔ pass" in html


def enlarge(directory: Path, stations: int, days: int) -> None:
    """Make the files of a small run into those of a large one."""
    document = json.loads((directory / "quality" / "quality.json").read_text("utf-8"))
    one = document["stations"][0]
    ids = range(1, stations + 1)
    name = "Hà Nội/Đại học Bách khoa cổng Parabol đường Giải Phóng"
    listed = [{**one, "station_idx": idx, "name": name, "status": "warn"} for idx in ids]
    change(directory, stations=listed)
    agg = directory / "quality" / "agg"
    for path in agg.glob("*.parquet"):
        rows = pl.read_parquet(path)
        own = rows.filter(pl.col("station_idx") == rows["station_idx"][0])
        if path.stem == "day":
            first = date(2021, 1, 1)
            told = [first + timedelta(days=day) for day in range(days)]
            own = pl.concat([own] * (days // own.height + 1)).head(days)
            own = own.with_columns(pl.Series("day", told, dtype=pl.Date))
        if path.stem == "month":
            months = [f"{2021 + at // 12}-{1 + at % 12:02}" for at in range(days // 30)]
            own = pl.concat([own] * (len(months) // own.height + 1)).head(len(months))
            own = own.with_columns(pl.Series("month", months))
        every = [own.with_columns(pl.lit(idx, rows["station_idx"].dtype).alias("station_idx"))
                 for idx in (ids if path.stem != "hour" else ids[:12])]  # fmt: skip
        pl.concat(every).write_parquet(path)


@pytest.mark.parametrize(("stations", "megabytes"), [(35, 3), (300, 5)])
def test_the_page_stays_small(tmp_path: Path, stations: int, megabytes: int) -> None:
    run = world(tmp_path)
    FAULTS["C04"].inject(run)
    run.check()
    enlarge(tmp_path, stations, 3 * 365)
    page = made(tmp_path)
    assert "This section failed" not in page.read_text("utf-8")
    assert page.stat().st_size < megabytes * 2**20


def browse(page: Path, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open the page in a browser that can reach nobody."""
    return subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--hide-scrollbars",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@needs_browser
def test_a_browser_shows_every_section_and_complains_of_nothing(
    faulty: Path, tmp_path: Path
) -> None:
    done = browse(faulty, tmp_path, "--dump-dom")
    assert Page(done.stdout).headings == list(SECTIONS)
    assert "CONSOLE" not in done.stderr


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window(faulty: Path, tmp_path: Path, width: int) -> None:
    probe = tmp_path / "probe.html"
    probe.write_text(
        f'<iframe src="{faulty.as_uri()}" style="width:{width}px;height:900px;border:0"></iframe>'
        "<pre id=told></pre><script>onload=()=>{const d=document.querySelector('iframe')"
        ".contentDocument.documentElement;told.textContent=d.scrollWidth+' '+d.clientWidth}"
        "</script>"
    )
    done = browse(
        probe, tmp_path / "p", "--dump-dom", "--allow-file-access-from-files",
        "--window-size=1400,1000", "--disable-web-security",
    )  # fmt: skip
    found = re.search(r'id="told">(\d+) (\d+)<', done.stdout)
    assert found, done.stdout[-500:]
    assert int(found[1]) <= int(found[2])
