"""Which values are refused, and in which words."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest

from runner.config.keys import bounds_of, declared
from runner.config.settings import Config
from runner.core.errors import ConfigError
from runner.sources.airnow.settings import Sites
from runner.sources.settings import all_settings

Compose = Callable[..., Config]


@pytest.mark.parametrize(
    "override",
    [
        "backfill.batch_size=0",
        "backfill.batch_size=8785",
        "backfill.years=0",
        "backfill.years=-1",
        "backfill.workers=0",
        "backfill.workers=65",
        "backfill.lag_hours=-1",
        "rate_limit.delay_s=nan",
        "rate_limit.delay_s=inf",
        "rate_limit.delay_s=-0.1",
        "rate_limit.delay_s=3601",
        "rate_limit.max_per_hour=-1",
        "mongo.timeout_s=0",
        "mongo.embedded.port=70000",
        "sandbox.faults.rate_429=1.1",
        "sandbox.faults.rate_5xx=nan",
        "sandbox.missing_share=0.06",
        "source.retry.max_attempts=0",
        "source.read_timeout_s=0",
    ],
)
def test_values_out_of_range_name_key_value_and_range(composed: Compose, override: str) -> None:
    with pytest.raises(ConfigError, match="allowed are") as refused:
        composed(override)
    assert refused.value.message.startswith(override.split("=", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["stations.ids=[5,6,5]"], "stations.ids: 5 stands there 2 times"),
        (["stations.ids=[2147483648]"], "2147483648 is no station index"),
        (["stations.ids=[]"], "stations.ids=[]: name at least one, or leave it out"),
        (["mongo.database=admin"], "belong to MongoDB itself"),
        (["mongo.database=local"], "belong to MongoDB itself"),
        (["mongo.database=Config"], "belong to MongoDB itself"),
        (["quality.checks.C01.params.capture=1.1"], "capture=1.1: allowed are 0 to 1 (a share)"),
        (["quality.checks.C02.params.capture=95"], "capture=95: allowed are 0 to 1 (a share)"),
        (["quality.checks.C06.params.hours=25"], "hours=25: allowed are 1 to 24 (hours of a day)"),
        (["quality.checks.T04.params.level=[0.7,0.3]"], "the lower bound comes first"),
        (["quality.checks.X02.params.factor=0"], "factor=0: allowed are 1 to 1,000 (a factor)"),
        (["quality.checks.V04.params.t=[45,-5]"], "the lower bound comes first, as [-5, 45]"),
        (["quality.checks.C02.warn=51%"], "C02.warn=51%: it must not be above fail=50%"),
        (["quality.checks.C00.warn=40%"], "C00.warn=40%: it must not be below fail=50%"),
        (["quality.checks.K01.warn=1"], "K01.warn=1: it must not be above fail=0"),
        (["+quality.checks={C02: {fail: 5%}}"], "C02.warn=10%: it must not be above fail=5%"),
        (["+quality.stations.8641.T02.warn=many"], "quality.stations.8641.T02.warn=many: write a"),
        (["+quality.stations.8641={T02: {wran: 1}}"], "quality.stations.8641.T02.wran"),
        (["stations.ids=[true]"], "stations.ids[0]=true is not a whole number"),
        (["backfill.workers=true"], "backfill.workers=true is not a whole number"),
        (["rate_limit.delay_s=false"], "rate_limit.delay_s=false is not a number"),
        (["stations.ids=[0]"], "0 is no station index"),
        (["job.output=json"], "job=status, job=plan, job=runs have"),
        (["+stations.named={4000000000: far}"], "stations.named: 4000000000"),
        (["stations.bbox=[1,2,3]"], "south,west,north,east"),
        (["stations.bbox=[21,105,20,106]"], "south,west,north,east"),
        (["stations.bbox=[nan,105,20,106]"], "stations.bbox[0]=nan is not a number"),
        (["backfill.days=7", "backfill.years=3"], "exclude each other"),
        (["backfill.last=2 weeks"], "write 2 years or 30 days"),
        (["worker=-1"], "worker=-1: allowed are 0 to"),
        (["worker=1", "backfill.mode=gaps"], "worker=1: workers share"),
        (["worker=1", "backfill.lookback_hours=1"], "worker=1: workers share"),
        (["worker=1", "dry_run=true"], "no dry_run"),
        (["source=airnow"], "source.path=DIR"),
        (["source=airnow", "source.path=/no/such/directory"], "no such directory"),
        (["source.base_url=http://api.example.org"], "source.allow_http=true"),
        (["source.base_url=https://me:secret@example.org"], "AQICN_API_KEY"),
        (["source.base_url=ftp://example.org"], "write https://HOST"),
        (["source.base_url=https://example.org:port"], "source.base_url"),
        (["source.history.path=feed/history"], "{feed}"),
        (["mongo.database=a/b"], "mongo.database=a/b"),
        (["mongo.database="], "1 to 50 characters"),
        (["sandbox.faults.rate_429=0.6", "sandbox.faults.rate_5xx=0.6"], "more than 1"),
        (["sandbox.replay=/no/such/directory"], "no such directory"),
        (["source=aqicn_live", "backfill.start_date=2024-01-01"], "has the present only"),
        (["source=aqicn_live", "backfill.mode=gaps"], "has the present only"),
        (["source=aqicn_live", "backfill.lookback_hours=48"], "lookback_hours=48: source=aqicn_l"),
        (["source=aqicn_live", "backfill=last_30_days"], "backfill.days=30: source=aqicn_live ha"),
        (["profile=hourly", "backfill.lookback_hours=1"], "lookback_hours=1: source=aqicn_live"),
        (["source=aqicn_live", "job=retry"], "asks every station"),
        (["source=aqicn_live", "worker=1"], "asks every station itself"),
        (["source=aqicn_live", "backfill.mode=refetch"], "has the present only"),
        (["source=aqicn_live", "source.keep_raw=true"], "cannot be replayed"),
        (["source=aqicn_live", "source.base_url=http://api.example.org"], "source.allow_http=true"),
        (["job=stations", "source=replay"], "discover.file=PATH"),
        (["job=stations", "country=anywhere"], "stations.bbox="),
        (["job=stations", "discover.file=/no/such.csv"], "no such file"),
        (["+country.parts={x: '1 2'}"], "country.parts.x: 1 corners are no outline"),
        (["sandbox.flaws=[{kind: gap, day: 08-20}]"], "sandbox.flaws[0].station"),
        (["sandbox.flaws=[{station: 1, day: 20-08}]"], "write 08-20 for every year"),
        (["sandbox.flaws=[{station: 1}]"], "sandbox.flaws[0].day="),
        (["sandbox.flaws=[{station: 1, day: 08-20, hour: 24}]"], "allowed are 0 to 23"),
        (["sandbox.flaws=[{station: 1, day: 08-20, hours: 0}]"], "allowed are 1 to 8,784"),
        (["sandbox.flaws=[{station: 1, day: 08-20, value: 5}]"], "a gap has no value"),
        (["sandbox.flaws=[{station: 1, day: 08-20, kind: spike}]"], "a spike needs an index"),
        (["sandbox.flaws=[{station: 1, day: 08-20, kind: level, value: 0}]"], "allowed are 0.01"),
        (
            ["sandbox.flaws=[{station: 1, day: 08-20, kind: level, value: nan}]"],
            "=nan is not a number",
        ),
        (["job=validate", "quality.run_dir=nowhere"], "a run's directory, with quality/"),
        (["quality.run_dir=nowhere"], "only job=validate"),
    ],
)
def test_impossible_settings_are_refused(
    composed: Compose, overrides: list[str], told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        composed(*overrides)
    assert told in refused.value.message
    assert "secret" not in refused.value.message


def bounded() -> list[str]:
    """Return the keys of all settings that have bounds."""
    return [key for key, field in declared(all_settings()) if bounds_of(field)]


def test_all_mistakes_of_a_command_line_are_shown_at_once_each_with_its_key_and_bounds(
    composed: Compose,
) -> None:
    assert len(bounded()) > 40
    with pytest.raises(ConfigError) as refused:
        composed(*(f"{key}=-13" for key in bounded()))
    lines = refused.value.message.splitlines()
    for key in bounded():
        (line,) = [line for line in lines if line.startswith(f"{key}=-13")]
        assert re.match(r".*: allowed are -?[\d,.]+ to [\d,.]+ \(\w.*\)$", line)


def test_wrong_types_bounds_unknown_keys_and_broken_rules_are_shown_together(
    composed: Compose,
) -> None:
    with pytest.raises(ConfigError) as refused:
        composed(
            "backfill.batch_size=0",
            "backfill.workers=many",
            "+mongo.collection=x",
            "log_level=LOUD",
            "stations.ids=[5,5]",
            "dry_run=perhaps",
            "worker=1",
            "backfill.mode=gaps",
        )
    assert sorted(refused.value.message.splitlines()) == [
        "backfill.batch_size=0: allowed are 1 to 8,784 (hours)",
        "backfill.workers=many is not a whole number",
        "dry_run=perhaps: allowed are true and false",
        "log_level=LOUD: allowed are DEBUG, INFO, WARNING, ERROR",
        (
            "no group or key 'mongo.collection'; mongo has: database, timeout_s, outage_limit_s, "
            "use_embedded, indexes, readings, embedded"
        ),
        "stations.ids: 5 stands there 2 times; name it once",
        (
            "worker=1: workers share hours that are not covered, each is asked for once; so no "
            "dry_run, backfill.mode=resume and backfill.lookback_hours=0 only"
        ),
    ]


def test_a_rule_about_a_value_that_is_wrong_by_itself_is_not_shown_on_top(
    composed: Compose,
) -> None:
    with pytest.raises(ConfigError) as refused:
        composed("source=airnow", "source.path=[1]")
    assert refused.value.message == "source.path=[1] is not a single value"


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("stations.ids=[12345,67890]", "stations.ids", [12345, 67890]),
        ("stations.ids=[-476599]", "stations.ids", [-476599]),
        ("stations.name=da nang", "stations.name", "da nang"),
        ("stations.bbox=[20.9,105.7,21.2,106]", "stations.bbox", [20.9, 105.7, 21.2, 106.0]),
        ("backfill.start_date=2022-01-01", "backfill.start_date", "2022-01-01"),
        ("backfill.end_date=2023-01-01T00:00Z", "backfill.end_date", "2023-01-01T00:00Z"),
        ("backfill.years=3", "backfill.years", 3),
        ("backfill.batch_size=24", "backfill.batch_size", 24),
        ("rate_limit.delay_s=2", "rate_limit.delay_s", 2.0),
        ("rate_limit.delay_s=0", "rate_limit.delay_s", 0.0),
        ("dry_run=true", "dry_run", True),
        ("log_level=DEBUG", "log_level.name", "DEBUG"),
        ('mongo.database="không_khí"', "mongo.database", "không_khí"),
        ("source.base_url=http://127.0.0.1:8080", "source.base_url", "http://127.0.0.1:8080"),
        (
            "+source.sites={New Place: {station: 8551, utc_offset: '+08:00'}}",
            "source.sites",
            {
                "Hanoi": 8641,
                "Ho Chi Minh City": 8767,
                "New Place": {"station": 8551, "utc_offset": "+08:00"},
            },
        ),
    ],
)
def test_documented_overrides_work(
    composed: Compose, override: str, key: str, value: object
) -> None:
    assert attrgetter(key)(composed(override)) == value


@pytest.mark.parametrize("override", ["+surprise=1", "+backfill.surprise=1"])
def test_settings_unknown_to_the_schema_never_pass(composed: Compose, override: str) -> None:
    with pytest.raises(ConfigError, match="surprise"):
        composed(override)


def test_http_is_allowed_elsewhere_when_asked_for(composed: Compose) -> None:
    config = composed("source.base_url=http://api.example.org", "source.allow_http=true")
    assert config.source.allow_http


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+source.sites={Ulaanbaatar: 8551}", "+source.sites={Ulaanbaatar: {station: 8551, utc_"),
        ("+source.sites={Ulaanbaatar: {station: 8551}}", "Ulaanbaatar: {station: 8551, utc_offset"),
        ("+source.sites={New Delhi: {station: 1, utc_offset: '+05:30'}}", "full hours"),
        ("+source.sites={A: {station: 1, utc_offset: '+15:00'}}", "utc_offset=+15:00"),
        ("+source.sites={A: {station: 1, utc_offset: 8}}", "utc_offset=8 is no offset"),
        ("+source.sites={A: {station: 1, zone: '+08:00'}}", "station and utc_offset"),
        ("source.sites.Hanoi=abc", "abc is no station index"),
        ("source.sites.Hanoi=0", "0 is no station index"),
        ("source.sites.Hanoi=2147483648", "2147483648 is no station index"),
    ],
)
def test_a_site_that_is_not_known_needs_its_time_zone_and_the_message_says_how_to_write_it(
    composed: Compose, override: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        composed(override)
    assert words in caught.value.message


def test_airnow_and_replay_directories_are_accepted(composed: Compose, tmp_path: Path) -> None:
    (tmp_path / "Hanoi_PM2.5_2018_YTD.CSV").touch()
    config = composed("source=airnow", f"source.path={tmp_path}", f"sandbox.replay={tmp_path}")
    assert config.section("source", Sites).sites["Hanoi"] == 8641


@pytest.mark.parametrize(
    "override",
    [
        "quality.checks.C02.warn=50%",
        "quality.checks.C00.warn=50%",
        "quality.checks.R01.fail=0.5%",  # a count and a share cannot be compared
        "quality.checks.K01.warn=0",
        "quality.checks.T01.params.run_pm25=[2,4]",
        "+quality.stations.8641.T02.warn=1%",
        "+quality.stations.hanoi={T02: {warn: 1%}, C04: {warn: never}}",
        "mongo.database=administration",
        "backfill.batch_size='24'",
    ],
)
def test_values_at_the_bounds_pass(composed: Compose, override: str) -> None:
    composed(override)


@pytest.mark.parametrize("typed", ["days=3", "years=1", "start_date=2025-01-01"])
@pytest.mark.parametrize("option", ["two_years", "last_30_days"])
def test_what_is_typed_beats_the_default_range(composed: Compose, option: str, typed: str) -> None:
    backfill = composed(f"backfill={option}", f"backfill.{typed}").backfill
    given = {"days": backfill.days, "years": backfill.years, "start_date": backfill.start_date}
    key, _, value = typed.partition("=")
    assert {name: str(said) for name, said in given.items() if said is not None} == {key: value}
