"""From a number to a status: thresholds as they are written, and what they let pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.files import standard_checks
from runner.config.quality import Quality
from runner.core.verdict import Status, Threshold, gate_fails, threshold, worst_status
from runner.quality.inspect import Tally
from runner.quality.judge import judge
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
    """Return what a check comes to."""
    rule = Rule(True, threshold(warn), threshold(fail), {})
    policy = replace(POLICY, rules={check_id: rule})
    return judge({check_id: Tally(evaluated, failed)}, policy)[check_id].status


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
def test_nothing_looked_at_is_a_skip_and_a_broken_check_an_error(
    check_id: str, warn: str, fail: str
) -> None:
    assert status(check_id, warn, fail, 0, 0) is Status.SKIP
    broken = {check_id: Tally(5, 0, error="ZeroDivisionError: x")}
    assert judge(broken, POLICY)[check_id].status is Status.ERROR


@given(statuses=st.lists(st.sampled_from(Status)), one_more=st.sampled_from(Status))
def test_a_verdict_is_that_of_the_worst_check(statuses: list[Status], one_more: Status) -> None:
    told = worst_status(statuses)
    assert told in (Status.PASS, Status.WARN, Status.FAIL)
    assert worst_status([*statuses, one_more]).severity >= told.severity
    assert worst_status([*statuses, Status.SKIP]) is told
    assert worst_status([*statuses, Status.ERROR]) is Status.FAIL
    gates = [gate_fails(told, name) for name in ("never", "fail", "warn")]
    assert gates == sorted(gates)  # a stricter gate never lets more pass
    assert gates[0] is False
