"""Whose measurements a page shows, and under which licence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.quality.report.attribution import places
from runner.quality.report.run_files import RunFiles

HANOI: dict[str, Any] = {
    "station_idx": 8641,
    "location": 7441,
    "name": "Hanoi",
    "provider": "AirNow",
    "owner": "AirNow",
    "licences": [
        {"name": "US Public Domain", "attribution": "DOS", "url": "https://x.org", "from": "2016"}
    ],
    "scale": "aqicn",
}
SILENT = {"station_idx": 8767, "location": 7440, "name": "<b>", "licences": []}


def files(directory: Path, content: str) -> RunFiles:
    (directory / "attributions.json").write_text(content, encoding="utf-8")
    return RunFiles(directory / "quality", {"source": "openaq"})


def test_every_place_is_told_with_its_licence_or_that_it_has_none(tmp_path: Path) -> None:
    run = files(tmp_path, json.dumps({"attributions": [HANOI, SILENT]}))
    html = places(run).html
    told = "Station 8641: OpenAQ location 7441 (Hanoi, AirNow); US Public Domain, attribution: DOS"
    assert f"{told} (https://x.org), since 2016." in html
    assert "OpenAQ location 7440 (&lt;b&gt;); licence not stated" in html
    assert "7440" not in places(run, 8641).html


def test_another_scale_than_the_pages_own_is_said(tmp_path: Path) -> None:
    assert "scale" not in places(files(tmp_path, json.dumps({"attributions": [HANOI]}))).html
    other = {**HANOI, "scale": "vn_aqi"}
    assert "scale vn_aqi" in places(files(tmp_path, json.dumps({"attributions": [other]}))).html


@pytest.mark.parametrize("content", ["", "[]", "{", '{"attributions": 7}', '{"attributions": [7]}'])
def test_a_file_that_says_nothing_leaves_the_page_alone(tmp_path: Path, content: str) -> None:
    assert places(files(tmp_path, content)).html == ""
