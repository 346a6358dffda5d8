"""From a number to a status: thresholds as they are written, and what they let pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.files import standard_checks
from runner.config.quality import OF_NEIGHBOURS, OF_THE_RUN, ONE_PER_STATION, Quality
from runner.core.verdict import (
    Status,
    Threshold,
    blamed_words,
    gate_fails,
    threshold,
    worst_status,
)
from runner.quality.catalogue import Found, Level
from runner.quality.checks import checks
from runner.quality.judge import MONTH_H, Judged, Tally, judge, judge_station
from runner.quality.policy import Rule, policy_of
from tests.quality.world import NOW

POLICY = policy_of(Quality(), standard_checks(), NOW.date())
MORE_IS_WORSE, LESS_IS_WORSE = "V01", "C00"

counts = st.integers(0, 10**7)
shares = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)
written = st.one_of(counts.map(str), shares.map(lambda share: f"{share:.2f}%"), st.just("never"))
looked_at = st.integers(1, 10**7).flatmap(
    lambda evaluated: st.tuples(st.just(evaluated), st.integers(0, evaluated))
)


def status(check_id: str, warn: str, fail: str, evaluated: int, failed: float) -> Status:
    """Return the status of a check at one station."""
    return judged(check_id, warn, fail, Found(evaluated, failed=failed)).status


def judged(check_id: str, warn: str, fail: str, found: Found) -> Judged:
    """Return the result of a check at one station."""
    rule = Rule(True, threshold(warn), threshold(fail), {})
    policy = replace(POLICY, rules={check_id: rule})
    return judge_station(checks()[check_id], found, policy, 1, 7)


def by_month(*months: tuple[int, int]) -> Found:
    """Return what a check of rows found: evaluated and failed of January, February, ..."""
    days = pl.DataFrame(
        {
            "day": [(date(2023, number, 5) - date(1970, 1, 1)).days
                    for number in range(1, len(months) + 1)],
            "evaluated": [one[0] for one in months],
            "failed": [one[1] for one in months],
        },
        {"day": pl.Int32, "evaluated": pl.Int64, "failed": pl.Int64},
    )  # fmt: skip
    total = int(days["evaluated"].sum())
    return Found(total, failed=float(days["failed"].sum()), days=days)


def test_a_bad_week_is_not_diluted_by_a_good_year() -> None:
    """120 hours of doubled aqi are 1.4 % of a station's year, and 16 % of their month."""
    year = [(744, 0)] * 11
    found = judged("X01", "10%", "never", by_month(*year, (744, 120)))
    assert (found.status, found.month) == (Status.WARN, "2023-12")
    assert found.share == pytest.approx(120 / 744)
    assert judged("X01", "10%", "never", by_month((12 * 744, 120))).status is Status.PASS


def test_one_odd_hour_in_an_edge_month_of_seven_hours_counts_as_one_of_a_month() -> None:
    found = judged("S02", "1%", "10%", by_month((7, 1), (744, 0)))
    assert found.status is Status.PASS
    all_odd = judged("S02", "0.95%", "10%", by_month((7, 7), (744, 0)))
    assert (all_odd.status, all_odd.month) == (Status.WARN, "2023-01")
    assert all_odd.share == pytest.approx(7 / MONTH_H)


def test_a_short_range_is_judged_as_the_whole_it_is() -> None:
    """Three days with eight odd hours: a share of these days, not of a month."""
    assert judged("S02", "1%", "10%", by_month((72, 8))).status is Status.FAIL


@given(
    months=st.lists(
        st.integers(1, 800).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
        min_size=1, max_size=12,
    ),
    share=shares,
)  # fmt: skip
def test_months_never_make_a_station_look_better(
    months: list[tuple[int, int]], share: float
) -> None:
    found = by_month(*months)
    whole = judged("S02", "never", f"{share:.2f}%", Found(found.evaluated, failed=found.failed))
    assert judged("S02", "never", f"{share:.2f}%", found).status.severity >= whole.status.severity


def test_a_check_is_as_bad_as_its_worst_station_and_says_how_many_these_are() -> None:
    rule = Rule(True, threshold("0"), threshold("10%"), {})
    policy = replace(POLICY, rules={"V02": rule})
    tally = Tally()
    for idx in range(1, 99):
        failed = {3: 50, 7: 1}.get(idx, 0)
        tally.judged[idx] = judge_station(
            checks()["V02"], Found(100, failed=failed), policy, idx, 7
        )
    tally.judged[99] = judge_station(checks()["V02"], Found(0), policy, 99, 7)
    result = judge({"V02": tally}, policy)["V02"]
    assert result.status is Status.FAIL  # of all 98 together 0.5 % failed
    assert result.stations == (3, 7)
    assert result.counts() == {"not_evaluated": 1, "pass": 96, "warn": 1, "fail": 1}
    assert result.worst == (3, tally.judged[3])
    words = "1 of 98 stations fails, 1 warns"
    assert blamed_words(result.counts()) == words


