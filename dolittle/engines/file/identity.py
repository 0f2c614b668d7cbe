"""A store's identity file, ``store.json``: its format number and its id, with a checksum."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import Final

import msgspec

from dolittle.engines.file.files import Files, opened, write_durably
from dolittle.errors import StoreDamaged, UnsupportedStoreFormat

FORMAT: Final = 1
NAME: Final = "store.json"
_BYTES_MAX: Final = 4096


class _Identity(msgspec.Struct):
    format: int
    id: str
    created: str
    sum: str


def write_identity(files: Files, folder: Path, store_id: str, created: str) -> None:
    """Write ``store.json``, durably."""
    rest = msgspec.json.encode({"format": FORMAT, "id": store_id, "created": created})
    data = b'%b,"sum":"%08x"}\n' % (rest[:-1], zlib.crc32(rest))
    write_durably(files, folder / NAME, data)


def read_identity(files: Files, folder: Path) -> str | None:
    """Return the store's id, or ``None`` where the folder holds no store.

    Raises:
        UnsupportedStoreFormat: Another version of dolittle wrote it.
        StoreDamaged: The file cannot be read or does not match its checksum.
    """
    path = folder / NAME
    try:
        with opened(files, path, os.O_RDONLY) as fd:
            data = files.pread(fd, _BYTES_MAX, 0)
    except FileNotFoundError:
        return None
    try:
        found = msgspec.json.decode(data, type=dict).get("format")
        if type(found) is int and found != FORMAT:
            raise UnsupportedStoreFormat(folder, found, FORMAT)
        identity = msgspec.json.decode(data, type=_Identity)
    except ValueError as error:
        raise _damaged(path, f"it is no store description ({error})") from error
    rest = msgspec.json.encode(
        {"format": identity.format, "id": identity.id, "created": identity.created}
    )
    if data != b'%b,"sum":"%08x"}\n' % (rest[:-1], zlib.crc32(rest)):
        raise _damaged(path, "its checksum does not match")
    if not re.fullmatch("[0-9a-f]{32}", identity.id):
        raise _damaged(path, "its id is not 32 hexadecimal digits")
    return identity.id


def _damaged(path: Path, reason: str) -> StoreDamaged:
    return StoreDamaged(path, line=1, offset_bytes=0, position=0, reason=reason)
