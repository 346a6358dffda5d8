"""Canary: an API or a proxy that echoes a secret, wherever and however spelt, leaves it nowhere."""

from __future__ import annotations

import html
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pymongo.database import Database

from runner.sources.sandbox.climatology import Climatology
from runner.sources.sandbox.openaq import OpenAqAnswers, concentrations_of
from runner.sources.sandbox.server import Sandbox
from tests.product.openaq_api import NAMES, PLACES, now
from tests.product.product import FAST, Runner
from tests.sources.loopback import Loopback, Scripted, answer, says

pytestmark = pytest.mark.slow

KEY = "canary-0a1b2c3d4e5f60718293a4b5c6d7"
PASSWORD = "canary/pass word+5f6g"
SPELT = {
    "plain": KEY,
    "url": "".join(f"%{ord(character):02x}" for character in KEY),
    "url twice": quote("".join(f"%{ord(character):02X}" for character in KEY)),
    "json": "".join(f"\\u{ord(character):04x}" for character in KEY),
    "html": "".join(f"&#x{ord(character):x};" for character in KEY),
    "lines": f"{KEY[:9]}\n  {KEY[9:20]}\r\n{KEY[20:]}",
    "lines in json": f"{KEY[:9]}\\n{KEY[9:]}",
    "base64": b64encode(f"user:{KEY}".encode()).decode(),
    "base64 for urls": urlsafe_b64encode(f"x{KEY}??>".encode()).decode(),
}
ALL = " ".join(SPELT.values())
ASK = (
    "stations.ids=[8641]",
    "backfill.start_date=2023-01-01",
    "backfill.end_date=2023-01-02",
    "limits.reject_share=1",
    "source.retry.max_attempts=2",
    "log_level=DEBUG",
    *FAST,
)
REPORT = ("quality=standard", "quality.fail_on=never", "report=html", "report.summary=true")


def record(hour: int, **changes: Any) -> dict[str, Any]:
    whole = {
        "current_aqi": 45,
        "time": {"s": f"2023-01-01 {hour:02}:00:00", "tz": "Z"},
        "current_iaqi": {"pm25": {"v": 45}},
    }
    return {**whole, **changes}


RECORDS = [
    record(0),
    record(1, current_aqi=ALL),
    record(2, current_aqi="-", url=ALL, **{KEY: 1}),
    record(3, current_iaqi={"pm25": {"v": 45}, KEY: {"v": ALL}}),
    record(4, time={"s": ALL, "tz": KEY}),
    ALL,
]
HEADER = " ".join(spelt for spelt in SPELT.values() if "\n" not in spelt)

ECHOES: dict[str, tuple[bool, Scripted]] = {
    "records": (True, says({"status": "ok", "data": RECORDS})),
    "records in UTF-16": (
        True,
        answer(200, json.dumps({"status": "ok", "data": RECORDS}).encode("utf-16")),
    ),
    "an error": (False, says({"status": "error", "data": f"Unknown station, token={ALL}"})),
    "an error inside": (False, says({"status": "ok", "data": {"status": "error", "msg": ALL}})),
    "the content type": (False, answer(200, b"<html>", {"Content-Type": f"text/{HEADER}"})),
    "any header": (False, answer(500, b"", {f"X-{KEY}": HEADER, "Retry-After": HEADER})),
    "a redirect": (False, answer(302, b"", {"Location": f"https://example.test/?token={HEADER}"})),
    "a page": (False, answer(502, f"<html><pre>GET /feed?token={ALL}</pre></html>".encode())),
    "a reason": (False, answer(403, ALL.encode())),
}


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a document, also in its bytes."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace") + value.decode("utf-16", "replace")
    else:
        yield str(value)


def unescaped(text: str) -> str:
    """Return a text with everything undone that may hide another text in it."""
    for _ in range(3):
        text = re.sub(r"\\+(?:u00|x)(..)", lambda found: character(found[1]), text)
        text = html.unescape(re.sub(r"%(..)", lambda found: character(found[1]), text))
    return re.sub(r"(?:\\+[nr]|\s)+", "", text)


def character(code: str) -> str:
    try:
        return chr(int(code, 16))
    except ValueError:
        return ""


