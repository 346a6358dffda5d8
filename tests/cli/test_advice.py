"""What a message recommends is accepted when it is typed."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Run

WRITE = r"write:? (.+)$"
WITHOUT = r"without the \+: (.+)$"


@pytest.mark.parametrize(
    ("typed", "advice", "expected"),
    [
        ("--stations hue", WRITE, "stations=hue"),
        ("--stations hue,da_nang", WRITE, "stations=[hue,da_nang]"),
        ("--stations 8641 8767", WRITE, "stations.ids=[8641,8767]"),
        ("--stations 'Bach Khoa'", WRITE, "stations.name=Bach Khoa"),
        ("--years 3 --dry-run", WRITE, "backfill.years=3 dry_run=true"),
        ("+stations.named.12345=Foo", WRITE, "+stations.named={12345: Foo}"),
        ("status", r"write (job=\w+)", "job=status"),
        ("+job=status", WITHOUT, "job=status"),
        ("+dry_run=true", WITHOUT, "dry_run=true"),
        ("stations.named={1: A}", WRITE, "+stations.named={1: A}"),
        ("job=replay rejects=true", r"(job=replay) tries", "job=replay"),
    ],
)
def test_what_a_message_says_to_write_is_accepted(
    run: Run, typed: str, advice: str, expected: str
) -> None:
    refused = run(*shlex.split(typed) if "{" not in typed else [typed])
    refused.refused()
    found = re.search(advice, refused.err, re.MULTILINE)
    assert found, refused.err
    words = shlex.split(found[1])
    assert " ".join(words) == expected
    assert run(*words, "--cfg", "job").code == 0


@pytest.mark.parametrize(
    ("typed", "word"), [("stations=danang", "da_nang"), ("stations=hanio", "hanoi")]
)
def test_the_option_that_was_meant_exists(run: Run, typed: str, word: str) -> None:
    refused = run(typed)
    refused.refused(f"did you mean {word}?")
    assert run(f"stations={word}", "--cfg", "job").code == 0


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("quality.checks.C01.stations=5", "a check has enabled, warn, fail"),
        ("hydra.verbose=true", "hydra/launcher"),
    ],
)
def test_a_setting_that_there_is_not_is_refused_with_those_that_there_are(
    run: Run, typed: str, words: str
) -> None:
    run(typed).refused(words)
    assert "write +" not in run(typed).err


def test_a_bad_line_of_env_is_named_with_its_file(
    run: Run, cwd: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (cwd / ".env").write_text("MONGO_DB=air\nno setting at all\n")
    run("job=status")
    assert f"{cwd / '.env'}: python-dotenv could not parse statement starting at line 2" in (
        caplog.text
    )
