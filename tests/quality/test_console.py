"""What a person reads after a run, and what a finding is said to mean."""

import re
from pathlib import Path

import polars as pl
import pytest

from runner.core.causes import CAUSE_WORDS, MISSING, cause_words
from runner.quality.catalogue import ADVICE
from runner.quality.checks import checks
from runner.quality.console import MOST_LINES, summary_lines
from tests.quality.faults import FAULTS
from tests.quality.world import KNOWN, check, world

LONG = "Hải Phòng/Phủ Liễn, Núi Kha Lâm, Kiến An - KTTV - Trạm cảm biến, Vietnam (synthetic)"


def test_every_check_says_what_a_finding_means() -> None:
    assert set(ADVICE) == set(checks())
    assert all(text[0].isupper() and text.endswith(".") for text in ADVICE.values())
    assert max(map(len, ADVICE.values())) < 200


def test_every_cause_has_the_same_words_everywhere() -> None:
    assert set(CAUSE_WORDS) == set(map(str, MISSING))
    told = cause_words({"empty": 96, "lost": 0, "rejected": 1})
    assert told == "96 h the source had nothing, 1 h rejected"


@pytest.mark.parametrize("check_id", sorted(FAULTS))
def test_no_word_is_cut_and_nothing_is_one_of_many(tmp_path: Path, check_id: str) -> None:
    faulty = world(tmp_path)
    FAULTS[check_id].inject(faulty)
    made = faulty.check()
    for station in made["stations"]:
        station["name"] = LONG
    words = set(LONG.split()) | {part.rstrip(",") for part in LONG.split()}
    lines = summary_lines(made, tmp_path)
    assert len(lines) <= MOST_LINES
    for line in lines:
        for name in re.findall(r"\d+ (Hải [^…]*)…", line):
            assert set(name.split()) <= words
        assert not re.search(r"(?<![\d,.])1 (?!of)[a-z-]+s\b(?! under)", line), line


def test_faults_on_purpose_are_told_in_one_line(tmp_path: Path) -> None:
    made = world(tmp_path).check()
    assert "deliberate" not in "\n".join(summary_lines(made, tmp_path))
    flaws = [{"station_idx": idx, "kind": "flat_line", "start": "", "end": ""} for idx in range(5)]
    made["origin"] = {"providers": ["invented"], "flaws": flaws}
    told = [line for line in summary_lines(made, tmp_path) if "deliberate" in line]
    some = "flat line at 0, flat line at 1, flat line at 2 and 2 more"
    assert told == [f"  These faults are deliberate (sandbox.flaws): {some}"]


def test_a_flat_line_of_several_pollutants_is_named_for_each(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    FAULTS["T01"].inject(faulty)
    rows = faulty.frames[KNOWN]
    faulty.frames[KNOWN] = rows.with_columns(pm10=pl.lit(None, pl.Float64))
    alone = check(faulty.check(), "T01")
    faulty.frames[KNOWN] = rows.with_columns(pm10=rows["pm25"])
    both = check(faulty.check(), "T01")
    assert [one["statistic"] for one in alone["samples"]] == ["run.pm25"]
    assert {one["statistic"] for one in both["samples"]} == {"run.pm25", "run.pm10"}
    assert len({one["start"] for one in both["samples"]}) == 1


def test_a_person_is_sent_to_the_hours_that_only_a_person_can_judge(tmp_path: Path) -> None:
    faulty = world(tmp_path)
    FAULTS["T01"].inject(faulty)
    made = faulty.check()
    (look,) = [one for one in made["actions"] if one["kind"] == "look"]
    assert look["stations"] == [KNOWN]
    assert look["command"] == f"python -m runner job=report 'stations.ids=[{KNOWN}]'"
    assert "T01" in look["text"]
