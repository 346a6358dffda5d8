"""What a collection is, which indexes it lacks, and when its documents expire.

One look decides: `check` returns the changes that `ensure` makes, so that a plan names exactly what
a run does to a database that others use, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from pymongo import ASCENDING, CursorType
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from runner.core.errors import UnsupportedCollectionError
from runner.core.text import counted
from runner.store.collection import (
    DUPLICATE_KEY,
    NAMESPACE_EXISTS,
    UNAUTHORIZED,
    Document,
    Kind,
    doubled,
)
from runner.store.connection import store_errors

_INDEX_CONFLICTS = (85, 86)
"""Server error codes: an index of the same keys or of the same name, with other options."""
_BAD_VALUE = 2
_SERIES = {"timeField": "ts", "metaField": "meta", "granularity": "hours"}
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Index:
    """An index that a collection needs.

    Attributes:
        fields: ascending; an existing index serves in any direction.
        name: may change when another index has it.
        expires_s: seconds after which MongoDB deletes a document; None for never.
    """

    fields: tuple[str, ...]
    name: str
    unique: bool = False
    expires_s: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options of `createIndex`."""
        unique = {"unique": True} if self.unique else {}
        expiry = {} if self.expires_s is None else {"expireAfterSeconds": self.expires_s}
        return {**unique, **expiry, "name": self.name}

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.fields)}{'; unique' if self.unique else ''})"


@dataclass(frozen=True, slots=True)
class Change:
    """A collection or an index to be made.

    Attributes:
        kind: of the collection to be made, if `index` is None.
    """

    collection: str
    index: Index | None = None
    kind: Kind = Kind.REGULAR

    @property
    def command(self) -> str:
        """The same change as a command of mongosh."""
        if self.index is None:
            return (
                f"db.createCollection({_text(self.collection)}, {_text({'timeseries': _SERIES})})"
            )
        keys = dict.fromkeys(self.index.fields, 1)
        return f"db.{self.collection}.createIndex({_text(keys)}, {_text(self.index.options)})"


@dataclass(frozen=True, slots=True)
class Expiry:
    """A date after which MongoDB deletes documents of a collection.

    Attributes:
        field: the date.
        seconds: from the date to the deletion.
        index: the TTL index; None if the time-series collection itself has the expiry.
    """

    collection: str
    field: str
    seconds: float
    index: str | None

    @property
    def days(self) -> str:
        """The time in words: `10 days`."""
        days = self.seconds / _DAY_S
        return counted(int(days) if days.is_integer() else round(days, 3), "days")

    @property
    def place(self) -> str:
        """Where it is set."""
        return f"its index {self.index}" if self.index else "its option expireAfterSeconds"

    @property
    def command(self) -> str:
        """The command of mongosh that ends the expiry."""
        if self.index:
            return drop_command(self.collection, self.index)
        return f'db.runCommand({{collMod: {_text(self.collection)}, expireAfterSeconds: "off"}})'


@dataclass(frozen=True, slots=True)
class Shape:
    """A collection as it is at this moment.

    Attributes:
        options: those it was made with.
        indexes: as `getIndexes()` lists them.
    """

    name: str
    kind: Kind = Kind.ABSENT
    options: Document = field(default_factory=dict)
    indexes: tuple[Mapping[str, Any], ...] = ()

    def expiries(self, ours: Container[str] | None = None) -> list[Expiry]:
        """Return when documents of ours expire, if ever.

        Args:
            ours: the top-level fields of our documents; None to name the expiry of any field.
        """
        found = []
        seconds = _seconds(self.options.get("expireAfterSeconds"))
        if self.kind is Kind.TIME_SERIES and seconds is not None:
            series = self.options.get("timeseries", {})
            found.append(Expiry(self.name, str(series.get("timeField")), seconds, None))
        for index in self.indexes:
            seconds = _seconds(index.get("expireAfterSeconds"))
            keys = [*index["key"]]
            if seconds is not None and len(keys) == 1 and (ours is None or _concerns(index, ours)):
                found.append(Expiry(self.name, keys[0], seconds, str(index["name"])))
        return found


def look(database: Database[Document], names: Sequence[str]) -> dict[str, Shape]:
    """Return the shapes of some collections, also of those that are not there."""
    chosen = {"name": names[0] if len(names) == 1 else {"$in": [*names]}}
    try:
        listed = list(database.list_collections(filter=chosen))
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        # A user with rights on single collections may ask for their names and types only.
        listed = list(
            database.list_collections(filter=chosen, nameOnly=True, authorizedCollections=True)
        )
        for found in listed:
            if found["type"] == "timeseries":  # its fields and its expiry are among the options
                raise
            if found["type"] == "collection" and _is_capped(database[found["name"]]):
                found["options"] = {"capped": True}
    shapes = {name: Shape(name) for name in names}
    for found in listed:
        name, kind = found["name"], _kind(found)
        indexes = () if kind is Kind.VIEW else tuple(database[name].list_indexes())
        shapes[name] = Shape(name, kind, found.get("options", {}), indexes)
    return shapes


