"""Every flag that --hydra-help lists works, and Hydra's others are not accepted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.cli.arguments import FLAGS
from runner.cli.help import flags_page

Run = Callable[..., Any]
REPOSITORY = Path(__file__).resolve().parents[2]
SHOWING = ("--resolve", "--package", "-p", "--config-dir", "-cd")
WITH = dict.fromkeys(SHOWING, ("--cfg", "job"))
VALUES = {"KEY": ["stations"], "DIR": ["."], "install=SHELL": ["install=bash", "uninstall=bash"]}


def advertised() -> list[tuple[str, ...]]:
    """Return a command line for every spelling and every value of a flag on the page."""
    lines = []
    for listed in re.findall(r"^  (-.*)$", flags_page(), re.MULTILINE):
        names, _, value = re.fullmatch(r"((?:-[\w-]+(?:, )?)+)( (\S+))?", listed).groups()  # type: ignore[union-attr]
        for name in names.split(", "):
            values = VALUES.get(value, value.split("|")) if value else [""]
            lines += [(*WITH.get(name, ()), name, *([one] if one else [])) for one in values]
    return lines


def test_the_page_lists_every_flag(run: Run) -> None:
    ran = run("--hydra-help")
    assert ran.code == 0
    assert ran.out == flags_page() + "\n"
    assert {word for line in advertised() for word in line} >= {
        name for flag in FLAGS for name in flag.names
    }


@pytest.mark.parametrize("words", advertised(), ids=" ".join)
def test_every_advertised_flag_works(run: Run, cwd: Path, words: tuple[str, ...]) -> None:
    if set(words) & {"--multirun", "-m", "--run", "-r"}:
        # A run of its own needs a database: that it asks for one shows that it began.
        ran = run(*words, "job=status", "source=aqicn")
        assert ran.code == 2
        assert "MONGO_URI is not set" in ran.err
        return
    ran = run(*words)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip()
    assert list(cwd.iterdir()) == []


def test_a_sweep_shows_the_settings_of_each_job(run: Run) -> None:
    ran = run("-m", "backfill.batch_size=24,48", "--cfg", "job")
    shown = list(yaml.safe_load_all(ran.out))
    assert [settings["backfill"]["batch_size"] for settings in shown] == [24, 48]


@pytest.mark.parametrize(
    ("line", "suggestion"),
    [
        ("runner stations=ha", "stations=hanoi"),
        ("runner job=sta", "job=status"),
        ("runner backfill.batch", "backfill.batch_size="),
        ("runner stations=hanoi rate_limit=g", "rate_limit=gentle"),
    ],
)
def test_tab_completes_groups_options_and_keys(
    run: Run, monkeypatch: pytest.MonkeyPatch, line: str, suggestion: str
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    ran = run("-sc", "query=bash")
    assert ran.code == 0
    assert suggestion in ran.out.split()


def test_tab_completes_private_options(
    run: Run, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (private / "stations" / "ours.yaml").write_text("named: {}\n", encoding="utf-8")
    monkeypatch.setenv("COMP_LINE", "runner stations=ou")
    assert run("-sc", "query=bash").out.split() == ["stations=ours"]


@pytest.mark.parametrize("request_", ["install=no_such", "explain=bash", "query=bash"])
def test_a_request_that_no_shell_makes_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, request_: str
) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    run("-sc", request_).refused()


@pytest.mark.parametrize(
    "words",
    [
        ("--config-path", "conf"),
        ("--config-name", "other"),
        ("--experimental-rerun", "x.pickle"),
        ("--resolve",),
        ("--cfg", "job", "--info", "all"),
        ("--run=yes",),
        ("--cfg=jobs",),
    ],
)
def test_what_is_not_advertised_is_refused(run: Run, cwd: Path, words: tuple[str, ...]) -> None:
    run(*words).refused()
    assert list(cwd.iterdir()) == []


def test_nothing_in_the_product_reaches_into_hydra() -> None:
    found = [
        f"{path}: {line}"
        for path in (REPOSITORY / "runner").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"hydra\._internal|sys\.modules\[|sys\.argv\s*=|HYDRA_FULL_ERROR", line)
    ]
    assert found == []


def test_the_console_script_completes_in_bash(cwd: Path) -> None:
    script = Path(sys.executable).with_name("runner")
    if not script.exists():
        pytest.skip("the console script is not installed")
    lines = [
        'eval "$(runner -sc install=bash)"',
        'COMP_LINE="runner stations=ha" COMP_POINT=18 COMP_WORDS=(runner stations=ha) COMP_CWORD=1',
        'hydra_bash_completion; echo "${COMPREPLY[@]}"',
    ]
    environment = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "stations=hanoi" in done.stdout.split()
