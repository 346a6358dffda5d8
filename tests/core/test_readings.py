"""Records become readings or rejects; nothing is invented, nothing dropped in silence."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.intervals import Interval, hour_of, to_datetime
from runner.core.readings import Reason, to_readings

NOW = datetime(2023, 6, 1, tzinfo=UTC)
NOON = datetime(2023, 1, 1, 5, tzinfo=UTC)
WINDOW = Interval(hour_of(NOON) - 5, hour_of(NOON) + 24)


def record(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "current_aqi": 45,
        "time": {"s": "2023-01-01 12:00:00", "tz": "+07:00"},
        "current_iaqi": {"pm25": {"v": 45}, "pm10": {"v": 32}},
    }
    whole.update(changes)
    return {key: value for key, value in whole.items() if value is not ...}


def at(s: str, tz: str = "+07:00") -> dict[str, str]:
    return {"s": s, "tz": tz}


def only_reason(*records: Any) -> Reason:
    made = to_readings(records, 8641, WINDOW, NOW)
    assert made.readings == []
    assert [reject.raw for reject in made.rejects] == list(records)
    return made.rejects[0].reason


def test_the_documented_record_becomes_the_documented_document() -> None:
    made = to_readings([record()], 8641, WINDOW, NOW)
    assert made.readings == [
        {
            "ts": NOON,
            "meta": {"station_idx": 8641},
            "aqi": 45,
            "time": {"s": "2023-01-01 12:00:00", "tz": "+07:00"},
            "iaqi": {"pm25": {"v": 45}, "pm10": {"v": 32}},
        }
    ]
    assert made.rejects == []


def test_feed_field_names_are_read_as_well() -> None:
    old = record(
        current_aqi=..., current_iaqi=..., aqi=45, iaqi={"pm25": {"v": 45}, "pm10": {"v": 32}}
    )
    assert to_readings([old], 1, WINDOW, NOW) == to_readings([record()], 1, WINDOW, NOW)


@pytest.mark.parametrize(
    "time",
    [
        at("2023-01-01 12:00:00", "+0700"),
        at("2023-01-01 05:00:00", "Z"),
        at("2022-12-31 22:00:00", "-07:00"),
        {"iso": "2023-01-01T12:00:00+07:00"},
        {"iso": "2023-01-01T05:00:00Z", "tz": "+07:00"},
        {"s": "2023-01-01 12:00:00", "tz": "+07:00", "v": 1672574400},
    ],
)
def test_the_instant_comes_from_wall_clock_and_offset_never_from_v(time: dict[str, Any]) -> None:
    made = to_readings([record(time=time)], 8641, WINDOW, NOW)
    assert [reading["ts"] for reading in made.readings] == [NOON]
    assert set(made.readings[0]["time"]) == {"s", "tz"}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (record(current_aqi=...), Reason.AQI_MISSING),
        (record(current_aqi=None), Reason.AQI_MISSING),
        (record(current_aqi="-"), Reason.AQI_DASH),
        (record(current_aqi="45"), Reason.AQI_NOT_A_NUMBER),
        (record(current_aqi=True), Reason.AQI_NOT_A_NUMBER),
        (record(current_aqi=float("nan")), Reason.AQI_NOT_A_NUMBER),
        (record(current_aqi=float("inf")), Reason.AQI_NOT_A_NUMBER),
        (record(current_aqi=[45]), Reason.AQI_NOT_A_NUMBER),
        (record(current_aqi=-1), Reason.AQI_NEGATIVE),
        (record(current_aqi=45.5), Reason.AQI_NOT_WHOLE),
        (record(current_aqi=10**400), Reason.AQI_TOO_LARGE),
        (record(time=...), Reason.TIME_UNPARSEABLE),
        (record(time={"tz": "+07:00", "v": 0}), Reason.TIME_UNPARSEABLE),
        (record(time=at("2023-01-01")), Reason.TIME_UNPARSEABLE),
        (record(time=at("2023-02-30 12:00:00")), Reason.TIME_UNPARSEABLE),
        (record(time=at("2023-01-01 12:00:00", "+99:00")), Reason.TIME_UNPARSEABLE),
        (record(time=at("2023-01-01 12:00:00", "ICT")), Reason.TIME_UNPARSEABLE),
        (record(time=at("0001-01-01 00:00:00")), Reason.TIME_UNPARSEABLE),
        (record(time=at("2023-01-01 12:30:00")), Reason.TIME_NOT_ON_THE_HOUR),
        (record(time=at("2022-12-01 12:00:00")), Reason.OUTSIDE_WINDOW),
        (record(time=at("2023-01-02 12:00:00")), Reason.OUTSIDE_WINDOW),
        (record(time=at("2024-01-01 12:00:00")), Reason.IN_FUTURE),
        (record(idx=8642), Reason.WRONG_STATION),
        ("nonsense", Reason.NOT_AN_OBJECT),
        (None, Reason.NOT_AN_OBJECT),
    ],
)
def test_what_is_no_reading_is_kept_with_its_reason(broken: Any, reason: Reason) -> None:
    assert only_reason(broken) is reason


def test_an_aqi_above_500_is_real_and_kept() -> None:
    made = to_readings([record(current_aqi=999)], 8641, WINDOW, NOW)
    assert made.readings[0]["aqi"] == 999


def test_a_whole_number_float_is_an_integer_aqi() -> None:
    aqi = to_readings([record(current_aqi=45.0)], 8641, WINDOW, NOW).readings[0]["aqi"]
    assert (aqi, type(aqi)) == (45, int)


def test_of_two_values_for_one_hour_the_later_in_the_answer_wins_and_the_other_is_kept() -> None:
    first, second = record(current_aqi=1), record(current_aqi=2)
    made = to_readings([first, second], 8641, WINDOW, NOW)
    assert [reading["aqi"] for reading in made.readings] == [2]
    assert [(reject.reason, reject.raw) for reject in made.rejects] == [
        (Reason.DUPLICATE_HOUR, first)
    ]


def test_the_same_record_twice_is_one_reading_and_no_reject() -> None:
    made = to_readings([record(), record()], 8641, WINDOW, NOW)
    assert (len(made.readings), made.rejects) == (1, [])


@pytest.mark.parametrize(
    "iaqi",
    [
        {"pm25": {"v": 45}, "pm10": {"v": "-"}},
        {"pm25": {"v": 45}, "$where": {"v": 1}},
        {"pm25": {"v": 45}, "a.b": {"v": 1}},
        {"pm25": {"v": 45}, "o3": {"v": float("nan")}},
        {"pm25": {"v": 45}, "o3": 3},
    ],
)
def test_an_unusable_sub_index_is_left_out_and_the_record_kept_beside(iaqi: dict[str, Any]) -> None:
    made = to_readings([record(current_iaqi=iaqi)], 8641, WINDOW, NOW)
    assert made.readings[0]["iaqi"] == {"pm25": {"v": 45}}
    assert [reject.reason for reject in made.rejects] == [Reason.SUB_INDEX_UNUSABLE]


def test_a_citizen_station_keeps_its_negative_index() -> None:
    made = to_readings([record(idx=-476599)], -476599, WINDOW, NOW)
    assert made.readings[0]["meta"] == {"station_idx": -476599}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional={
        "current_aqi": JSON | st.integers(-5, 999),
        "aqi": JSON,
        "idx": JSON,
        "time": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "s": JSON | st.just("2023-01-01 12:00:00"),
                "tz": JSON | st.just("Z"),
                "iso": JSON,
            },
        ),
        "current_iaqi": JSON | st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    },
)


@given(st.lists(JSON | ALMOST, max_size=6))
def test_no_json_breaks_the_parser_or_passes_as_something_else(records: list[Any]) -> None:
    made = to_readings(records, 8641, WINDOW, NOW)
    for reading in made.readings:
        assert set(reading) == {"ts", "meta", "aqi", "time", "iaqi"}
        assert isinstance(reading["aqi"], int)
        assert reading["aqi"] >= 0
        assert WINDOW.start <= hour_of(reading["ts"]) < WINDOW.end
        assert reading["ts"] <= NOW
    assert made.hours == [hour_of(reading["ts"]) for reading in made.readings]
    assert len(set(made.hours)) == len(made.hours)


@given(
    st.integers(48, 2_000_000).map(lambda hour: to_datetime(hour).replace(tzinfo=None)),
    st.integers(-14, 14),
    st.sampled_from((0, 15, 30, 45)),
    st.sampled_from(("s and tz", "s and tz without a colon", "iso")),
)
def test_the_instant_is_the_one_that_the_standard_library_reads(
    local: datetime, hours: int, minutes: int, form: str
) -> None:
    offset = f"{'-' if hours < 0 else '+'}{abs(hours):02}:{minutes:02}"
    general = datetime.fromisoformat(f"{local:%Y-%m-%dT%H:%M:%S}{offset}").astimezone(UTC)
    if form == "iso":
        time = {"iso": f"{local:%Y-%m-%dT%H:%M:%S}{offset}"}
    else:
        tz = offset if form == "s and tz" else offset.replace(":", "")
        time = {"s": f"{local:%Y-%m-%d %H:%M:%S}", "tz": tz}
    hour = hour_of(general)

    made = to_readings(
        [{"aqi": 45, "time": time}],
        8641,
        Interval(hour, hour + 1),
        datetime(2300, 1, 1, tzinfo=UTC),
    )

    if minutes:
        assert [(item.reason, item.hour) for item in made.rejects] == [
            (Reason.TIME_NOT_ON_THE_HOUR, hour)
        ]
    else:
        assert [item["ts"] for item in made.readings] == [general]