def _kind(listed: Mapping[str, Any]) -> Kind:
    if listed["type"] == "timeseries":
        return Kind.TIME_SERIES
    if listed["type"] == "view":
        return Kind.VIEW
    return Kind.CAPPED if listed.get("options", {}).get("capped") else Kind.REGULAR


def _is_capped(collection: Collection[Document]) -> bool:
    """Return whether the server grants a tailable cursor: only a capped collection has them."""
    cursor = collection.find({}, {"_id": 1}, cursor_type=CursorType.TAILABLE, batch_size=1)
    try:
        next(cursor, None)
    except OperationFailure as error:
        if error.code == _BAD_VALUE:
            return False
        raise
    finally:
        cursor.close()
    return True


class Indexed:
    """A collection that needs indexes; they are in `indexes`."""

    indexes: ClassVar[tuple[Index, ...]] = ()
    _collection: Collection[Document]

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._collection.name

    def hidden(self, shape: Shape) -> list[str]:
        """Return the names of indexes like ours that are hidden, so that no query uses them."""
        ours = [index.fields for index in self.indexes]
        found = (one for one in shape.indexes if tuple(one["key"]) in ours)
        return [str(one["name"]) for one in found if one.get("hidden")]

    def check(self, shape: Shape | None = None) -> list[Change]:
        """Return what `ensure` would make, without writing anything.

        Args:
            shape: of the collection; None to look.

        Raises:
            UnsupportedCollectionError: something is in the way; the message names it.
            StoreError: MongoDB could not answer.
        """
        with store_errors(self.name):
            return missing(self._collection, shape or shape_of(self._collection), self.indexes)

    def ensure(self, changes: Sequence[Change] | None = None) -> None:
        """Make the indexes that are missing, and with them the collection.

        Args:
            changes: what `check` returned; None to check now.

        Raises:
            UnsupportedCollectionError: something is in the way; nothing was changed.
            StoreError: MongoDB could not do it.
        """
        changes = self.check() if changes is None else changes
        with store_errors(self.name):
            for change in changes:
                make(self._collection, change)


def shape_of(collection: Collection[Document]) -> Shape:
    """Return the shape of one collection."""
    return look(collection.database, [collection.name])[collection.name]


def missing(
    collection: Collection[Document], shape: Shape, wanted: Sequence[Index]
) -> list[Change]:
    """Return the wanted indexes that no existing one replaces, under names that are free.

    Raises:
        UnsupportedCollectionError: doubles or an index are in the way of one.
    """
    changes = []
    for index in wanted:
        if is_there(shape, index):
            continue
        same = [one for one in shape.indexes if _has_keys(one, index.fields)]
        blocking = next((one for one in same if _blocks(one, index)), None)
        if blocking:
            raise _blocked(shape.name, index, [blocking])
        if index.unique and shape.kind is not Kind.ABSENT:
            pipeline = [*doubled(index.fields), {"$limit": 1}]
            if list(collection.aggregate(pipeline, allowDiskUse=True)):
                raise _doubles_error(collection, index.fields)
        changes.append(Change(shape.name, _named(index, shape)))
    return changes


def is_there(shape: Shape, index: Index) -> bool:
    """Return whether an existing index does what is wanted."""
    same = [one for one in shape.indexes if _has_keys(one, index.fields)]
    return any(_serves(one, index) for one in same)


def _has_keys(found: Mapping[str, Any], fields: tuple[str, ...]) -> bool:
    """Return whether an index is one over exactly these fields, in any direction."""
    directions = found["key"].values()  # not numbers: hashed, text, 2dsphere
    return tuple(found["key"]) == fields and all(isinstance(one, int | float) for one in directions)


def _serves(found: Mapping[str, Any], index: Index) -> bool:
    """Return whether an existing index over the same fields does what is wanted.

    A collation concerns texts only, `sparse` documents without the fields: neither changes what a
    unique index refuses of ours. A hidden index enforces as another does.
    """
    expires = _seconds(found.get("expireAfterSeconds"))
    return (
        "partialFilterExpression" not in found
        and (bool(found.get("unique")) or not index.unique)
        and (index.expires_s is None or expires == index.expires_s)
    )


