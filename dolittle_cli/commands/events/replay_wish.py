"""What ``dolittle events replay`` was asked for: its options, read and held together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dolittle_cli.errors import WrongUsage
from dolittle_cli.ranges import Bound, Start, parse

SPEED_MAX: Final = 1_000_000.0
"""Faster than that is ``max``: a gap of ten days is less than a second then."""

_SPEED: Final = re.compile(r"(\d+(?:\.\d+)?)x", re.ASCII)
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "--shadow": ("--projection", "-n"),
    "--promote": ("--projection",),
    "--discard": ("--projection",),
    "--stop": ("--handler",),
}


def mode_of(modes: Mapping[str, bool]) -> str:
    """Return the one mode that was asked for; empty: none, a plain replay.

    Raises:
        WrongUsage: Several were.
    """
    asked = [name for name, is_asked in modes.items() if is_asked]
    if len(asked) > 1:
        raise WrongUsage(f"{' and '.join(asked)} do not go together", hint="one after the other")
    return asked[0] if asked else ""


def check_only(mode: str, given: Sequence[str]) -> None:
    """Refuse options that mean nothing in a mode.

    Raises:
        WrongUsage: One of them was given.
    """
    for option in given:
        if option in _ALLOWED[mode]:
            continue
        if option == "--handler":
            raise WrongUsage(
                f"{mode} is for projections: what a handler does happens outside, "
                "where nothing can be set beside it and compared",
                hint="a shadow never runs a handler; --handler NAME --dry-run tells what a "
                "replay would handle, and side effects are left out unless they are named",
            )
        if mode == "--stop" and option == "--projection":
            raise WrongUsage(
                "--stop is for handlers: a rebuild of a projection holds up nobody",
                hint="readers see the old read models until the new ones are complete",
            )
        raise WrongUsage(f"{option} means nothing with {mode}", hint=f"leave {option} out")
    if mode == "--stop" and "--handler" not in given:
        raise WrongUsage("--stop: name the handler", hint="--handler NAME")


def parse_speed(text: str) -> float:
    """Return how many times faster than they were committed events are replayed; 0: no gaps.

    Raises:
        WrongUsage: The text is no speed.
    """
    if text == "max":
        return 0.0
    found = _SPEED.fullmatch("1x" if text == "original" else text)
    if found is None or not 0 < float(found[1]) <= SPEED_MAX:
        raise WrongUsage(
            f"--speed {text!r} is no speed",
            hint="it is original, 10x (ten times faster), 0.5x, or max (no gaps)",
        )
    return float(found[1])


@dataclass(frozen=True)
class Wish:
    """What was asked for, not yet looked up.

    Attributes:
        kind: ``handler`` or ``projection``.
        stop: ``None``: to the end of what was handled.
        source: Empty: of every event source.
        speed: As of :func:`parse_speed`.
        side_effects: Names of side-effect methods to be called.
        has_start: Whether a start was named.
    """

    kind: str
    name: str
    start: Bound
    stop: Bound | None
    source: str
    speed: float
    side_effects: tuple[str, ...]
    has_start: bool = False

    @classmethod
    def parse(
        cls,
        handler: str,
        projection: str,
        start: str | None,
        stop: str | None,
        source: str,
        speed: str,
        side_effects: Sequence[str],
    ) -> Wish:
        """Read the options.

        Raises:
            WrongUsage: They do not go together.
        """
        if bool(handler) == bool(projection):
            raise WrongUsage(
                "name one target: --handler NAME or --projection NAME",
                hint="see dolittle handlers list, dolittle projections list; "
                "--shadow alone is about every projection",
            )
        wish = cls(
            kind="handler" if handler else "projection",
            name=handler or projection,
            start=parse(start) if start is not None else Start(),
            stop=parse(stop) if stop is not None else None,
            source=source,
            speed=parse_speed(speed),
            side_effects=tuple(side_effects),
            has_start=start is not None,
        )
        if projection:
            wish.check_whole(start, stop)
        return wish

    def check_whole(self, start: str | None, stop: str | None) -> None:
        """Refuse a part of a projection's events.

        Raises:
            WrongUsage: A part was asked for.
        """
        parts = {
            f"from {start}": self.start != Start(),
            f"up to {stop}": self.stop is not None,
            f"for the source {self.source!r} only": bool(self.source),
        }
        for part, is_asked in parts.items():
            if is_asked:
                raise WrongUsage(
                    f"a projection cannot be replayed {part}: its read models are a fold over "
                    "all its events",
                    hint="leave that out: they are rebuilt from the start beside the old ones, "
                    "which stay readable until the swap",
                )
        if self.speed:
            raise WrongUsage(
                "--speed is for handlers: nobody sees a rebuild under way",
                hint="leave --speed out",
            )
        if self.side_effects:
            raise WrongUsage("--side-effect is for handlers, a projection has none")
