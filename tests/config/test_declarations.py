"""A setting is declared once: everything else comes from the declaration."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runner.config.keys import declared, defaults, is_section, known_keys
from runner.config.read import read
from runner.config.section import Section, setting, with_sections
from runner.config.settings import Config
from runner.core.errors import ConfigError

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)


class Balloon(Section):
    """A source of its own."""

    height_m: int = setting(100, "metres above the ground", ge=0, le=40_000, unit="metres")


class Weather(Section):
    """A section of its own."""

    kind: str = setting("fair", "what it is like")


def test_every_setting_has_a_sentence_and_every_bound_a_unit() -> None:
    for key, field in declared():
        assert field.description, key
        bounded = any(hasattr(item, "ge") or hasattr(item, "le") for item in field.metadata)
        extra = field.json_schema_extra
        assert not bounded or (isinstance(extra, dict) and extra["unit"]), key


def test_every_default_is_allowed_by_its_own_declaration() -> None:
    without_range = {"backfill": {"last": "2 years"}}  # which fills in years
    assert Config.model_validate(defaults()) == Config.model_validate(without_range)


def test_sections_declared_elsewhere_are_settings_like_all_others() -> None:
    model = with_sections(Config, {"source.balloon": Balloon, "weather": Weather})
    assert {"source.balloon.height_m", "weather.kind", "source.base_url"} <= set(known_keys(model))
    given = defaults(model)
    given["backfill"]["days"] = 1
    given["source"]["balloon"]["height_m"] = 12
    config = read(given, NOW, model=model)
    assert config.section("source.balloon", Balloon).height_m == 12
    given["source"]["balloon"] = {"height_m": -1, "depth_m": 1}
    with pytest.raises(ConfigError) as refused:
        read(given, NOW, model=model)
    assert "source.balloon.height_m=-1: allowed are 0 to 40,000 (metres)" in refused.value.message
    assert "'source.balloon.depth_m'; source.balloon has: height_m" in refused.value.message


def test_a_section_has_no_settings_without_a_default() -> None:
    assert [key for key, field in declared() if field.is_required() and is_section(field)] == []
