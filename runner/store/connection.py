"""The way to MongoDB: connect within a time limit, and say what went wrong without a secret."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pymongo
import structlog
from bson.errors import BSONError
from pymongo import ReadPreference
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
)

from runner.config.mongo import OF_MONGODB
from runner.core.errors import ConfigError, Scope, StoreError, StoreUnavailableError
from runner.process.secrets import Secret, hosts_of
from runner.store.collection import DURABLE, ILLEGAL_OPERATION, LATEST, UNAUTHORIZED
from runner.store.embedded import LOG_NAME, embedded
from runner.store.refusals import describe_refused, reasons_of

APP_NAME = "airquality-runner"
"""The name under which the server's log and `currentOp` show our connections."""

_LOGIN_REFUSED = {11, 18, 8000}
_NO_SPACE = {14031, 12502}
_DOCUMENT_TOO_LARGE = 10334
_STEPPING_DOWN = {91, 189, 10107, 11600, 11602, 13435, 13436}
"""Codes of a server that shuts down or is no primary any more (MongoDB's error_codes.yml). Within a
bulk write they come as refusals of single documents, which pymongo does not try again."""
_LONGEST_REASON = 300
_NOT_AUTHORIZED = re.compile(
    r"not authorized on (?P<db>\S+) to execute command \{ (?P<command>\w+):"
    r'(?: (?:\d+, collection: )?"(?P<collection>[^"]*)")?'
)
_NOT_ALLOWED = re.compile(r"not allowed to do action \[(?P<action>\w+)\] on \[(?P<place>[^\]]+)\]")
"""The same on Atlas."""
_ACTIONS = {
    "aggregate": "find",
    "count": "find",
    "create": "createCollection",
    "createIndexes": "createIndex",
    "delete": "remove",
    "distinct": "find",
    "findAndModify": "find, insert and update",
    "getMore": "find",
    "update": "insert and update",
}
"""Privilege actions that a command takes; others are named as their command."""
_UNCONFIRMED = "a majority of the replica set did not confirm a write; are enough members up?"

_CHECK_URI = (
    "Check MONGO_URI, in the environment or .env; mongo=embedded starts a server of its own instead"
)
_RESUME = "What is stored is safe; once MongoDB is back, the same command goes on from there"
_SHAPE = "mongodb://user:password@host:27017/ or mongodb+srv://user:password@cluster.example/"

_REASONS = (
    (r"Connection refused", "connection refused: nothing listens there"),
    (r"Name or service not known|getaddrinfo|No address|Temporary failure", "unknown host name"),
    (r"DNS|resol|nameserver", "its name has no entry in the DNS"),
    (r"CERTIFICATE_VERIFY|certificate", "TLS: its certificate is not accepted"),
    (r"SSL|TLS", "TLS: no secure connection could be made; does the server speak TLS?"),
    (r"No such file", "there is no such socket"),
    (r"Permission denied", "permission denied"),
    (r"unreachable|No route", "the network has no way there"),
    (r"replica set", "it is not a member of the replica set that the URI names"),
    (r"connection closed|reset by peer", "it closed the connection; does it want TLS?"),
    (r"timed out|No servers found yet", "no answer"),
    (r"response id|BSON|message", "what answers there is not MongoDB"),
)

_EMBEDDED_S = 5.0
"""Seconds to look for the embedded server, which answered already: one that ended stays away."""

log = structlog.get_logger()


