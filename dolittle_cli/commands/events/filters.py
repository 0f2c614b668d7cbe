"""Which events a command is asked for, from words to a sieve."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from dolittle.errors import Unknown
from dolittle.execution import Clock
from dolittle.store import CommittedEvent, EventStore, Selection
from dolittle_cli.aliases import Aliases
from dolittle_cli.errors import WrongUsage
from dolittle_cli.project import Place
from dolittle_cli.ranges import Bound, parse, select
from dolittle_cli.sieve import Sieve, Wanted
from dolittle_cli.wildcards import has_wildcard, wildcard

if TYPE_CHECKING:
    from dolittle_cli.conditions import Condition

SOURCES_MAX: Final = 100
"""Event sources in one command; each is looked up on its own."""

_NOTHING: Final = frozenset({"\0"})
"""An event type id that no event has: selects nothing."""


@dataclass(frozen=True)
class Filters:
    """What was asked for; names are not yet looked up, and may have wildcards."""

    start: Bound | None = None
    stop: Bound | None = None
    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    correlation: str = ""
    where: Condition | None = None
    grep: re.Pattern[str] | None = None

    @classmethod
    def parse(
        cls,
        *,
        start: str | None = None,
        stop: str | None = None,
        types: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        correlation: str = "",
        where: str | None = None,
        grep: str | None = None,
    ) -> Filters:
        """Read the options.

        Raises:
            WrongUsage: One of them cannot be understood.
        """
        if len(sources or ()) > SOURCES_MAX:
            raise WrongUsage(f"--source is given more than {SOURCES_MAX} times")
        return cls(
            parse(start) if start is not None else None,
            parse(stop) if stop is not None else None,
            tuple(types or ()),
            tuple(dict.fromkeys(sources or ())),
            correlation,
            _condition(where),
            _pattern(grep),
        )

    async def sieve(self, store: EventStore, place: Place, aliases: Aliases, clock: Clock) -> Sieve:
        """Look up in a log what was asked for.

        Raises:
            Unknown: An event type is neither declared nor stored, or no event has an id.
            WrongUsage: The range would end before it begins.
            CommandLineError: A place lies outside the log.
        """
        required: Mapping[str, frozenset[str]] = self.where.required if self.where else {}
        stored = await store.type_counts() if self.types or required.keys() & _BY_TYPE else {}
        types = self._type_ids(aliases, stored)
        for field in _BY_TYPE & required.keys():
            found = _declared(required[field], aliases, stored, by_alias=field == "type")
            types = found if types is None else types & found or _NOTHING
        correlation, aggregate = _single(required, "correlation"), _single(required, "aggregate")
        if self.correlation and correlation not in ("", self.correlation):
            types = _NOTHING
        within = Selection(
            types=types or frozenset(),
            correlation=self.correlation or correlation,
            aggregate=aggregate,
        )
        within = await select(store, clock, self.start, self.stop, within)
        sources = self._exact_sources(required)
        selections = tuple(msgspec.structs.replace(within, source=item) for item in sources)
        tests = self._tests(place, aliases)
        by_source = _source_tests(self.sources)
        later = [*tests, *by_source, *self._later(aliases, stored)]
        if not sources:
            tests += by_source
        return Sieve(
            selections or (within,),
            Selection(correlation=within.correlation, aggregate=within.aggregate),
            _joined(tests),
            is_sieved=bool(tests),
            is_wanted_later=_joined(later),
        )

    # Event types

    def _type_ids(self, aliases: Aliases, stored: Mapping[str, int]) -> frozenset[str] | None:
        """Return the ids of the event types that were named, ``None`` if none was."""
        if not self.types:
            return None
        found: set[str] = set()
        known = {*aliases.by_id, *stored}
        for name in self.types:
            if not has_wildcard(name):
                found.add(aliases.type_id(name, stored))
                continue
            is_like = wildcard(name).fullmatch
            ids = {i for i in known if is_like(i) or is_like(aliases.alias(i))}
            if not ids:
                raise Unknown("event type like", name, map(aliases.alias, known))
            found |= ids
        return frozenset(found)

    def _later(self, aliases: Aliases, stored: Mapping[str, int]) -> list[Wanted]:
        """Return what tells the named types among events that come later, of new types too."""
        if not self.types:
            return []
        exact = {aliases.type_id(name, stored) for name in self.types if not has_wildcard(name)}
        likes = [wildcard(name).fullmatch for name in self.types if has_wildcard(name)]

        def is_named(event: CommittedEvent) -> bool:
            names = (event.type_id, aliases.alias(event.type_id))
            return event.type_id in exact or any(like(name) for like in likes for name in names)

        return [is_named]

    # Event sources

    def _exact_sources(self, required: Mapping[str, frozenset[str]]) -> list[str]:
        """Return the event sources to select by; none where everything is to be read."""
        if self.sources and not any(map(has_wildcard, self.sources)):
            return list(self.sources)
        found = sorted(required.get("source", ()))
        return found if len(found) <= SOURCES_MAX else []

    # What is left to be sieved

    def _tests(self, place: Place, aliases: Aliases) -> list[Wanted]:
        tests: list[Wanted] = []
        if self.where is not None:
            tests.append(_meets(self.where, place, aliases))
        if self.grep is not None:
            tests.append(_greps(self.grep, aliases))
        return tests


_BY_TYPE: Final = frozenset({"type", "type_id"})


def _declared(
    names: Iterable[str], aliases: Aliases, stored: Mapping[str, int], *, by_alias: bool
) -> frozenset[str]:
    wanted = set(names)
    if not by_alias:
        return frozenset(wanted)
    known = {*aliases.by_id, *stored}
    return frozenset(i for i in known if aliases.alias(i) in wanted) or _NOTHING


def _single(required: Mapping[str, frozenset[str]], field: str) -> str:
    values = required.get(field, frozenset())
    return next(iter(values)) if len(values) == 1 else ""


def _source_tests(sources: Sequence[str]) -> list[Wanted]:
    if not sources:
        return []
    exact = frozenset(item for item in sources if not has_wildcard(item))
    likes = [wildcard(item).fullmatch for item in sources if has_wildcard(item)]
    return [lambda event: event.source in exact or any(like(event.source) for like in likes)]


def _meets(where: Condition, place: Place, aliases: Aliases) -> Wanted:
    from dolittle_cli.conditions import Subject

    name, tenant = place.configuration.name, place.tenant
    return lambda event: where.matches(Subject(event, aliases, name, tenant))


def _greps(pattern: re.Pattern[str], aliases: Aliases) -> Wanted:
    search = pattern.search

    def is_found(event: CommittedEvent) -> bool:
        # One text of several lines: a search of each on its own costs three times as much.
        text = "\n".join(
            (
                searched_text(event.content),
                event.source,
                aliases.alias(event.type_id),
                event.commit.correlation,
                event.id,
            )
        )
        return search(text) is not None

    return is_found


def searched_text(content: bytes) -> str:
    """Return an event's content as the text that is searched: JSON, letters as they are."""
    text = content.decode()
    if "\\u" not in text:
        return text
    return msgspec.json.encode(msgspec.json.decode(content)).decode()


def _joined(tests: Sequence[Wanted]) -> Wanted:
    if len(tests) == 1:
        return tests[0]
    return lambda event: all(test(event) for test in tests)


def _condition(text: str | None) -> Condition | None:
    if text is None:
        return None
    from dolittle_cli.conditions import parse_condition

    return parse_condition(text)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    """Read ``--grep``: small letters find both, as of journalctl."""
    if text is None:
        return None
    try:
        small = re.IGNORECASE if text == text.lower() else re.NOFLAG
        # Each of type, source, content and ids is a line of its own.
        return re.compile(text, re.MULTILINE | small)
    except re.error as error:
        column = error.pos or 0
        raise WrongUsage(
            f"--grep: {error.msg}\n  {text}\n  {' ' * column}^",
            hint=r"it is a regular expression; \( finds a bracket",
        ) from error
    except RecursionError as error:
        raise WrongUsage("--grep nests too deep") from error
