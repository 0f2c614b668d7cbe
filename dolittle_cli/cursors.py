"""Cursor files: how far ``tail`` has shown each event log, so that the next one goes on there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

from dolittle.store import Position
from dolittle_cli.errors import CommandLineError

FORMAT: Final = "dolittle cursor 1"


class _Place(msgspec.Struct, frozen=True):
    microservice: str
    tenant: str
    position: Position


class _Document(msgspec.Struct, frozen=True):
    format: str
    places: dict[str, _Place]


class Cursor:
    """A cursor file; it need not exist yet.

    It holds a position for each event log that was shown with it, by the log's id, so that the
    cursor of another log is told from this one's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, store_id: str, location: str) -> Position | None:
        """Return where reading goes on, or ``None`` where there is no file yet.

        Args:
            store_id: Of the event log.
            location: Where the log is, for the message.

        Raises:
            CommandLineError: The file is none, or says nothing about this event log.
        """
        document = self._load()
        if document is None:
            return None
        place = document.places.get(store_id)
        if place is None:
            known = sorted(
                f"{item.microservice}/{item.tenant}" for item in document.places.values()
            )
            raise CommandLineError(
                f"the cursor {self.path} is of another event log than the one in {location}: "
                f"of {', '.join(known)}",
                hint="take another file, or delete this one to begin anew",
            )
        return place.position

    def write(self, store_id: str, microservice: str, tenant: str, position: Position) -> None:
        """Note where reading goes on in one event log; the others stay.

        Raises:
            CommandLineError: The file cannot be written, or is no cursor.
        """
        document = self._load()
        places = dict(document.places) if document else {}
        places[store_id] = _Place(microservice, tenant, position)
        content = msgspec.json.encode(_Document(FORMAT, places)) + b"\n"
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            beside.write_bytes(content)
            beside.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise self._refuse(f"cannot be written: {error.strerror}") from error

    def _load(self) -> _Document | None:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refuse(f"cannot be read: {error.strerror}") from error
        try:
            document = msgspec.json.decode(content, type=_Document)
        except msgspec.MsgspecError as error:
            raise self._refuse("is no cursor file") from error
        if document.format != FORMAT:
            raise self._refuse(f"is of another version: {document.format!r}")
        return document

    def _refuse(self, reason: str) -> CommandLineError:
        return CommandLineError(
            f"the cursor {self.path} {reason}", hint="a cursor is written by tail --cursor-file"
        )