@contextmanager
def connect(
    uri: Secret | None,
    database: str,
    *,
    timeout_s: float,
    embedded_dir: Path,
    embedded_port: int | None,
    embedded_binary: Path | None,
) -> Iterator[Database[dict[str, Any]]]:
    """Connect to MongoDB and close the connection at the end of the block.

    Dates come back aware, in UTC. Writes are acknowledged when a majority of the replica set has
    them in its journal (a standalone server: when it has), so that what we record as stored
    survives a killed server and a failover. No option of the URI weakens that.

    Args:
        uri: the server; None or empty for the embedded one, which then runs at least as long.
        database: the database's name.
        timeout_s: seconds within which the server must have answered once.
        embedded_dir: the data of the embedded server.
        embedded_port: see `runner.store.embedded.embedded`.
        embedded_binary: see `runner.store.embedded.find_mongod`.

    Yields:
        The database; it need not exist yet.

    Raises:
        ConfigError: the URI or the name cannot be right; nothing was attempted.
        StoreUnavailableError: no answer within the limit, or the login was refused.
    """
    _check_name(database)
    with ExitStack() as opened:
        if uri:
            address, place, hint = uri.reveal(), f"MongoDB at {hosts_of(uri)}", _CHECK_URI
        else:
            place, hint = (
                f"the embedded MongoDB in {embedded_dir}",
                f"See {embedded_dir / LOG_NAME}",
            )
            address = opened.enter_context(
                embedded(embedded_dir, port=embedded_port, binary=embedded_binary)
            )
        try:
            client = _client(address, timeout_s if uri else min(timeout_s, _EMBEDDED_S))
            opened.callback(client.close)
            with pymongo.timeout(timeout_s):
                client.admin.command("ping")
        except OperationFailure as error:
            raise StoreUnavailableError(f"{place}: {_refusal(error)}", hint=hint) from None
        except (ConnectionFailure, ConfigurationError) as error:
            raise StoreUnavailableError(
                f"{place} could not be reached within {timeout_s:g} s: {_reason(error)}", hint=hint
            ) from None
        yield client.get_database(
            database,
            read_preference=ReadPreference.PRIMARY,
            write_concern=DURABLE,
            read_concern=LATEST,
        )


def server_socket(database: Database[dict[str, Any]]) -> str:
    """Return the unix socket, or the host, of the first server that the client was given."""
    return next(iter(database.client.topology_description.server_descriptions()))[0]


def overruled_writes(database: Database[dict[str, Any]]) -> str:
    """Return what the URI says about acknowledging writes that this connection does not follow.

    Returns:
        `w=1, journal=false`; empty if the URI says nothing else than we do.
    """
    said = database.client.write_concern.document
    names = {"w": "w", "j": "journal", "wtimeout": "wtimeoutMS", "fsync": "fsync"}
    other = {name: said[key] for key, name in names.items() if key in said}
    ours = {"w": "majority", "journal": True}
    return ", ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in other.items()
        if ours.get(name) != value
    )


def server_clock(database: Database[dict[str, Any]]) -> datetime:
    """Return the server's present, UTC.

    Raises:
        StoreError: MongoDB could not answer.
    """
    with store_errors("the server's clock"):
        answer = database.command("hello", codec_options=database.codec_options)
    present: datetime = answer["localTime"]
    return present


def server_version(database: Database[dict[str, Any]]) -> str:
    """Return the server's version, 6.0.5; `unknown` if the user may not ask for it.

    Raises:
        StoreError: MongoDB could not answer.
    """
    with store_errors("the server's version"):
        try:
            return str(database.client.server_info()["version"])
        except OperationFailure as error:
            if error.code != UNAUTHORIZED:
                raise
            return "unknown"


def topology(database: Database[dict[str, Any]]) -> str:
    """Return what kind of server answers, in words.

    Raises:
        StoreError: MongoDB could not answer.
    """
    with store_errors("the kind of server"):
        answer = database.command("hello", codec_options=database.codec_options)
    if answer.get("msg") == "isdbgrid":
        return "sharded"
    if name := answer.get("setName"):
        members = len(answer.get("hosts") or ()) + len(answer.get("arbiters") or ())
        return f"replica set {name} of {members}"
    return "a standalone server"


_NEEDED = ("find", "insert", "update", "remove", "listIndexes")
"""Actions that a run takes on its collections."""


