"""What the index calls what it says: keys, which sort as their parts do."""

from __future__ import annotations

import struct
from typing import Final

COMMIT: Final = b"c"
COMMIT_OF_32: Final = b"d"
"""Kinds of keys: ids of 32 hexadecimal digits, as they mostly are, take half as much."""

_HEX_DIGITS: Final = 32
_LENGTH: Final = struct.Struct(">I")


def commit_order(commit_id: str) -> bytes:
    """Return what commit ids are ordered by in the index, which tells each from all others."""
    if len(commit_id) == _HEX_DIGITS:
        try:
            number = bytes.fromhex(commit_id)
        except ValueError:
            pass
        else:
            # It takes capital letters and spaces too.
            if number.hex() == commit_id:
                return COMMIT_OF_32 + number
    return key_of(COMMIT, commit_id)


def key_of(kind: bytes, *names: str) -> bytes:
    """Return the key of names; each stands behind its length, so that none is part of another."""
    key = kind
    for name in names:
        encoded = name.encode()
        key += _LENGTH.pack(len(encoded)) + encoded
    return key


def names_of(key: bytes) -> list[str]:
    """Return the names that a key was made of."""
    found, begin = [], 1
    while begin < len(key):
        (length,) = _LENGTH.unpack_from(key, begin)
        begin += _LENGTH.size
        end = begin + length
        found.append(key[begin:end].decode())
        begin = end
    return found


def behind(prefix: bytes) -> bytes:
    """Return what is greater than every key that begins so, and not greater than any other."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")


def packed(number: int) -> bytes:
    """Return a number that is not negative as bytes that sort as numbers do."""
    return number.to_bytes(8, "big")


def number_of(packed: bytes) -> int:
    """Return what was packed."""
    return int.from_bytes(packed, "big")
