"""The units for systemd say what docs/nightly.md promises, and systemd accepts them."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli.main import main
from runner.core.errors import Exit

DOCS = Path(__file__).resolve().parents[2] / "docs"
UNITS = DOCS / "systemd"
SERVICE = (UNITS / "backfill.service").read_text("utf-8")
LOOK_AT_IT = {Exit.QUALITY_GATE, Exit.INCOMPLETE}


def setting(name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", SERVICE, re.MULTILINE)
    assert found, name
    return found[1]


def codes(name: str) -> set[int]:
    return set(map(int, setting(name).split()))


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    program = setting("ExecStart").split()[0]
    assert program.endswith("/.venv/bin/python")
    service = tmp_path / "backfill.service"  # where the program exists, as it does once installed
    service.write_text(SERVICE.replace(program, sys.executable), "utf-8")
    shutil.copy(UNITS / "backfill.timer", tmp_path)
    units = [service, tmp_path / "backfill.timer"]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in done.stderr.splitlines() if "backfill" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_service_starts_a_command_that_composes() -> None:
    words = shlex.split(setting("ExecStart"))
    assert words[1:3] == ["-m", "runner"]
    assert main([*words[3:], "--cfg", "job"]) == 0


def test_a_night_to_look_at_is_a_failure_and_only_what_may_pass_by_itself_is_tried_again() -> None:
    calm, not_again = codes("SuccessExitStatus"), codes("RestartPreventExitStatus")
    assert calm == {Exit.SIGTERM}
    assert not_again == {Exit.CONFIGURATION, *LOOK_AT_IT}
    assert Exit.COULD_NOT_RUN not in calm | not_again


def test_the_table_speaks_of_every_exit_code_of_a_process_that_nobody_types_at() -> None:
    rows = re.findall(
        r"^\| (\d+) \|.*\| (\w+)", (DOCS / "nightly.md").read_text("utf-8"), re.MULTILINE
    )
    assert {int(code) for code, _cron in rows} == set(Exit) - {Exit.SIGINT}


def test_no_secret_and_no_address_stands_in_a_unit() -> None:
    for unit in UNITS.iterdir():
        text = unit.read_text("utf-8")
        assert not re.search(r"(AQICN_API_KEY|MONGO_URI)=|mongodb", text), unit.name
    assert setting("EnvironmentFile").startswith("/etc/")
