"""Every file a person can choose composes, and means what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from runner.config.files import GROUPS, builtin_dir, bundled_stations, options
from runner.config.job import JobName
from runner.config.settings import Config
from runner.sources import providers
from runner.sources.sandbox.settings import Sandbox
from runner.sources.settings import all_settings

Compose = Callable[..., Config]

OPTIONS = [(option.group, option.name) for option in options(builtin_dir())]
PROFILES = [name for group, name in OPTIONS if group == "profile"]
ALL_FILES = sorted(builtin_dir().rglob("*.yaml"))
REAL_STATIONS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "vn_stations.jsonl"


def needs(group: str, name: str, directory: Path) -> list[str]:
    """Return what an option cannot do without."""
    if (group, name) not in (("source", "airnow"), ("source", "openaq_archive")):
        return []
    (directory / "Hanoi_PM2.5_2018_YTD.csv").touch()
    return [f"source.path={directory}"]


def named_groups() -> Iterator[tuple[str, dict[int, str]]]:
    for path in sorted((builtin_dir() / "stations").glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "named" in content:
            yield path.stem, content["named"]


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_option_of_every_group_composes(
    composed: Compose, tmp_path: Path, group: str, name: str
) -> None:
    composed(f"{group}={name}", *needs(group, name, tmp_path))


@pytest.mark.parametrize(("profile", "source"), [(p, s) for p in PROFILES for s in providers()])
def test_every_profile_composes_with_every_source(
    composed: Compose, tmp_path: Path, profile: str, source: str
) -> None:
    config = composed(f"profile={profile}", f"source={source}", *needs("source", source, tmp_path))
    assert config.source.kind == source


def test_files_offer_every_job_and_every_kind_of_source() -> None:
    assert {name for group, name in OPTIONS if group == "job"} == set(JobName.__members__)
    assert {name for group, name in OPTIONS if group == "source"} == set(providers())


def test_folders_are_the_groups_and_no_others() -> None:
    folders = {path.name for path in builtin_dir().iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "schema"}


def test_default_files_and_schema_agree(composed: Compose) -> None:
    config, declared = composed().model_dump(), all_settings()().model_dump()
    del config["backfill"]["years"], declared["backfill"]["years"]  # filled in, of backfill.last
    del config["quality"]["checks"], declared["quality"]["checks"]  # nor rules, standard does
    for section in ("stations", "country"):  # nor stations, nor a country, viet_nam does
        del config[section], declared[section]
    assert config == declared


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_first_line_of_every_file_says_what_it_is(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    is_profile = path.parent.name == "profile"
    if not is_profile and path.parent.name == "source" and lines[0] == "# @package _global_":
        del lines[0]  # a source that comes with a pace of its own
    if is_profile:
        assert lines.pop(0) == "# @package _global_"
        assert lines[1].startswith("# python -m runner")
    assert re.match(r"# \S.{8,}", lines[0])


def test_descriptions_of_amounts_name_their_units() -> None:
    units = {"backfill": r"year|day", "rate_limit": r"\d s\b"}
    for option in options(builtin_dir()):
        assert re.search(units.get(option.group, ""), option.description), option.path


def test_profile_commands_compose(composed: Compose) -> None:
    for name in PROFILES:
        text = (builtin_dir() / "profile" / f"{name}.yaml").read_text(encoding="utf-8")
        command = text.splitlines()[2].removeprefix("# python -m runner").split()
        composed(*command)


def test_station_groups_add_up(composed: Compose) -> None:
    both = composed("stations=[hanoi,da_nang]").stations.named
    hanoi = composed("stations=hanoi").stations.named
    da_nang = composed("stations=da_nang").stations.named
    assert both == {**hanoi, **da_nang}
    assert len(both) == len(hanoi) + len(da_nang)


def test_big_cities_are_five_groups_and_may_be_named_beside_them(composed: Compose) -> None:
    cities = ["hanoi", "ho_chi_minh_city", "da_nang", "hai_phong", "can_tho"]
    big = composed("stations=big_cities").stations
    assert big.named == composed(f"stations=[{','.join(cities)}]").stations.named
    assert composed("stations=[big_cities,hanoi]").stations.named == big.named
    assert not big.selectors


def test_hours_that_reach_openaq_late_are_not_asked_for_early(
    composed: Compose, tmp_path: Path
) -> None:
    assert composed("source=openaq").backfill.lag_hours == 24
    assert composed("profile=nightly", "source=openaq").backfill.lag_hours == 24
    copies = needs("source", "openaq_archive", tmp_path)
    assert composed("source=openaq_archive", *copies).backfill.lag_hours == 120


def test_chosen_groups_replace_the_default_all(composed: Compose) -> None:
    assert composed().stations.selectors
    assert not composed("stations=hanoi").stations.selectors


def test_selectors_combine_with_named_groups(composed: Compose) -> None:
    chosen = composed("stations=[us_missions,red_river_delta,hue]").stations
    assert set(chosen.selectors) == {"us_embassy", "us_consulate", "red_river_delta"}
    assert set(chosen.named) == {12488}


def test_no_station_is_in_two_province_groups() -> None:
    for (first, some), (second, others) in combinations(named_groups(), 2):
        assert not set(some) & set(others), (first, second)


def test_bundled_stations_are_those_of_all_groups() -> None:
    together = {idx: name for _group, named in named_groups() for idx, name in named.items()}
    assert bundled_stations() == together
    assert bundled_stations()[8641].startswith("Hanoi US Embassy")
    assert -476599 in bundled_stations()


@pytest.mark.skipif(not REAL_STATIONS.exists(), reason="needs ../shared/data/vn_stations.jsonl")
def test_groups_hold_the_98_real_stations_under_their_names() -> None:
    lines = REAL_STATIONS.read_text(encoding="utf-8").splitlines()
    real = {station["idx"]: station["name"] for station in map(json.loads, lines)}
    assert len(real) == 98
    assert bundled_stations() == real


@pytest.mark.skipif(not REAL_STATIONS.exists(), reason="needs ../shared/data/vn_stations.jsonl")
def test_stations_of_a_group_lie_together() -> None:
    lines = REAL_STATIONS.read_text(encoding="utf-8").splitlines()
    placed = {s["idx"]: (s["lat"], s["lon"]) for s in map(json.loads, lines) if s["lat"]}
    for group, named in named_groups():
        latitudes, longitudes = zip(*(placed[idx] for idx in named if idx in placed), strict=True)
        assert max(latitudes) - min(latitudes) < 0.9, group
        assert max(longitudes) - min(longitudes) < 0.9, group


def test_last_30_days_and_years_come_from_their_files(composed: Compose) -> None:
    assert composed("backfill=last_30_days").backfill.days == 30
    years = [composed(f"backfill={name}_years").backfill.years for name in ("two", "three")]
    assert years == [2, 3]
    assert composed("backfill=one_year").backfill.years == 1


def test_demo_needs_no_key_no_server_and_little_time(composed: Compose) -> None:
    demo = composed("profile=demo")
    assert demo.source.kind == "sandbox"
    sandbox = demo.section("sandbox", Sandbox)
    assert demo.mongo.use_embedded
    hours_each = 366 * 24
    requests = len(demo.stations.named) * (hours_each // demo.backfill.batch_size + 1)
    assert requests * demo.rate_limit.delay_s < 30
    assert sandbox.faults.rate_429 > 0
    assert sandbox.faults.rate_timeout == 0


def test_demo_spoils_three_of_its_stations_and_no_others(composed: Compose) -> None:
    demo = composed("profile=demo")
    spoilt = {flaw.station: flaw.kind.value for flaw in demo.section("sandbox", Sandbox).flaws}
    assert set(spoilt.values()) == {"flat_line", "spike", "gap"}
    assert set(spoilt) < set(demo.stations.named)
    assert len(demo.stations.named) > len(spoilt)


def test_command_line_beats_the_profile(composed: Compose) -> None:
    demo = composed(
        "profile=demo", "stations=hue", "rate_limit.delay_s=1", "backfill.batch_size=24"
    )
    assert set(demo.stations.named) == {12488}
    assert demo.rate_limit.delay_s == 1
    assert demo.backfill.batch_size == 24
