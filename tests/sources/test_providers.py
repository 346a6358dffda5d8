"""What sources declare about themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import sources
from runner.config.files import builtin_dir
from runner.core.errors import ConfigError
from runner.sources import built_in, key_names, providers

OWN = """
from runner.sources.provider import Key, Provider, opened_by
key = Key("OWN_KEY", "own.example.org", "https://own.example.org")
PROVIDERS = (Provider(name={name!r}, prepare=opened_by(None), credits={{}}, key=key),)
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of installed packages."""
    monkeypatch.syspath_prepend(tmp_path)
    sources._found.cache_clear()
    yield tmp_path
    sources._found.cache_clear()


def install(packages: Path, module: str, code: str, value: str = "PROVIDERS") -> None:
    (packages / f"{module}.py").write_text(code, encoding="utf-8")
    metadata = packages / f"{module}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[runner.sources]\n{module} = {module}:{value}\n")


def test_every_source_that_can_be_typed_declares_itself() -> None:
    typed = {path.stem for path in (builtin_dir() / "source").glob("*.yaml")}
    assert typed == set(built_in())
    assert all(name == one.name for name, one in built_in().items())


def test_every_source_but_replay_says_whose_its_readings_are() -> None:
    # Kept answers are of whoever gave them: the record of a run names those.
    assert [name for name, one in built_in().items() if not one.credits] == ["replay"]


def test_installed_packages_bring_sources_and_the_names_of_their_keys(packages: Path) -> None:
    install(packages, "own_source_a", OWN.format(name="own"))
    assert set(providers()) - set(built_in()) == {"own"}
    assert "OWN_KEY" in key_names()


@pytest.mark.parametrize(
    ("code", "value", "told"),
    [
        ("import no_such_module", "PROVIDERS", "ModuleNotFoundError: No module named"),
        ("raise SystemError('broken')", "PROVIDERS", "SystemError: broken"),
        (OWN.format(name="own"), "NO_SUCH", "cannot be loaded: AttributeError"),
        ("PROVIDERS = 7", "PROVIDERS", "is no tuple of runner.sources.provider.Provider"),
        (OWN.format(name="aqicn"), "PROVIDERS", "there is a source of the name aqicn already"),
    ],
)
def test_a_package_whose_source_cannot_be_used_is_named_and_keys_stay_secret(
    packages: Path, code: str, value: str, told: str
) -> None:
    name = f"own_source_{abs(hash(told))}"
    install(packages, name, code, value)
    with pytest.raises(ConfigError, match=told) as refused:
        providers()
    assert f"the entry point {name} = {name}:{value} of runner.sources" in refused.value.message
    assert "uninstall" in refused.value.hint
    assert {"AQICN_API_KEY", "OPENAQ_API_KEY"} <= {*key_names()}