def missing_rights(database: Database[dict[str, Any]], indexes: str) -> list[str] | None:
    """Return actions on the database that the user may not take; None if there is no login.

    A role on single collections is taken to be right for those that it names.

    Args:
        database: the database.
        indexes: `mongo.indexes`.

    Raises:
        StoreError: MongoDB could not answer.
    """
    with store_errors("the user's rights"):
        status = database.client.admin.command("connectionStatus", showPrivileges=True)
    login = status["authInfo"]
    if not login.get("authenticatedUsers"):
        return None
    allowed: set[str] = set()
    for privilege in login.get("authenticatedUserPrivileges", ()):
        resource = privilege["resource"]
        if resource.get("anyResource") or resource.get("db") in ("", database.name):
            allowed |= {*privilege["actions"]}
    needed = (*_NEEDED, *(["createIndex"] if indexes == "create" else []))
    return [f"{action} on {database.name}" for action in needed if action not in allowed]


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn every error of pymongo in the block into ours; every access to a collection is in one.

    Args:
        what: the collection, or what is done with it; the message begins with it.

    Raises:
        StoreUnavailableError: MongoDB stopped answering, takes no writes while another server
            takes over, after pymongo's own retry, or no majority confirmed a write.
        StoreError: MongoDB refused, or the documents cannot be stored; its scope is the station
            where a document is the reason.
    """
    try:
        yield
    except PyMongoError as error:
        if _unconfirmed(error):
            raise StoreUnavailableError(f"{what}: {_UNCONFIRMED}", hint=_RESUME) from error
        away = isinstance(error, ConnectionFailure) or error.timeout or _retry_refused(error)
        if away or not _STEPPING_DOWN.isdisjoint(_codes(error)):
            raise StoreUnavailableError(
                f"{what}: MongoDB stopped answering: {_reason(error)}", hint=_RESUME
            ) from error
        raise _store_error(what, error) from error
    except (BSONError, OverflowError) as error:  # pymongo has the latter for huge integers
        raise StoreError(
            f"{what}: a document cannot be stored: {_short(error)}", scope=Scope.STATION
        ) from error


def _unconfirmed(error: PyMongoError) -> bool:
    """Whether the server wrote, and no majority confirmed it: a failover may take it back."""
    if isinstance(error, BulkWriteError):
        return bool(error.details.get("writeConcernErrors"))
    return isinstance(error, WriteConcernError)


def _retry_refused(error: PyMongoError) -> bool:
    """Whether pymongo tried a write again in a way that a standalone server refuses.

    It does (4.17 to 4.20 at least) after a connection that was closed while it was being made, and
    hides that error behind this one. Nothing was written.
    """
    is_it = isinstance(error, OperationFailure) and error.code == ILLEGAL_OPERATION
    return is_it and "does not support retryable writes" in str(error)


def _codes(error: PyMongoError) -> set[int | None]:
    """Return the error's code, and those of the single writes of a bulk write."""
    if not isinstance(error, OperationFailure):
        return set()
    details = error.details or {}
    return {error.code, *(part.get("code") for part in details.get("writeErrors") or ())}


def _store_error(what: str, error: PyMongoError) -> StoreError:
    code = error.code if isinstance(error, OperationFailure) else None
    refused: dict[str, Any] | None = None
    if isinstance(error, BulkWriteError):
        failures = error.details.get("writeErrors") or []
        first = failures[0] if failures else {}
        code = first.get("code")
        text = str(first.get("errmsg", "bulk write failed"))[:_LONGEST_REASON]
        refused = first if error.details.get("writeErrors") else None
    else:
        text = _short(error)
        if isinstance(error, OperationFailure) and (
            isinstance(error, WriteError) or code == _DOCUMENT_TOO_LARGE
        ):
            refused = dict(error.details or {})
    needed = _needed(text)
    if code == UNAUTHORIZED and "requires authentication" in text:
        return StoreError(
            f"{what}: MongoDB requires a login, and MONGO_URI names no user", hint=_CHECK_URI
        )
    if code == UNAUTHORIZED or needed:
        return StoreError(
            f"{what}: the user of MONGO_URI needs {needed or 'more rights'}",
            hint="The role readWrite on the database has what a run needs",
        )
    if code in _NO_SPACE or "space quota" in text:  # the latter on Atlas
        return StoreError(f"{what}: MongoDB has no disk space left", hint=_RESUME)
    if refused is not None:
        key, why = describe_refused(refused), reasons_of(refused)
        words = f"{what}: MongoDB refused {key}: {text}{f' ({why})' if why else ''}"
        return StoreError(words, scope=Scope.STATION)
    return StoreError(f"{what}: MongoDB refused: {text}")


