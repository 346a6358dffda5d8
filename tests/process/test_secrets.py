"""Secrets: where they are read from, that they do not print, and that text is cleaned of them."""

import copy
import html
import json
import os
import pickle
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.process.secrets import MASK, PROXIES, Environment, Redactor, Secret, masked
from runner.sources import key_names

SECRETS = (*key_names(), "MONGO_URI")
KEY = "canary-0a1b2c3d"
PASSWORD = 'ca/na ry+"5\\6é'


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No secrets around, and a working directory without `.env`."""
    for name in (*SECRETS, *PROXIES, "MONGO_DB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def redactor(**values: str) -> Redactor:
    return Redactor(Environment(values, Path(".env"), key_names))


def test_a_setting_is_read_from_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# mine\nAQICN_API_KEY={KEY}\nexport MONGO_DB='air'\n", "utf-8")
    environment = Environment.read(key_names)
    assert environment.secret("AQICN_API_KEY").reveal() == KEY
    assert environment.get("MONGO_DB") == "air"
    assert environment.dotenv == tmp_path / ".env"


def test_the_process_environment_goes_before_dotenv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("AQICN_API_KEY=from-file\nMONGO_DB=from-file\n", "utf-8")
    monkeypatch.setenv("AQICN_API_KEY", "from-process")
    environment = Environment.read(key_names, tmp_path)
    assert environment.secret("AQICN_API_KEY").reveal() == "from-process"
    assert environment.get("MONGO_DB") == "from-file"


def test_an_empty_variable_of_the_process_does_not_hide_dotenv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"AQICN_API_KEY={KEY}\n", "utf-8")
    monkeypatch.setenv("AQICN_API_KEY", "")
    assert Environment.read(key_names).secret("AQICN_API_KEY").reveal() == KEY


def test_a_blank_variable_of_the_process_does_not_hide_dotenv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"AQICN_API_KEY={KEY}\n", "utf-8")
    monkeypatch.setenv("AQICN_API_KEY", " ")
    assert Environment.read(key_names).secret("AQICN_API_KEY").reveal() == KEY


def test_what_is_set_nowhere_is_empty_and_false() -> None:
    environment = Environment.read(key_names)
    assert not environment.secret("AQICN_API_KEY")
    assert environment.get("MONGO_DB") == ""
    assert environment.get("MONGO_DB", "default") == "default"


def test_dotenv_is_not_exported_to_child_processes(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"AQICN_API_KEY={KEY}\n", "utf-8")
    Environment.read(key_names)
    assert "AQICN_API_KEY" not in os.environ


def test_a_dollar_in_dotenv_is_a_dollar(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AQICN_API_KEY=a${HOME}$b\n", "utf-8")
    assert Environment.read(key_names).secret("AQICN_API_KEY").reveal() == "a${HOME}$b"


def test_dotenv_as_windows_editors_save_it_is_read(tmp_path: Path) -> None:
    text = f"AQICN_API_KEY={KEY}\r\nMONGO_DB=air\r\n"
    (tmp_path / ".env").write_bytes(text.encode("utf-8-sig"))
    environment = Environment.read(key_names)
    assert (environment.secret("AQICN_API_KEY").reveal(), environment.get("MONGO_DB")) == (
        KEY,
        "air",
    )


def test_blanks_around_a_pasted_value_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQICN_API_KEY", f" {KEY}\n")
    assert Environment.read(key_names).secret("AQICN_API_KEY").reveal() == KEY


def test_an_environment_prints_without_its_values() -> None:
    environment = Environment({"AQICN_API_KEY": KEY}, Path(".env"), key_names)
    assert f"{environment} {environment!r}" == "Environment(1 settings) Environment(1 settings)"


def test_a_secret_prints_as_stars_however_it_is_printed() -> None:
    secret = Secret(KEY)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{[secret]}", "%s" % secret]  # noqa: UP031 - one of the ways
    assert KEY not in " ".join(shown)
    assert str(secret) == repr(secret) == MASK
    assert json.dumps({"key": secret}, default=str) == '{"key": "***"}'
    assert KEY not in str(dir(secret))
    with pytest.raises(TypeError):
        vars(secret)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_does_not_pickle_nor_does_the_refusal_tell_it(protocol: int) -> None:
    with pytest.raises(TypeError) as caught:
        pickle.dumps({"nested": [Secret(KEY)]}, protocol)
    assert KEY not in str(caught.value)


def test_a_secret_cannot_be_copied_out() -> None:
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            duplicate(Secret(KEY))


def test_secrets_are_compared_by_value_and_never_equal_to_plain_text() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != Secret("another")
    assert Secret(KEY) != KEY


@pytest.mark.parametrize("name", SECRETS)
def test_every_known_secret_is_masked_wherever_it_stands(name: str) -> None:
    redact = redactor(**{name: KEY})
    assert redact(f"{KEY} token={KEY}&x=1 ({KEY}){KEY}") == "*** token=***&x=1 (***)***"


def test_text_without_secrets_stays_as_it_is() -> None:
    assert redactor(AQICN_API_KEY=KEY)("window stored: 24 hours") == "window stored: 24 hours"
    assert redactor()("anything at all") == "anything at all"
    assert redactor(MONGO_DB="airquality")("airquality") == "airquality"


def test_a_value_too_short_to_be_told_from_words_is_not_searched_for() -> None:
    assert redactor(AQICN_API_KEY="a")("a day") == "a day"


@given(st.text(min_size=8, max_size=20).filter(lambda text: len(text.strip()) >= 8))
def test_a_secret_is_masked_as_it_is_and_in_every_quoting_of_urls_and_reprs(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    redact = redactor(AQICN_API_KEY=value)
    value = value.strip()
    for spelling in (value, quote(value, safe=""), quote_plus(value), repr(value)[1:-1]):
        assert redact(f"<{spelling}>") == f"<{MASK}>"


def test_a_secret_within_another_is_masked_with_it() -> None:
    redact = redactor(AQICN_API_KEY="canary", OPENAQ_API_KEY="canary-long")
    assert redact("canary-long canary") == "*** ***"


def test_pattern_characters_in_a_secret_mean_nothing() -> None:
    assert redactor(AQICN_API_KEY="a.c*e(")("a.c*e( abcde(") == "*** abcde("


def escaped(value: str) -> list[str]:
    """Return a value as no library quotes it by itself: every character escaped."""
    return [
        "".join(f"%{byte:02x}" for byte in value.encode()),
        quote("".join(f"%{byte:02X}" for byte in value.encode())),
        "".join(rf"\u{ord(character):04x}" for character in value),
        "".join(rf"\\u{ord(character):04X}" for character in value),
        "".join(rf"\x{ord(character):02x}" for character in value),
        "".join(f"&#{ord(character)};" for character in value),
        "".join(f"&#x{ord(character):X};" for character in value),
        "\n".join(value),
        "\r\n  ".join(value),
        "\\n".join(value),
    ]


@pytest.mark.parametrize("value", [KEY, "a.c*e(12345", "can<a>&\"r'y 1"])
def test_a_secret_is_masked_in_any_mixture_of_escapes(value: str) -> None:
    redact = redactor(AQICN_API_KEY=value)
    for spelling in escaped(value):
        assert redact(f"<{spelling}>") == f"<{MASK}>"
    assert redact(f"<{html.escape(value)}>") == f"<{MASK}>"
    assert redact(f"<{value[:4]}{escaped(value[4:])[0]}>") == f"<{MASK}>"


@given(before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_no_half_of_a_secret_is_left_in_base64(before: bytes, after: bytes) -> None:
    redact = redactor(AQICN_API_KEY=KEY)
    for encode, decode in ((b64encode, b64decode), (urlsafe_b64encode, urlsafe_b64decode)):
        left = redact(encode(before + KEY.encode() + after).decode())
        assert MASK in left
        for part in left.split(MASK):
            for start in range(4):
                piece = part[start:]
                seen = decode(piece[: len(piece) // 4 * 4])
                assert all(KEY[at : at + 4].encode() not in seen for at in range(len(KEY) - 3))


PROXY = f"http://some%40one:{quote(PASSWORD, safe='')}@proxy.example.org:3128"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_of_a_proxy_its_credentials_are_masked_and_its_host_is_readable(name: str) -> None:
    redact = redactor(**{name: PROXY})
    basic = b64encode(f"some@one:{PASSWORD}".encode()).decode()
    assert redact(f"Basic {basic}") == "Basic ***"
    assert redact(f"<{PASSWORD}>") == "<***>"
    assert redact(PROXY) == "http://some%40one:***@proxy.example.org:3128"
    assert redactor(**{name: "http://proxy.example.org:3128"})(PROXY) == PROXY


def test_a_secret_among_the_options_of_a_database_uri_is_masked() -> None:
    redact = redactor(MONGO_URI="mongodb://h/?tlsCertificateKeyFilePassword=canary1234&w=1")
    assert redact("bad password canary1234, w=1") == "bad password ***, w=1"


@pytest.mark.parametrize("word", ["2023", "data", "readings", "covered"])
def test_a_password_that_is_a_word_is_masked_alone_and_spoils_no_data(word: str) -> None:
    redact = redactor(MONGO_URI=f"mongodb://user:{word}@host/")
    assert redact(f"login {word}, x{word} {word}_h {word}") == f"login ***, x{word} {word}_h ***"
    document = {word: 2023, "hours": [2023, 20.23, None, True], "why": f"bad login {word}"}
    changed = {word: 2023, "hours": [2023, 20.23, None, True], "why": "bad login ***"}
    assert masked(document, redact) == changed


def test_a_document_is_masked_in_its_keys_too() -> None:
    document = {KEY: [{f"x{KEY}": (KEY, 1)}]}
    assert masked(document, redactor(AQICN_API_KEY=KEY)) == {MASK: [{f"x{MASK}": [MASK, 1]}]}


URI = f"mongodb://user:{quote(PASSWORD, safe='')}@one:27017,two:27017/air?authSource=admin"


def test_a_database_uri_is_masked_as_a_whole() -> None:
    assert redactor(MONGO_URI=URI)(f"cannot reach {URI}") == "cannot reach ***"


@pytest.mark.parametrize(
    "spelling",
    [PASSWORD, quote(PASSWORD, safe="")],
    ids=["plain", "as in the URI"],
)
def test_the_password_of_a_database_uri_is_masked_decoded_and_as_in_the_uri(spelling: str) -> None:
    assert redactor(MONGO_URI=URI)(f"auth failed: <{spelling}>") == "auth failed: <***>"


@pytest.mark.parametrize(
    "spelling",
    [quote_plus(PASSWORD), quote(PASSWORD), repr(PASSWORD)[1:-1], json.dumps(PASSWORD)[1:-1]],
    ids=["quote_plus", "quote", "repr", "json"],
)
def test_the_password_of_a_database_uri_is_masked_in_its_other_spellings(spelling: str) -> None:
    assert redactor(MONGO_URI=URI)(f"<{spelling}>") == "<***>"


@pytest.mark.parametrize("value", ['can"ary-0a1b', 'can\tary-"0a1b'])
def test_a_secret_is_masked_in_json_text(value: str) -> None:
    text = json.dumps({"error": f"<{value}>"}, ensure_ascii=False)
    assert redactor(AQICN_API_KEY=value)(text) == '{"error": "<***>"}'


@pytest.mark.parametrize(
    "password",
    [
        "pass%2fword",
        "pass#word",
        "pass[word",
        "pass/word",
        "pass?word",
    ],
)
def test_a_password_is_masked_though_its_uri_is_not_well_formed(password: str) -> None:
    redact = redactor(MONGO_URI=f"mongodb://user:{password}@host/")
    assert redact(f"bad login <{password}>") == "bad login <***>"


def test_a_uri_without_a_password_leaves_host_and_user_readable() -> None:
    redact = redactor(MONGO_URI="mongodb://localhost:27017")
    assert redact("cannot reach localhost:27017") == "cannot reach localhost:27017"
