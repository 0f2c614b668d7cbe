"""Lines decoded together with the contents of their events, for readers who want these as classes.

A content that is decoded later is passed over first; decoded where it stands it costs half.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Literal, Union

import msgspec

from dolittle.engines.file.line import DecodeLines, StoredCommit, decode_all
from dolittle.store import EventClasses

_PAUSE_BLOCKS: Final = 16
"""Blocks that are decoded plainly after one that was decoded with contents in vain."""

_DECODERS_MAX: Final = 16


class Decoding:
    """How the lines of one reading are decoded; it changes with what the reader asks for.

    With contents from when the reader first asks for these as classes. Plainly for a while
    where that was in vain: a content does not fit its class or is of an older generation, or the
    reader wants the events themselves.
    """

    def __init__(self) -> None:
        self._classes: EventClasses = ()
        self._paused_blocks = 0

    def want(self, classes: EventClasses) -> None:
        """Decode contents into classes from now on."""
        self._classes = classes

    def pause(self) -> None:
        """Pass contents over for a while."""
        self._paused_blocks = _PAUSE_BLOCKS

    def decode_all(self, lines: bytes) -> list[StoredCommit]:
        """Return what intact lines say, as :func:`line.decode_all` does; with contents or not.

        Raises:
            ValueError: One of them is no line of this format.
        """
        if self._paused_blocks:
            self._paused_blocks -= 1
        elif self._classes:
            try:
                return _with_contents(self._classes)(lines)
            except Exception:  # noqa: BLE001 - an event class is the user's code: it may raise anything
                # Decoded one by one, the content that does not fit says so to whoever asks.
                self.pause()
        return decode_all(lines)


@functools.lru_cache(maxsize=_DECODERS_MAX)
def _with_contents(classes: EventClasses) -> DecodeLines:
    """Return what decodes lines whose events are all of some types, each of one generation."""
    kinds = [_event_class(type_id, generation, cls) for type_id, generation, cls in classes]
    commit: Any = msgspec.defstruct(
        "TypedCommit",
        [("events", list[Union[tuple(kinds)]])],  # type: ignore[misc] # noqa: UP007
        bases=(StoredCommit,),
        namespace={"classes": classes},
        kw_only=True,
        gc=False,
    )
    return msgspec.json.Decoder(commit).decode_lines


def _event_class(type_id: str, generation: int, cls: type) -> type[msgspec.Struct]:
    """Return the class of one event within a line: a :class:`StoredEvent`, but for its content."""
    stored: Any = Literal[generation]
    return msgspec.defstruct(
        "TypedEvent",
        [
            # What a line leaves out is generation 1.
            ("generation", stored, 1) if generation == 1 else ("generation", stored),
            ("source", str),
            ("aggregate", str, ""),
            ("version", int, 0),
            ("public", bool, False),
            ("content", cls),
        ],
        namespace={"type_id": type_id},
        tag_field="type",
        tag=type_id,
        kw_only=True,
        gc=False,
    )
