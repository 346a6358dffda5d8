"""The audit of dependencies: a vulnerability fails it, a service out of reach does not."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", REPOSITORY / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_service_out_of_reach_is_told_in_one_line_and_fails_nothing(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SERVICE", ("127.0.0.1", 1))
    assert audit.main() == 0
    out = capsys.readouterr().out
    assert out.startswith("audit skipped: ")
    assert out.count("\n") == 1


def test_a_known_vulnerability_is_told(audit: ModuleType) -> None:
    flaw: dict[str, Any] = {"id": "PYSEC-1", "fix_versions": ["2"]}
    report = {"dependencies": [{"name": "a", "version": "1", "vulns": [flaw]}, {"name": "b"}]}
    assert audit.vulnerabilities(json.dumps(report)) == ["a 1: PYSEC-1, fixed in ['2']"]


def test_what_is_no_report_counts_as_not_asked(audit: ModuleType) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        audit.vulnerabilities("")