def _blocks(found: Mapping[str, Any], index: Index) -> bool:
    """Return whether MongoDB takes an index for the wanted one with other options (TTL)."""
    return (
        index.expires_s is not None
        and "partialFilterExpression" not in found
        and "collation" not in found
        and not found.get("sparse")
        and bool(found.get("unique")) is index.unique
    )


def _named(index: Index, shape: Shape) -> Index:
    """Return the index under a name that no other index has."""
    taken = {one["name"] for one in shape.indexes}
    name, number = index.name, 1
    while name in taken:
        number += 1
        name = f"{index.name}_{number}"
    return replace(index, name=name)


def refusing(shape: Shape, key: tuple[str, ...], ours: Container[str]) -> str | None:
    """Return the name of a unique index that would refuse documents which differ in their key.

    Args:
        shape: of the collection.
        key: the fields that no two documents share.
        ours: the top-level fields of our documents.
    """
    for index in shape.indexes:
        is_ours = [*index["key"]] == ["_id"] or set(key) <= set(index["key"])
        if index.get("unique") and not is_ours and _concerns(index, ours):
            return str(index["name"])
    return None


def _concerns(index: Mapping[str, Any], ours: Container[str]) -> bool:
    """Return whether an index may hold a document that has these top-level fields only."""
    partial = index.get("partialFilterExpression")
    if partial is not None and not any(_top(name) in ours for name in _fields_in(partial)):
        return False
    has_field = any(_top(name) in ours for name in index["key"])
    # Without its field a document is in a unique index as null, and is never deleted by a TTL one.
    return has_field or not (index.get("sparse") or "expireAfterSeconds" in index)


def _fields_in(expression: Any) -> Iterator[str]:
    """Yield the fields that a filter speaks about."""
    for name, value in expression.items():
        if not name.startswith("$"):
            yield name
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Mapping):
                yield from _fields_in(part)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _seconds(value: Any) -> float | None:
    """Return `expireAfterSeconds`; what is no number means at once, as some servers take it."""
    if value is None or isinstance(value, bool):
        return None
    return float(value) if isinstance(value, int | float) and not math.isnan(value) else 0.0


def make(collection: Collection[Document], change: Change) -> None:
    """Make a collection or an index, unless another run just did.

    Raises:
        UnsupportedCollectionError: doubles or an index are in the way; nothing was changed.
    """
    index = change.index
    if index is None:
        _create(collection)
        return
    options = {name: value for name, value in index.options.items() if name != "name"}
    keys = [(name, ASCENDING) for name in index.fields]
    try:
        collection.create_index(keys, name=index.name, **options)
    except OperationFailure as error:
        if error.code == DUPLICATE_KEY:
            raise _doubles_error(collection, index.fields) from error
        if error.code in _INDEX_CONFLICTS:  # before MongoDB 5.0, or made since the look
            listed = [
                one
                for one in collection.list_indexes()
                if one["name"] == index.name or tuple(one["key"]) == index.fields
            ]
            raise _blocked(collection.name, index, listed) from error
        raise


def _create(collection: Collection[Document]) -> None:
    """Make the time-series collection of the existing system."""
    try:  # pymongo's own look whether it exists needs rights on the whole database
        collection.database.create_collection(
            collection.name, timeseries=_SERIES, check_exists=False
        )
    except (CollectionInvalid, OperationFailure) as error:
        if isinstance(error, OperationFailure) and error.code != NAMESPACE_EXISTS:
            raise


def drop_command(collection: str, index: str) -> str:
    """Return the command of mongosh that drops an index."""
    return f"db.{collection}.dropIndex({_text(index)})"


def _blocked(
    name: str, index: Index, found: Sequence[Mapping[str, Any]]
) -> UnsupportedCollectionError:
    names = ", ".join(str(one["name"]) for one in found) or "unknown"
    commands = "\n".join(drop_command(name, str(one["name"])) for one in found)
    return UnsupportedCollectionError(
        f"{name}: an index is in the way of {index}: {names}; nothing was changed",
        hint=f"If nobody needs it, drop it in mongosh, then run again:\n{commands}",
    )


def _doubles_error(
    collection: Collection[Document], fields: tuple[str, ...]
) -> UnsupportedCollectionError:
    query = json.dumps(doubled(fields), separators=(",", ":"))
    is_readings = "meta.station_idx" in fields  # job=dedupe looks at no other collection
    what = "job=dedupe removes exact doubles and reports the rest" if is_readings else "Keep one"
    return UnsupportedCollectionError(
        f"{collection.name}: several documents share one ({', '.join(fields)}), so the unique index"
        f" that keeps doubles out cannot be made; nothing was changed",
        hint=f"{what}; this shows them:\n"
        f"db.{collection.name}.aggregate({query},{{allowDiskUse:true}})",
    )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
