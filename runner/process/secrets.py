"""Secrets at the edge: read once from the environment or `.env`, never printed, masked as a net."""

from __future__ import annotations

import logging
import os
import re
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, unquote_plus

from dotenv import dotenv_values

MASK = "***"
MISSPELT = {
    "MONGO_URI": (*("MONGODB_URI", "MONGO_URL", "MONGODB_URL"), "MONGODB_CONNECTION_STRING"),
    "MONGO_DB": ("MONGODB_DB", "MONGO_DATABASE", "MONGODB_DATABASE", "MONGO_DB_NAME"),
}
"""Names that other programs have for what ours reads; those of keys are known to their sources."""
_DATABASE = "MONGO_URI"
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
"""Of these only the credentials are secret; the host stands in messages."""

_SHORTEST_MASKED = 4
"""Values shorter than this are not searched for in text: masking "a" would garble every line."""
_SHORTEST_FRAGMENT = 8
_LONGEST_HOSTS = 200
_LONGEST_WORD = 16
"""What is shorter, in letters only than the latter, is masked only where it stands alone: a
password that is a word would garble other words."""
_BREAKS = r"(?:(?:\\\\*[rn]|[\r\n])[ \t]*)*"
_WORD = re.compile(r"\w")
_ESCAPE = re.compile(
    r"[\r\n][ \t]*"
    r"|\\+(?:[rn][ \t]*|u(?P<u>[0-9a-fA-F]{4})|x(?P<x>[0-9a-fA-F]{2})|(?P<itself>.))"
    r"|%(?:25)*(?P<url>[0-9a-fA-F]{2})"
    r"|&(?:amp;)*(?:#0*(?P<decimal>[0-9]{1,7});|#[xX]0*(?P<hex>[0-9a-fA-F]{1,6});|(?P<name>[a-z]+);)"
)
_LAST_LATIN = 0xFF
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_NAMED = {name: character for character, name in _ENTITIES.items()}
_CONTROL = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_SECRET_OPTION = re.compile("password|token|secret", re.IGNORECASE)


class Secret:
    """A value that prints as `***`. The value is reached by calling `reveal`, and only there."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, to be used at the last moment and stored nowhere."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[object, ...]:
        msg = "a secret does not pickle; pass it by name and read it where it is used"
        raise TypeError(msg)


def without(secret: Secret, text: str) -> str:
    """Return text from outside with a secret masked, however it is spelt there."""
    value = secret.reveal()
    return _masker((value,))(text) if value else text


def masked(value: Any, redact: Callable[[str], str]) -> Any:
    """Return a JSON or BSON value with secrets masked in its strings; numbers stay as they are.

    Keys that are words are names of fields and stay, so that a document keeps its form whatever
    word somebody chose for a password.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {_masked_key(key, redact): masked(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, redact) for item in value]
    return value


def _masked_key(key: Any, redact: Callable[[str], str]) -> Any:
    is_name = not isinstance(key, str) or _is_word(key.replace("_", ""))
    return key if is_name else redact(key)


Keys: TypeAlias = Callable[[], Mapping[str, Sequence[str]]]
"""Returns the variables that hold keys of sources, each with names that are not read."""


class Environment:
    """The settings a person keeps out of YAML: process environment first, then `.env`.

    Attributes:
        values: every setting found, secrets included; never log this.
        dotenv: the `.env` file that was looked at, whether or not it exists.
        keys: asked when needed: it may have to load what other packages declare.
    """

    __slots__ = ("dotenv", "keys", "values")

    def __init__(
        self,
        values: Mapping[str, str],
        dotenv: Path,
        keys: Keys,
    ) -> None:
        self.values = dict(values)
        self.dotenv = dotenv
        self.keys = keys

    @classmethod
    def read(cls, keys: Keys, directory: Path | None = None) -> Environment:
        """Read the process environment and `.env` in the directory (default: the current one).

        `.env` values are not exported, so child processes do not inherit them.
        """
        dotenv = (directory or Path.cwd()) / ".env"
        found = _read_dotenv(dotenv) if dotenv.is_file() else {}
        merged = {name: value for name, value in found.items() if value}
        merged.update({name: value for name, value in os.environ.items() if value.strip()})
        return cls(merged, dotenv, keys)

    @property
    def secret_names(self) -> frozenset[str]:
        """The variables whose values must reach no file, log, notebook or traceback."""
        misspelt = {**self.keys(), _DATABASE: MISSPELT[_DATABASE]}
        return frozenset((*misspelt, *chain.from_iterable(misspelt.values())))

    def get(self, name: str, default: str = "") -> str:
        """Return a setting that is not secret."""
        return self.values.get(name, default).strip()

    def secret(self, name: str) -> Secret:
        """Return a secret setting; empty (and false) where it is not set."""
        return Secret(self.values.get(name, "").strip())

    def misspelt(self, name: str) -> str:
        """Return the variable that is set and was probably meant for a name; empty if none is."""
        if self.get(name):
            return ""
        return next(
            (other for other in {**MISSPELT, **self.keys()}.get(name, ()) if self.get(other)), ""
        )

    def __repr__(self) -> str:
        return f"Environment({len(self.values)} settings)"


