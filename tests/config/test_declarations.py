"""A setting is declared once: everything else comes from the declaration."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from runner.config.keys import declared, defaults, is_section, known_keys
from runner.config.read import read
from runner.config.section import Section, setting, with_sections
from runner.config.settings import Config
from runner.core.errors import ConfigError
from runner.sources.settings import all_settings

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)


class Balloon(Section):
    """A source of its own."""

    height_m: int = setting(100, "metres above the ground", ge=0, le=40_000, unit="metres")


class Weather(Section):
    """A section of its own."""

    kind: str = setting("fair", "what it is like")


class Wind(Section):
    """Settings beside those of a section that exists."""

    wind_ms: float = setting(0.0, "metres per second")

    def broken(self) -> Iterator[str]:
        if self.wind_ms > 100:
            yield f"source.wind_ms={self.wind_ms:g}: nothing flies in it"


def test_every_setting_has_a_sentence_and_every_bound_a_unit() -> None:
    for key, field in declared(all_settings()):
        assert field.description, key
        bounded = any(hasattr(item, "ge") or hasattr(item, "le") for item in field.metadata)
        extra = field.json_schema_extra
        assert not bounded or (isinstance(extra, dict) and extra["unit"]), key


def test_every_default_is_allowed_by_its_own_declaration() -> None:
    without_range = {"backfill": {"last": "2 years"}}  # which fills in years
    assert all_settings().model_validate(defaults(all_settings())) == all_settings().model_validate(
        without_range
    )


def test_sections_declared_elsewhere_are_settings_like_all_others() -> None:
    model = with_sections(
        Config, [("source.balloon", Balloon), ("weather", Weather), ("source", Wind)]
    )
    assert {"source.balloon.height_m", "weather.kind", "source.base_url", "source.wind_ms"} <= set(
        known_keys(model)
    )
    given = defaults(model)
    given["backfill"]["days"] = 1
    given["source"]["balloon"]["height_m"] = 12
    config = read(given, NOW, model)
    assert config.section("source.balloon", Balloon).height_m == 12
    assert config.section("source", Wind).wind_ms == 0
    given["source"]["balloon"] = {"height_m": -1, "depth_m": 1}
    given["source"]["wind_ms"] = 101
    with pytest.raises(ConfigError) as refused:
        read(given, NOW, model)
    assert "source.balloon.height_m=-1: allowed are 0 to 40,000 (metres)" in refused.value.message
    assert "source.wind_ms=101: nothing flies in it" in refused.value.message
    assert "'source.balloon.depth_m'; source.balloon has: height_m" in refused.value.message


def test_a_section_has_no_settings_without_a_default() -> None:
    assert [
        key for key, field in declared(all_settings()) if field.is_required() and is_section(field)
    ] == []
