"""The log: JSON lines in a file, short lines on the console, no secrets in either."""

import json
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from runner.process.logs import LOG_NAME, logging_to
from runner.process.secrets import Environment, Redactor
from runner.sources import key_names

CANARY = "canary-0a1b2c3d"
REDACT = Redactor(Environment({"AQICN_API_KEY": CANARY}, Path(".env"), key_names))
CHATTY = ("urllib3", "pymongo", "hydra", "asyncio")

log = structlog.get_logger()
library = logging.getLogger("some.library")


def logs(run_dir: Path | None, level: str = "INFO") -> AbstractContextManager[None]:
    return logging_to(run_dir, level, "run-7", REDACT)


def state_of_logging() -> list[Any]:
    root = logging.getLogger()
    levels = [logging.getLogger(name).level for name in CHATTY]
    return [root.handlers[:], root.level, levels, structlog.get_config()]


@pytest.fixture(autouse=True)
def _no_traces() -> Iterator[None]:
    """Put logging back as it was, whatever a test left behind."""
    handlers, level, levels, _config = state_of_logging()
    yield
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)
    for name, its_level in zip(CHATTY, levels, strict=True):
        logging.getLogger(name).setLevel(its_level)
    structlog.reset_defaults()


def lines(run_dir: Path) -> list[dict[str, Any]]:
    file = run_dir / LOG_NAME
    text = file.read_text("utf-8") if file.exists() else ""
    assert text.endswith("\n") or not text
    return [json.loads(line) for line in text.splitlines()]


def fail(value: str) -> None:
    local_copy = value + "-local"
    if local_copy:
        raise ValueError(value)


def test_every_line_of_the_file_is_json_with_event_level_time_and_run_id(tmp_path: Path) -> None:
    with logs(tmp_path):
        log.info("window.stored", station_idx=1584, name="Đà Nẵng", window=("a", "b"))
        log.bind(station_idx=7).warning("two\nlines")
        library.warning("from a %s", "library")
    found = lines(tmp_path)
    assert [(line["event"], line["level"]) for line in found] == [
        ("window.stored", "info"),
        ("two\nlines", "warning"),
        ("from a library", "warning"),
    ]
    assert all(line["run_id"] == "run-7" and line["timestamp"].endswith("Z") for line in found)
    assert (found[0]["name"], found[0]["window"], found[1]["station_idx"]) == (
        "Đà Nẵng",
        ["a", "b"],
        7,
    )
    assert "Đà Nẵng" in (tmp_path / LOG_NAME).read_text("utf-8")


def test_the_run_id_of_a_line_is_that_of_its_run_whatever_an_event_says(tmp_path: Path) -> None:
    with logs(tmp_path):
        log.info("lease.taken", run_id="somebody else's")
    assert lines(tmp_path)[0]["run_id"] == "run-7"


def test_a_second_run_in_the_same_directory_adds_to_the_file(tmp_path: Path) -> None:
    for run_id in ("one", "two"):
        with logging_to(tmp_path, "INFO", run_id, REDACT):
            log.info("run.started")
    assert [line["run_id"] for line in lines(tmp_path)] == ["one", "two"]


def test_secrets_are_masked_in_the_file_and_on_the_console_however_deep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Url:
        def __str__(self) -> str:
            return f"https://api/?token={CANARY}"

    with logs(tmp_path):
        log.warning("event %s", CANARY, value=f"x{CANARY}y", url=Url(), raw=CANARY.encode())
        log.warning("nested", deep={"list": [{"of": (CANARY, [f"<{CANARY}>"])}]}, one={CANARY})
        library.warning("GET %s", f"/feed?token={CANARY}")
    text = (tmp_path / LOG_NAME).read_text("utf-8")
    shown = capsys.readouterr().err
    assert CANARY not in text + shown
    assert lines(tmp_path)[1]["deep"] == {"list": [{"of": ["***", ["<***>"]]}]}
    assert "x***y" in shown


def test_secrets_are_masked_in_an_error_given_as_a_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logs(tmp_path):
        log.warning("store.failed", error=ValueError(f"bad login {CANARY}"))
    assert CANARY not in (tmp_path / LOG_NAME).read_text("utf-8") + capsys.readouterr().err


def test_secrets_are_masked_in_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logs(tmp_path):
        log.warning("counts", by_token={CANARY: 3})
    assert CANARY not in (tmp_path / LOG_NAME).read_text("utf-8") + capsys.readouterr().err


def test_a_traceback_is_in_the_file_without_locals_or_secrets_and_not_on_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logs(tmp_path):
        try:
            fail(CANARY)
        except ValueError as error:
            log.exception("station.broke")
            log.warning("station.broke", exc_info=error)
            library.exception("library broke")
    found = lines(tmp_path)
    for line in found:
        (raised,) = line["exception"]
        assert (raised["exc_type"], raised["exc_value"]) == ("ValueError", "***")
        assert [frame["name"] for frame in raised["frames"]][-1] == "fail"
        assert all(not frame.get("locals") for frame in raised["frames"])
    shown = capsys.readouterr().err
    assert len(found) == len(shown.splitlines()) == 3
    assert "-local" not in (tmp_path / LOG_NAME).read_text("utf-8")
    assert CANARY not in (tmp_path / LOG_NAME).read_text("utf-8") + shown