def decoded(text: str) -> str:
    """Return what is base64 in a text, read at every one of the four places where it may begin."""
    words = re.findall(r"[A-Za-z0-9+/]{16,4000}", text.replace("-", "+").replace("_", "/"))
    pieces = (word[start:] for word in words for start in range(4))
    return " ".join(b64decode(piece[: len(piece) // 4 * 4]).decode("latin-1") for piece in pieces)


def leaks(runner: Runner, database: Database[dict[str, Any]], *streams: str) -> set[str]:
    """Return where in streams, files, file names and documents a part of a secret stands."""
    produced = {f"stream {number}": stream for number, stream in enumerate(streams)}
    for file in runner.directory.rglob("*"):
        produced[f"name of {file.name}"] = str(file.relative_to(runner.directory))
        if file.is_file():
            produced[str(file)] = file.read_text("utf-8", errors="replace")
    for name in database.list_collection_names():
        produced[name] = "\n".join(text for one in database[name].find() for text in texts(one))
    looked_at = {"backfill.log", "outcome.json"}
    assert looked_at <= {Path(where).name for where in produced}
    return {
        where
        for where, text in produced.items()
        if any("canary" in seen for seen in (text, unescaped(text), decoded(text)))
    }


@pytest.mark.parametrize("spelling", SPELT)
def test_this_test_would_find_a_secret_in_any_spelling(spelling: str) -> None:
    text = f"<b>token={SPELT[spelling]}</b>"
    assert any("canary" in seen for seen in (text, unescaped(text), decoded(text)))


@pytest.mark.parametrize("place", ECHOES)
def test_an_api_that_echoes_the_key_leaves_it_nowhere(
    runner: Runner, database: Database[dict[str, Any]], place: str
) -> None:
    answers, reply = ECHOES[place]
    reported = REPORT if place == "records" else ()
    with Loopback(reply) as api:
        address = f"source.base_url={api.url}"
        keep = "source.keep_raw=true"
        done = runner(*ASK, *reported, address, keep, expect=None, AQICN_API_KEY=KEY)
        others = [runner(f"job={job}", address, AQICN_API_KEY=KEY) for job in ("rejects", "status")]
    streams = [text for one in (done, *others) for text in (one.stdout, one.stderr)]
    assert leaks(runner, database, *streams) == set()
    assert (done.returncode == 0) == answers, done.stdout + done.stderr
    if answers:
        assert database["ingest_rejects"].count_documents({}) == 5
        assert database["waqi_station_readings"].count_documents({}) == 2
        assert database["ingest_raw"].count_documents({}) > 0


def test_stations_called_like_the_key_are_noted_without_it(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    names = {1584 + number: f"{spelt}, Da Nang" for number, spelt in enumerate(SPELT.values())}
    with Sandbox(names, Climatology(1), token=KEY) as api:
        address = f"source.base_url={api.url}"
        found = runner(
            *("job=stations", "country=anywhere", "stations.bbox=[8,102,24,110]"),
            *(address, *FAST),
            AQICN_API_KEY=KEY,
        )
        listed = runner("job=status", address, AQICN_API_KEY=KEY)
    assert database["waqi_stations"].count_documents({}) == len(SPELT), found.stdout
    streams = (found.stdout, found.stderr, listed.stdout, listed.stderr)
    assert leaks(runner, database, *streams) == set()


def test_what_an_older_version_stored_of_the_key_is_not_shown(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    with Loopback(says({"status": "ok", "data": [{**record(0), "current_aqi": "?"}]})) as api:
        address = f"source.base_url={api.url}"
        runner(*ASK, address, expect=None, AQICN_API_KEY=KEY)
        assert (
            database["ingest_rejects"].update_many({}, {"$set": {"raw": {"x": KEY}}}).matched_count
        )
        database["ingest_checkpoints"].update_many({}, {"$set": {"error_message": f"said {ALL}"}})
        shown = [runner(f"job={job}", AQICN_API_KEY=KEY) for job in ("rejects", "status")]
    for one in shown:
        assert "canary" not in unescaped(one.stdout + one.stderr)
        assert "***" in one.stdout


def test_openaqs_terms_that_hold_the_key_are_noted_without_it(
    runner: Runner, database: Database[dict[str, Any]]
) -> None:
    names = {idx: f"{name} {ALL}" for idx, name in NAMES.items()}
    values = concentrations_of(Climatology(1))
    answers = OpenAqAnswers(PLACES, names, values, now, synthetic=True)
    with Sandbox(names, Climatology(1), token=KEY, openaq=answers) as api:
        done = runner(
            "source=openaq",
            "stations.ids=[8641]",
            "backfill.start_date=2016-11-05",
            "backfill.end_date=2016-11-15",
            *FAST,
            *REPORT,
            f"source.base_url={api.url}",
            OPENAQ_API_KEY=KEY,
        )
    assert (runner.run_dirs()[-1] / "attributions.json").is_file()
    assert leaks(runner, database, done.stdout, done.stderr) == set()


@pytest.mark.parametrize("status", [200, 407, 502])
def test_a_proxy_that_echoes_its_credentials_leaves_them_nowhere(
    runner: Runner, database: Database[dict[str, Any]], status: int
) -> None:
    def echo(handler: Any) -> None:
        said = f"{handler.headers['Proxy-Authorization']} {PASSWORD} {quote(PASSWORD, safe='')}"
        content = {"status": "error", "data": f"refused: {said}"}
        answer(
            status, json.dumps(content).encode(), {"Proxy-Authenticate": said, "Content-Type": said}
        )(handler)

    with Loopback(echo) as proxy:
        login = f"http://someone:{quote(PASSWORD, safe='')}@"
        done = runner(
            *ASK,
            "source.base_url=http://api.example.test",
            "source.allow_http=true",
            expect=None,
            AQICN_API_KEY=KEY,
            http_proxy=proxy.url.replace("http://", login),
            no_proxy="",
        )
        assert proxy.asked, done.stdout + done.stderr
        assert proxy.asked[0].headers["proxy-authorization"].startswith("Basic ")
    assert done.returncode != 0
    assert leaks(runner, database, done.stdout, done.stderr) == set()