def _needed(text: str) -> str:
    """Return the missing privilege, as `find on air.waqi_stations`; empty if the error names none.

    The server's own words quote the whole command, and with it documents.
    """
    if found := _NOT_AUTHORIZED.search(text):
        action = _ACTIONS.get(found["command"], found["command"])
        return f"{action} on {'.'.join(filter(None, (found['db'], found['collection'])))}"
    if found := _NOT_ALLOWED.search(text):
        return f"{found['action']} on {found['place']}"
    return ""


def _check_name(database: str) -> None:
    limit = 63
    if (
        not database
        or len(database.encode()) > limit
        or re.search(r'[/\\. "$*<>:|?\x00]', database)
    ):
        raise ConfigError(
            f"{database!r:.80} cannot be the name of a database: 1 to {limit} bytes, without "
            'spaces and / \\ . " $ * < > : | ?',
            hint="Correct mongo.database, MONGO_DB or the database in MONGO_URI",
        )
    if database.casefold() in OF_MONGODB:  # by MONGO_DB: mongo.database was checked with the rest
        raise ConfigError(
            f"{database}: the databases {', '.join(OF_MONGODB)} belong to MongoDB itself",
            hint="Correct mongo.database, MONGO_DB or the database in MONGO_URI",
        )


def _client(address: str, timeout_s: float) -> pymongo.MongoClient[dict[str, Any]]:
    """Return a client; options that pymongo ignores are named in the log, not on the terminal.

    Raises:
        ConfigError: the URI is malformed. Its text is in no message: a password may be anywhere.
        ConfigurationError: the servers behind a mongodb+srv:// name were not found.
    """
    limit_ms = max(1, round(timeout_s * 1000))
    try:
        with warnings.catch_warnings(record=True) as ignored:
            warnings.simplefilter("always")
            client = pymongo.MongoClient[dict[str, Any]](
                address,
                tz_aware=True,
                uuidRepresentation="standard",
                appname=APP_NAME,
                serverSelectionTimeoutMS=limit_ms,
                connectTimeoutMS=limit_ms,
            )
    except (PyMongoError, ValueError, TypeError, OSError) as error:
        text = str(error)
        if address.startswith("mongodb+srv://") and re.search("DNS|resol|nameserver", text):
            raise
        raise ConfigError(f"MONGO_URI: {_malformed(address, error)}", hint=_CHECK_URI) from None
    for warning in ignored:
        options = _options_in(address, str(warning.message))
        log.warning("mongo_uri_options.ignored", options=options or "unknown")
    return client


def _malformed(address: str, error: Exception) -> str:
    """Return what is wrong with a URI, in words that hold nothing of it but names of options."""
    text = str(error)
    if not re.match(r"mongodb(\+srv)?://", address):
        return f"it must look like {_SHAPE}"
    if "Port " in text:  # its words speak of escaping, too
        return "its port must be a number from 1 to 65535"
    if "escaped" in text or "database name" in text:
        return (
            "user, password or database holds a character that must be percent-encoded "
            "(@ as %40, : as %3A, / as %2F)"
        )
    if isinstance(error, OSError) and error.filename:
        return f"a file that it names cannot be read: {error.filename}: {error.strerror}"
    if options := _options_in(address, text):
        return f"the value of {', '.join(options)} is not allowed, or not with the other options"
    return f"it is malformed; it must look like {_SHAPE}"


def _options_in(address: str, text: str) -> list[str]:
    """Return the names of the URI's options that a message of pymongo speaks about."""
    names = re.findall(r"[?&;]([A-Za-z]+)=", address)
    return [name for name in names if re.search(rf"\b{name}\b", text, re.IGNORECASE)]


def _refusal(error: OperationFailure) -> str:
    if error.code in _LOGIN_REFUSED:
        return "authentication failed; user, password or authSource is wrong"
    details = cast("dict[str, Any]", error.details or {})
    return f"it refused the connection ({details.get('codeName') or error.code})"


def _reason(error: PyMongoError) -> str:
    text = str(error)
    found = (short for pattern, short in _REASONS if re.search(pattern, text))
    return next(found, "no server that can take our writes was found")


def _short(error: Exception) -> str:
    """Return the first line of an error without pymongo's dump of the server's answer."""
    return str(error).partition(", full error:")[0].partition("\n")[0][:_LONGEST_REASON]
