"""Whatever comes from outside: no unexpected exception, no reading outside the schema."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from bson import Code, DatetimeMS, Int64, ObjectId
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.checkpoint import Status
from runner.core.readings import MOST_SUB_INDICES, Reason, to_readings
from runner.sources.airnow.files import AirNowFileError, read_file
from runner.store.checkpoint_document import to_checkpoint
from tests.robustness.fuzz.seeds import CHECKPOINT, FEED, FILE, RECORD, ROWS
from tests.robustness.fuzz.targets import (
    NOW,
    STATION,
    WINDOW,
    read_airnow,
    read_answer,
    read_checkpoint,
    read_records,
)

odd_texts = st.sampled_from(
    [
        "",
        "-",
        " ",
        "\x00",
        "\x1b[31m",
        "\u202e",
        "$where",
        "a.b",
        "+07:00",
        "Z",
        "+15:00",
        "\u0660\u0667",
    ]
)
times = st.datetimes(datetime(2022, 12, 20), datetime(2023, 6, 9)).map(  # noqa: DTZ001 - a wall clock
    lambda moment: moment.replace(microsecond=0).isoformat(" ")
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | odd_texts
    | times
    | st.sampled_from([8641, 2**31, -(2**63), 10**400, 1e308, -0.0])
)
json_like = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | odd_texts, inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn, whole: Any, values: st.SearchStrategy[Any]) -> Any:
    """Return a real one in which a few values, at any depth, are replaced, removed or added."""
    whole = copy.deepcopy(whole)
    for _ in range(draw(st.integers(0, 4))):
        at = whole
        while isinstance(at, dict | list) and at:
            key = draw(st.sampled_from([*at] if isinstance(at, dict) else range(len(at))))
            change = draw(st.sampled_from(["deeper", "deeper", "replace", "remove", "add"]))
            if change == "deeper" and isinstance(at[key], dict | list) and at[key]:
                at = at[key]
                continue
            if change == "remove":
                del at[key]
            elif change == "add" and isinstance(at, dict):
                at[draw(st.text(max_size=4) | odd_texts)] = draw(values)
            else:
                at[key] = draw(values)
            break
    return whole


real = mutated(RECORD, json_like) | mutated(FEED, json_like)


@given(st.lists(real | json_like, max_size=5))
def test_any_records_become_readings_and_rejects_and_nothing_is_lost(records: list[Any]) -> None:
    read_records(records)


def test_a_record_of_which_one_can_say_everything_is_said_once() -> None:
    read_records([RECORD, RECORD, {**RECORD, "current_aqi": 46}])


@pytest.mark.parametrize(
    "time", [(" 2023-01-01 12:00:00\n", "+07:00"), ("2023-01-01 12:00:00", "\x1f+07:00 ")]
)
def test_blanks_around_the_wall_clock_are_not_stored(time: tuple[str, str]) -> None:
    record = {"aqi": 1, "time": {"s": time[0], "tz": time[1]}}
    (reading,) = to_readings([record], STATION, WINDOW, NOW).readings
    assert reading["time"] == {"s": "2023-01-01 12:00:00", "tz": "+07:00"}


def test_digits_of_other_scripts_are_no_offset() -> None:
    record = {"aqi": 1, "time": {"s": "2023-01-01 12:00:00", "tz": "+\u0660\u0667:\u0660\u0660"}}
    (reject,) = to_readings([record], STATION, WINDOW, NOW).rejects
    assert reject.reason is Reason.TIME_UNPARSEABLE


def test_a_record_with_sub_indices_without_end_keeps_some_and_is_a_reject_too() -> None:
    record = {**FEED, "iaqi": {f"a{number}": {"v": 1} for number in range(100_000)}}
    made = to_readings([record], STATION, WINDOW, NOW)
    assert len(made.readings[0]["iaqi"]) == MOST_SUB_INDICES
    assert [reject.reason for reject in made.rejects] == [Reason.SUB_INDEX_UNUSABLE]


statuses = st.just(200) | st.integers(100, 599)
dates = st.text() | st.sampled_from(["1", "Sun, 01 Jan 2023 00:00:00 GMT", "9" * 400, "-1"])
bodies = st.binary() | json_like.map(lambda content: json.dumps(content).encode())
answers = st.lists(real, max_size=3).flatmap(
    lambda records: mutated({"status": "ok", "data": records}, json_like)
)


@given(
    statuses,
    st.fixed_dictionaries({"Retry-After": dates, "Date": dates, "Content-Type": st.text()}),
    bodies | answers.map(lambda content: json.dumps(content).encode()),
)
def test_any_answer_is_a_list_of_records_or_an_error_fit_to_be_shown(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    read_answer(status, headers, body)


def read_bytes(content: bytes) -> None:
    with TemporaryDirectory() as directory:
        Path(directory, "fuzz.csv").write_bytes(content)
        read_airnow(Path(directory))


cells = odd_texts | st.text(max_size=6) | st.sampled_from(["3", "2023", "PM2.5", "Hanoi", "-999"])
rows = st.sampled_from(ROWS).flatmap(
    lambda row: st.tuples(st.integers(0, 13), cells).map(
        lambda change: ",".join(
            change[1] if at == change[0] else cell for at, cell in enumerate(row.split(","))
        )
    )
)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])


@given(st.lists(rows, min_size=1, max_size=4), encodings, st.booleans())
@example([ROWS[1].replace("2023", "9999"), ROWS[1].replace("2023", "9999")], "utf-8", True)
@example([ROWS[1].replace("2023", "+99999"), ROWS[1].replace("2023", "+99999")], "utf-8", True)
@example([ROWS[1].replace("2023", "0"), ROWS[1].replace("2023", "0")], "utf-8", True)
@example([ROWS[0].replace("10.5", "1e308"), ROWS[1].replace("11", "nan")], "utf-8", False)
@example([ROWS[0].replace("Hanoi", "Ha\x00noi"), '"' + ROWS[1]], "utf-8", True)
def test_any_rows_are_read_or_refused_with_a_message(
    lines: list[str], encoding: str, header: bool
) -> None:
    text = "\n".join([FILE.partition("\n")[0], *lines] if header else lines)
    read_bytes(text.encode(encoding, "replace"))


@given(st.binary(max_size=400) | st.binary(max_size=60).map(lambda end: FILE.encode() + end))
@example(b"\x1f\x8b\x08\x00" + bytes(60))
@example(b"\x00" * 100)
@example(b"\xef\xbb\xbf")
def test_any_bytes_are_read_or_refused_with_a_message(content: bytes) -> None:
    read_bytes(content)


@pytest.mark.parametrize("text", ["x" * 200_000 + ",1", FILE + "x" * 200_000 + "," * 40])
def test_a_cell_longer_than_the_csv_module_takes_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(text, encoding="utf-8")
    with pytest.raises(AirNowFileError, match=r"long\.csv"):
        read_file(tmp_path / "long.csv")


zones = st.none() | st.sampled_from(
    [UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=23, minutes=59))]
)
moments = st.builds(lambda moment, zone: moment.replace(tzinfo=zone), st.datetimes(), zones)
stored = st.recursive(
    leaves
    | moments
    | moments.map(lambda moment: moment.isoformat())
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.integers(-(2**63), 2**63 - 1).map(DatetimeMS)
    | st.binary(max_size=3)
    | st.just(ObjectId("0" * 24)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(mutated(CHECKPOINT, stored) | st.dictionaries(st.sampled_from([*CHECKPOINT]), stored))
@example({"station_idx": 1e300})
@example({"station_idx": 1, "windows": 1e300})
@example({"station_idx": 1, "windows": -1})
@example({"station_idx": 1, "start_ts": "1970-01-01T00:00+14:00"})
def test_any_document_is_a_sound_checkpoint_or_nobodys_or_refused(document: dict[str, Any]) -> None:
    read_checkpoint(document)


def test_of_overlapping_empties_what_was_asked_last_counts() -> None:
    at = [datetime(2022, 1, day, tzinfo=UTC) for day in range(1, 9)]
    found = to_checkpoint(
        {"station_idx": 1, "empty": [[at[0], at[4], at[6]], [at[2], at[3], at[7]]]}
    )
    assert found is not None
    base = found.empty[0].start
    assert [(item.start - base, item.end - base) for item in found.empty] == [
        (0, 48),
        (48, 72),
        (72, 96),
    ]


def test_a_status_that_is_code_equal_to_one_counts_as_none() -> None:
    read = to_checkpoint({"station_idx": 8641, "status": Code("completed")})
    assert read is not None
    assert read.status is Status.IN_PROGRESS