@pytest.mark.parametrize(("bad", "status"), [(0, "pass"), (5, "warn"), (6, "fail")])
def test_a_share_of_a_check_with_one_result_per_station_is_one_of_the_stations(
    bad: int, status: str
) -> None:
    policy = replace(POLICY, rules={"R06": Rule(True, threshold("0"), threshold("5%"), {})})
    tally = Tally()
    for idx in range(1, 101):
        found = Found(1, failed=float(idx <= bad))
        tally.judged[idx] = judge_station(checks()["R06"], found, policy, idx, 7)
    result = judge({"R06": tally}, policy)["R06"]
    assert (str(result.status), len(result.stations)) == (status, bad)
    assert all(str(result.judged[idx].status) == status for idx in result.stations)


def test_the_lists_of_the_settings_are_those_of_the_catalogue() -> None:
    known = checks().values()
    assert {one.id for one in known if one.unit == "stations"} == ONE_PER_STATION
    of_run = {one.id for one in known if one.level is Level.RUN}
    assert of_run == OF_THE_RUN | OF_NEIGHBOURS


@given(count=counts)
def test_a_count_is_read_as_it_is_written(count: int) -> None:
    assert threshold(f" {count} ") == Threshold(count, is_share=False)


@given(share=shares, blank=st.sampled_from(["", " "]))
def test_a_share_is_read_as_a_part_of_one(share: float, blank: str) -> None:
    found = threshold(f"{share:.2f}{blank}%")
    assert found is not None
    assert found.is_share
    assert 0 <= found.value <= 1
    assert found.value == pytest.approx(share / 100)


@given(text=st.text(max_size=8))
def test_any_other_text_is_refused_not_guessed(text: str) -> None:
    try:
        found = threshold(text)
    except ValueError:
        return
    clean = text.strip()
    assert (found is None) == (clean == "never")
    assert found is None or float(clean.rstrip("% ")) >= 0


@pytest.mark.parametrize("text", ["", "-1", "101%", "100.1 %", "1e3", "nan", "inf", "5 of 7", "%",
                                  "Never", "9" * 400])  # fmt: skip
def test_thresholds_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is"):
        threshold(text)


@given(found=looked_at, warn=written, fail=written, more=st.integers(0, 10**7))
@pytest.mark.parametrize("check_id", [MORE_IS_WORSE, LESS_IS_WORSE])
def test_more_failures_never_improve_a_status(
    check_id: str, found: tuple[int, int], warn: str, fail: str, more: int
) -> None:
    evaluated, failed = found
    worse = min(evaluated, failed + more)
    before = status(check_id, warn, fail, evaluated, failed)
    assert status(check_id, warn, fail, evaluated, worse).severity >= before.severity


@given(found=looked_at, fail=written)
def test_a_bound_itself_is_still_allowed_and_one_more_is_not(
    found: tuple[int, int], fail: str
) -> None:
    evaluated, failed = found
    assert status(MORE_IS_WORSE, "never", str(failed), evaluated, failed) is Status.PASS
    assert status(MORE_IS_WORSE, str(failed), "never", evaluated, failed) is Status.PASS
    assert status(MORE_IS_WORSE, str(failed), "never", evaluated, failed + 1) is Status.WARN
    assert status(MORE_IS_WORSE, fail, str(failed), evaluated, failed + 1) is Status.FAIL


@given(found=looked_at, share=shares)
def test_a_share_is_one_of_what_was_looked_at(found: tuple[int, int], share: float) -> None:
    evaluated, failed = found
    over = failed / evaluated > share / 100
    told = status(MORE_IS_WORSE, "never", f"{share:.2f}%", evaluated, failed)
    assert told is (Status.FAIL if over else Status.PASS)
    under = 1 - failed / evaluated < share / 100
    told = status(LESS_IS_WORSE, "never", f"{share:.2f}%", evaluated, failed)
    assert told is (Status.FAIL if under else Status.PASS)


@given(found=looked_at)
@pytest.mark.parametrize("check_id", [MORE_IS_WORSE, LESS_IS_WORSE])
def test_never_lets_everything_pass(check_id: str, found: tuple[int, int]) -> None:
    assert status(check_id, "never", "never", *found) is Status.PASS


@given(warn=written, fail=written)
@pytest.mark.parametrize("check_id", [MORE_IS_WORSE, LESS_IS_WORSE])
def test_nothing_looked_at_is_not_evaluated_and_a_broken_check_an_error(
    check_id: str, warn: str, fail: str
) -> None:
    assert status(check_id, warn, fail, 0, 0) is Status.NOT_EVALUATED
    broken = {check_id: Tally(error="ZeroDivisionError: x")}
    assert judge(broken, POLICY)[check_id].status is Status.ERROR


@given(statuses=st.lists(st.sampled_from(Status)), one_more=st.sampled_from(Status))
def test_a_verdict_is_that_of_the_worst_check(statuses: list[Status], one_more: Status) -> None:
    told = worst_status(statuses)
    assert told in (Status.PASS, Status.WARN, Status.FAIL)
    assert worst_status([*statuses, one_more]).severity >= told.severity
    assert worst_status([*statuses, Status.NOT_EVALUATED]) is told
    assert worst_status([*statuses, Status.ERROR]) is Status.FAIL
    gates = [gate_fails(told, name) for name in ("never", "fail", "warn")]
    assert gates == sorted(gates)  # a stricter gate never lets more pass
    assert gates[0] is False