def test_causes_and_notes_of_an_error_are_masked_too(tmp_path: Path) -> None:
    with logs(tmp_path):
        try:
            try:
                fail(CANARY)
            except ValueError as error:
                error.add_note(f"while asking with {CANARY}")
                raise RuntimeError("outer") from error
        except RuntimeError:
            log.exception("broke")
    text = (tmp_path / LOG_NAME).read_text("utf-8")
    assert "while asking with ***" in text
    assert "outer" in text
    assert CANARY not in text


def test_the_console_names_the_kind_of_an_error_passed_along(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logs(None):
        log.error("station.broke", exc_info=ZeroDivisionError("x"))
    assert "error=ZeroDivisionError" in capsys.readouterr().err


def test_the_console_names_the_kind_of_an_error_being_handled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logs(None):
        try:
            fail("")
        except ValueError:
            log.exception("station.broke")
    assert "error=ValueError" in capsys.readouterr().err


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_nothing_below_the_level_is_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    levels = ["debug", "info", "warning", "error"]
    with logs(tmp_path, level):
        for name in levels:
            getattr(log, name)(f"ours.{name}")
            getattr(library, name)(f"theirs.{name}")
    expected = levels[levels.index(level.lower()) :]
    wanted = [f"{whose}.{name}" for name in expected for whose in ("ours", "theirs")]
    assert [line["event"] for line in lines(tmp_path)] == wanted
    assert [line.split("]")[1].strip() for line in capsys.readouterr().err.splitlines()] == wanted


@pytest.mark.parametrize("name", CHATTY)
def test_libraries_that_write_whole_urls_are_not_heard_at_debug(tmp_path: Path, name: str) -> None:
    with logs(tmp_path, "DEBUG"):
        logging.getLogger(name).debug("GET /feed?token=…")
    assert lines(tmp_path) == []


def test_libraries_are_held_to_a_level_above_warning(tmp_path: Path) -> None:
    with logs(tmp_path, "ERROR"):
        for name in CHATTY:
            logging.getLogger(name).warning("careful")
    assert lines(tmp_path) == []


def test_what_the_progress_display_tells_is_not_repeated_on_the_console_unless_it_went_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logs(tmp_path):
        log.info("window.stored")
        log.info("request.sent")
        log.warning("request.retried")
        log.info("run.started")
    shown = capsys.readouterr().err
    assert [line.split()[-1] for line in shown.splitlines()] == ["request.retried", "run.started"]
    assert "run-7" not in shown
    assert len(lines(tmp_path)) == 4


def test_at_debug_the_console_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with logs(None, "DEBUG"):
        log.info("window.stored")
    assert "window.stored" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["event", "value", "library"])
def test_escapes_from_outside_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], where: str
) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J"
    with logs(None):
        if where == "event":
            log.warning(evil)
        elif where == "value":
            log.warning("station.failed", error=evil)
        else:
            library.warning("%s", evil)
    assert not set(capsys.readouterr().err) & {"\x1b", "\x07"}


def test_escapes_from_outside_are_harmless_in_the_file(tmp_path: Path) -> None:
    with logs(tmp_path):
        log.info("station.started", name="\x1b[2J\x07\r\n{}")
    assert "\x1b" not in (tmp_path / LOG_NAME).read_text("utf-8")
    assert lines(tmp_path)[0]["name"] == "\x1b[2J\x07\r\n{}"


def test_a_name_that_utf8_cannot_hold_costs_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logs(tmp_path):
        log.info("station.started", name=json.loads('"\\ud800"'))
        log.info("station.left")
    assert [line["event"] for line in lines(tmp_path)] == ["station.started", "station.left"]
    assert "cannot be written" not in capsys.readouterr().err


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full: not Linux")


@needs_full
def test_a_full_disk_is_said_once_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LOG_NAME).symlink_to(FULL)
    with suppress(OSError), logs(tmp_path):  # the end of the log is the next test's
        for _ in range(3):
            log.warning("going.on")
        shown = capsys.readouterr().err
    assert shown.count("going.on") == 3
    assert shown.count("cannot be written") == 1
    assert "No space left" in shown


@needs_full
def test_a_full_disk_does_not_end_the_run_when_the_log_is_closed(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).symlink_to(FULL)
    before = state_of_logging()
    with logs(tmp_path):
        log.warning("going.on")
    assert state_of_logging() == before


@needs_full
def test_after_a_full_disk_logging_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).symlink_to(FULL)
    before = state_of_logging()
    with suppress(OSError), logs(tmp_path):
        log.warning("going.on")
    assert state_of_logging() == before


def test_a_log_that_cannot_be_opened_is_said_once_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LOG_NAME).mkdir()
    with logs(tmp_path):
        log.warning("going.on")
        log.warning("going.on")
    shown = capsys.readouterr().err
    assert shown.count("going.on") == 2
    assert shown.count("cannot be written") == 1


def test_root_logging_is_as_it_was_afterwards_also_after_an_error(tmp_path: Path) -> None:
    def run() -> None:
        with logs(tmp_path, "DEBUG"):
            during.extend(state_of_logging())
            raise ZeroDivisionError

    during: list[Any] = []
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    logging.getLogger().addHandler(logging.NullHandler())
    before = state_of_logging()
    with pytest.raises(ZeroDivisionError):
        run()
    assert state_of_logging() == before
    assert during[0] != before[0]


def test_without_a_run_directory_no_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with logs(None):
        log.info("run.started")
    assert list(tmp_path.iterdir()) == []
