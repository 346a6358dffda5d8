"""The page: everything on it, nothing from elsewhere, whatever names and errors come in."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.core.intervals import Interval
from runner.quality.ledger import StationLedger
from runner.quality.report.notebooks import execute
from runner.quality.report.page import reason, render
from tests.quality.faults import FAULTS
from tests.quality.report.big_run import big_run
from tests.quality.report.pages import NOTEBOOK, SECTIONS, Reader, executed, page
from tests.quality.world import KNOWN, WINDOW, World, world

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title></style></section></body>",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "right \u202e to left \u2066 and \u200f back",
    "bell \x07 escape \x1b[31m null \x00 tab \t line \n end",
    "Đường Nguyễn Huệ, Quận 1 " * 400,
    "W" * 10_000,
    "Z̷̡̛̤̊͝a̸̧̖͊l̵̛̩g̶̱̈o̷͔͝",
    "javascript:alert(1)",
    "http://elsewhere.example/a.png",
)


def faulty(place: Path) -> World:
    """A run with findings of several kinds."""
    made = world(place)
    for check_id in ("K01", "V02", "S02", "T01"):
        FAULTS[check_id].inject(made)
    made.lose(set(range(WINDOW.start + 100, WINDOW.start + 200)))
    made.lose(set(range(WINDOW.start + 900, WINDOW.start + 940)), fetched=False)
    return made


def run(place: Path, change: Callable[[World], None] = lambda _world: None) -> Path:
    made = faulty(place)
    change(made)
    made.check()
    return made.directory


def harmless(html: str) -> Reader:
    """Read a page and look for whatever would reach out of it."""
    seen = Reader(html)
    assert not seen.tags & {"script", "link", "iframe", "object", "embed", "base", "form", "use"}
    assert not seen.handlers
    for address in seen.addresses:
        assert address.startswith(("#", "data:image/png;base64,")), address[:80]
    for style in seen.styles:
        assert not re.search(r"url\(|@import|expression|image-set", style, re.IGNORECASE)
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", html)
    return seen


def test_every_section_is_there_in_its_order_and_says_something(tmp_path: Path) -> None:
    seen = harmless(page(run(tmp_path / "run"), tmp_path))
    assert [one for one in seen.ids if one in SECTIONS] == list(SECTIONS)
    assert all(len(seen.texts[one].strip()) > 20 for one in SECTIONS)
    assert len(seen.ids) == len(set(seen.ids))
    assert "failed" not in seen.texts["diurnal"]


def test_numbers_and_findings_are_those_of_the_document(tmp_path: Path) -> None:
    place = run(tmp_path / "run")
    seen = harmless(page(place, tmp_path))
    document = json.loads((place / "quality" / "quality.json").read_text("utf-8"))
    assert f"{document['counts']['readings']:,}" in seen.texts["verdict"]
    assert "FAIL" in seen.texts["verdict"]
    assert seen.texts["ledger"].count("✓ adds up") == 3
    at = [seen.texts["checks"].index(f"{one['id']} ") for one in document["checks"]]
    told = [one["status"] for _at, one in sorted(zip(at, document["checks"], strict=True),
                                                 key=lambda pair: pair[0])]  # fmt: skip
    order = ["fail", "error", "warn", "pass", "not_evaluated"]
    assert told == sorted(told, key=order.index)
    for one in document["actions"]:
        assert one["command"] is None or one["command"] in seen.texts["next"]
    assert "the source had nothing" in seen.texts["gaps"]
    assert "not fetched yet" in seen.texts["gaps"]


def test_an_account_that_does_not_add_up_says_by_how_much(tmp_path: Path) -> None:
    place = run(tmp_path / "run", FAULTS["R03"].inject)
    assert "✗ 1 unexplained" in harmless(page(place, tmp_path)).texts["ledger"]


def test_the_page_compares_with_the_previous_run(tmp_path: Path) -> None:
    before = world(tmp_path / "before")
    before.check()
    after = faulty(tmp_path / "after")
    after.previous = before.as_previous()
    after.check()
    seen = harmless(page(after.directory, tmp_path))
    assert "since the previous run" in seen.texts["verdict"]
    assert "▲ worse (was 0)" in seen.texts["checks"]


@pytest.mark.slow
def test_a_real_kernel_makes_the_same_page_byte_for_byte(tmp_path: Path) -> None:
    place = run(tmp_path / "run")
    pages = []
    for name in ("one", "two"):
        copy = tmp_path / f"{name}.ipynb"
        done = execute(NOTEBOOK, copy, {"RUN_DIR": str(place)}, cell_timeout_s=120)
        assert not done.error
        assert not done.failed_cells
        render(copy, tmp_path / f"{name}.html", "Quality report")
        pages.append((tmp_path / f"{name}.html").read_bytes())
    assert pages[0] == pages[1] == page(place, tmp_path).encode()


def test_hostile_names_and_messages_are_text(tmp_path: Path) -> None:
    place = run(tmp_path / "run")
    path = place / "quality" / "quality.json"
    document = json.loads(path.read_text("utf-8"))
    like = document["stations"][0]
    named = [{**like, "station_idx": 9000 + at, "name": name, "error": name, "status": "fail"}
             for at, name in enumerate(HOSTILE)]  # fmt: skip
    document["stations"] += named
    ids = [one["station_idx"] for one in named]
    for check in document["checks"]:
        check["message"] = HOSTILE[0]
        check["stations"] = [*ids, *check["stations"]]
        check["samples"] = [{"station_idx": idx, HOSTILE[1]: HOSTILE[0], "s": HOSTILE[8]}
                            for idx in ids]  # fmt: skip
    document["actions"].append({"kind": "x", "text": HOSTILE[0], "command": HOSTILE[1],
                                "stations": ids})  # fmt: skip
    document |= {"run_id": HOSTILE[1], "database": HOSTILE[0]}
    document["config"]["command"] = HOSTILE[0]
    path.write_text(json.dumps(document), encoding="utf-8")
    html = page(place, tmp_path)
    seen = harmless(html)
    assert [one for one in seen.ids if one in SECTIONS] == list(SECTIONS)
    assert HOSTILE[0] in seen.texts["next"]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200f]", html)
    assert "W" * 200 not in html
    assert "{{ 7 * 7 }}" in seen.texts["stations"]


def test_a_run_without_a_reading_has_a_page(tmp_path: Path) -> None:
    made = world(tmp_path / "run")
    made.frames = {idx: frame.clear() for idx, frame in made.frames.items()}
    made.ledgers = {idx: StationLedger("in_progress") for idx in made.frames}
    made.check()
    seen = harmless(page(made.directory, tmp_path))
    assert "There is no reading in the range." in seen.texts["diurnal"]
    assert "0 %" in seen.texts["verdict"]
    assert "100.0 %" in seen.texts["gaps"]


def test_one_station_and_few_hours_have_a_page(tmp_path: Path) -> None:
    made = world(tmp_path / "run")
    made.frames = {KNOWN: made.frames[KNOWN]}
    made.scope = type(made.scope)(Interval(WINDOW.start, WINDOW.start + 5), made.scope.now)
    made.check()
    seen = harmless(page(made.directory, tmp_path))
    assert "1station" in seen.texts["verdict"].replace("\n", "")


def test_files_that_are_gone_are_told_not_fatal(tmp_path: Path) -> None:
    place = run(tmp_path / "run")
    for path in (place / "quality" / "agg").iterdir():
        path.unlink()
    (place / "quality" / "gaps.csv").unlink()
    seen = harmless(page(place, tmp_path))
    assert "The run kept no months." in seen.texts["coverage"]
    assert "The run kept no days." in seen.texts["calendar"]


def test_a_section_that_fails_says_so_and_leaves_the_others_alone(tmp_path: Path) -> None:
    secret = "mongodb://user:hunter2@db.example/x"
    error = ValueError(
        f"<b>no</b> /home/somebody/secret/dir/day.parquet {secret} token=abc123\nrow"
    )
    place = run(tmp_path / "run")
    whole = harmless(page(place, tmp_path))
    html = page(place, tmp_path, {"calendar": error})
    seen = harmless(html)
    assert "This section failed" in seen.texts["calendar"]
    assert "ValueError: <b>no</b> …/day.parquet (address) token=***" in seen.texts["calendar"]
    for gone in ("hunter2", "somebody", "abc123", "site-packages", "Traceback"):
        assert gone not in html
    others = [one for one in SECTIONS if one != "calendar"]
    assert [seen.texts[one] for one in others] == [whole.texts[one] for one in others]


def test_sections_that_were_not_reached_say_so(tmp_path: Path) -> None:
    copy = executed(run(tmp_path / "run"), tmp_path / "a.ipynb")
    content = json.loads(copy.read_text("utf-8"))
    for cell in content["cells"][10:]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    copy.write_text(json.dumps(content), encoding="utf-8")
    render(copy, tmp_path / "a.html", "A")
    seen = harmless((tmp_path / "a.html").read_text("utf-8"))
    assert "did not get this far" in seen.texts["provenance"]
    assert "FAIL" in seen.texts["verdict"]


def test_a_notebook_without_sections_is_refused(tmp_path: Path) -> None:
    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "a.ipynb").write_text(json.dumps(empty), encoding="utf-8")
    with pytest.raises(ValueError, match="no cell with a tag"):
        render(tmp_path / "a.ipynb", tmp_path / "a.html", "A")


def test_reasons_are_short() -> None:
    told = reason({"ename": "E", "evalue": "\x1b[31m" + "x" * 1000})
    assert len(told) == 201
    assert "\x1b" not in told


def test_settings_on_the_page_hold_no_credentials(tmp_path: Path) -> None:
    place = run(tmp_path / "run")
    (place / ".hydra").mkdir()
    (place / ".hydra" / "config.yaml").write_text("a: https://me:hunter2@host/x\nb: <b>\n")
    seen = harmless(page(place, tmp_path))
    assert "a: https://***@host/x" in seen.texts["provenance"]
    assert "hunter2" not in seen.texts["provenance"]


def test_synthetic_readings_are_called_so_in_big_words(tmp_path: Path) -> None:
    place = run(tmp_path / "run")
    path = place / "quality" / "quality.json"
    document = json.loads(path.read_text("utf-8"))
    assert "SANDBOX DATA" in harmless(page(place, tmp_path)).texts["header"]
    document["stations"][0]["name"] = "Hà Nội (synthetic)"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert "SYNTHETIC DATA" in harmless(page(place, tmp_path)).texts["header"]
    path.write_text(json.dumps({**document, "source": "aqicn"}), encoding="utf-8")
    seen = harmless(page(place, tmp_path))
    assert "DATA" not in seen.texts["header"]
    assert "World Air Quality Index" in seen.texts["provenance"]
    assert "50 at 12, 100 at 35.5" in seen.texts["provenance"]
    assert "40 CFR 58, appendix G" in seen.texts["provenance"]


@pytest.mark.slow
@pytest.mark.parametrize(("stations", "most_mb"), [(35, 3), (300, 5)])
def test_the_page_stays_small(tmp_path: Path, stations: int, most_mb: float) -> None:
    place = big_run(faulty(tmp_path / "run"), stations, 3)
    html = page(place, tmp_path)
    harmless(html)
    assert len(html.encode()) < most_mb * 1_000_000