def _read_dotenv(path: Path) -> Mapping[str, str | None]:
    """Return the settings of a `.env` file; what is said of a line names the file."""

    def named(record: logging.LogRecord) -> bool:
        record.msg = f"{path}: {record.msg}"
        return True

    logger = logging.getLogger("dotenv.main")
    logger.addFilter(named)
    try:
        return dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    finally:
        logger.removeFilter(named)


class Redactor:
    """Replaces every secret of an environment in text by `***`, however it is spelt there."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @property
    def names(self) -> frozenset[str]:
        """The environment variables that hold secrets."""
        return self._environment.secret_names

    @cached_property
    def _masker(self) -> _Masker:
        environment = self._environment
        secrets: set[str] = set()
        fixed: set[str] = set()
        for name in self.names:
            value = environment.secret(name).reveal()
            same = {value, unquote(value), unquote_plus(value)}
            if "://" in value:
                passwords, credentials = _of_uri(value)
                secrets |= passwords
                # A scheme alone is no address: it stands in the advice how to write one.
                fixed |= (same if value.partition("://")[2] else set()) | credentials
            else:
                secrets |= same
        for name in PROXIES:
            for spelling in (name, name.lower()):
                passwords, credentials = _of_uri(environment.secret(spelling).reveal())
                secrets |= passwords
                fixed |= credentials
        return _masker(_long_enough(secrets), _long_enough(fixed))

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        return self._masker(text)


def hosts_of(uri: Secret) -> str:
    """Return the hosts of a well-formed address, without anything that may be secret."""
    found = re.match(r"mongodb(?:\+srv)?://(?:[^/?]*@)?([^/?@]*)", uri.reveal())
    return unquote(found[1])[:_LONGEST_HOSTS] if found else "MONGO_URI"


def database_of(uri: Secret) -> str:
    """Return the database that an address of MongoDB names; empty if it names none."""
    path = uri.reveal().partition("://")[2].rpartition("@")[2].partition("/")[2]
    return unquote(path.partition("?")[0]).partition(".")[0]  # after a dot: a collection


class _Masker:
    """Masks values in text: as they are, in base64, and in every spelling of their characters."""

    def __init__(self, values: Collection[str], fixed: Collection[str]) -> None:
        every = {*values, *fixed}.union(*map(_in_base64, values))
        self._fixed = sorted(every, key=len, reverse=True)
        self._spelled = [_Spelled(value) for value in sorted(values, key=len, reverse=True)]
        self._signs = "\\%&\n\r+" if " " in "".join(values) else "\\%&\n\r"

    def __call__(self, text: str) -> str:
        """Return the text with the values masked."""
        for value in self._fixed:
            if value in text:
                text = re.sub(re.escape(value), _replacement, text)
        if any(sign in text for sign in self._signs):
            plain = _ESCAPE.sub(_unescaped, text)
            for spelled in self._spelled:
                text = spelled.masked(text, plain)
        return text


class _Spelled:
    """One value, in every spelling of its characters, also across lines."""

    def __init__(self, value: str) -> None:
        self._value = value
        # Others are written in ways that `_unescaped` does not know.
        self._is_simple = value.isascii() and value.isprintable() and not set(value) & set("\\% ")

    def masked(self, text: str, plain: str) -> str:
        """Return the text with the value masked; `plain` is the same without escapes."""
        if self._is_simple and self._value not in plain:
            return text  # the pattern takes milliseconds to compile, and 40 ns per character
        return self._pattern.sub(_replacement, text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        between = "" if _is_word(self._value) else _BREAKS
        return re.compile(between.join(map(_character, self._value)))


def _unescaped(match: re.Match[str]) -> str:
    """Return the character of an escape; nothing for a line break."""
    kind, text = match.lastgroup, match[match.lastgroup or 0]
    match kind:
        case None:
            return ""
        case "itself":
            return text
        case "name":
            return _NAMED.get(text, "")
        case _:
            return chr(int(text, 10 if kind == "decimal" else 16) % (sys.maxunicode + 1))


def _replacement(match: re.Match[str]) -> str:
    """Mask a match; a word, or little more, only where it stands alone."""
    text, start, end = match.string, match.start(), match.end()
    joined = _WORD.search(f"{text[max(0, start - 1) : start]} {text[end : end + 1]}")
    return match[0] if joined and _is_word(match[0]) else MASK


def _is_word(value: str) -> bool:
    return len(value) < (_LONGEST_WORD if value.isalpha() else _SHORTEST_FRAGMENT)


@lru_cache(maxsize=64)
def _masker(values: tuple[str, ...], fixed: tuple[str, ...] = ()) -> _Masker:
    """Return what masks values however they are spelt, and fixed texts as they are."""
    return _Masker(values, fixed)


def _long_enough(values: set[str]) -> tuple[str, ...]:
    return tuple(sorted(value for value in values if len(value) >= _SHORTEST_MASKED))


def _character(character: str) -> str:
    """Return the pattern of a character: itself, and as URLs, JSON, Python and HTML escape it.

    Every alternative begins with a literal, which lets `re` skip text quickly.
    """
    code = ord(character)
    units = character.encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    url = "".join(f"%(?:25)*{_hex(byte, 2)}" for byte in character.encode("utf-8", "surrogatepass"))
    ways = [
        url,
        "".join(rf"\\\\*u{_hex(high * 256 + low, 4)}" for high, low in pairs),
        rf"&(?:amp;)*#0*{code};",
        rf"&(?:amp;)*#[xX]0*{_hex(code)};",
    ]
    if code <= _LAST_LATIN:
        ways.append(rf"\\\\*x{_hex(code, 2)}")
    else:
        ways.append(rf"\\\\*U{_hex(code, 8)}")
    if character in _ENTITIES:
        ways.append(f"&(?:amp;)*{_ENTITIES[character]};")
    if character in _CONTROL:
        ways.append(rf"\\\\*{_CONTROL[character]}")
    elif not character.isalnum():
        ways.append(rf"\\\\*{re.escape(character)}")
    if character == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join([*ways, re.escape(character)])})"  # %25 is one sign, not % and 25


def _hex(number: int, digits: int = 1) -> str:
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in f"{number:0{digits}x}")


def _in_base64(value: str) -> set[str]:
    """Return what of a value is left in base64, wherever in the encoded text it begins."""
    if len(value) < _SHORTEST_FRAGMENT:
        return set()
    found = set()
    raw = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        end = len(raw) - (before + len(raw)) % 3
        for encode in (b64encode, urlsafe_b64encode):
            # The characters at both ends hold bits of the neighbours, too.
            text = encode(b"\0" * before + raw[:end]).decode()
            found.add(text[before and before + 1 :])
    return found


def _of_uri(uri: str) -> tuple[set[str], set[str]]:
    """Return the secrets in a URI, and user and password as a header carries them.

    The password may hold what it should not: / ? # [ or @.
    """
    login, at, _host = uri.partition("://")[2].rpartition("@")
    user, _, password = login.partition(":")
    options = parse_qsl(uri.rpartition("?")[2])
    secrets = {value for name, value in options if _SECRET_OPTION.search(name)}
    if not (at and password):
        return secrets, set()
    secrets |= {password, unquote(password), unquote_plus(password)}
    basic = f"{unquote(user)}:{unquote(password)}".encode("utf-8", "surrogateescape")
    return secrets, {b64encode(basic).decode(), urlsafe_b64encode(basic).decode()}
