"""Repeatable chance: a number that depends on its key alone, in every process and thread."""

from __future__ import annotations

from hashlib import blake2b


def uniform(*key: object) -> float:
    """Return a number in [0, 1) that looks random, and is the same whenever the key is.

    Args:
        key: parts with a stable `str`, of any number; different keys give independent numbers.
    """
    digest = blake2b("\x1f".join(map(str, key)).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56
