"""Contents decoded with their lines are those that are decoded later; so are faults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dolittle import event_type
from dolittle.engines.file import FileStore, reading, segments
from dolittle.engines.file.line import Place, StoredCommit, decode_all, encode, events_of
from dolittle.engines.file.line import store as store_
from dolittle.engines.file.typed import Decoding
from dolittle.engines.file.unbuilt import StoredEvents
from dolittle.errors import StoreDamaged, UnreadableEvent
from dolittle.serialization import EventTypes
from dolittle.store import CommittedEvent, EventToCommit, Page, Selection, UnbuiltEvents
from dolittle.testing.contract import a_commit, an_event

TIME = datetime(2026, 11, 24, tzinfo=UTC)


@event_type("Paid")
class Paid:
    n: int


@event_type("Ordered", generation=2)
class Ordered:
    n: int
    note: str = ""


TYPES = EventTypes([Paid, Ordered], {"Ordered": [lambda old: {**old, "note": "old"}]})


def paid(n: int, source: str = "a", aggregate: str = "Bill") -> EventToCommit:
    return EventToCommit("Paid", source, b'{"n":%d}' % n, aggregate=aggregate)


def ordered(n: int, generation: int = 2) -> EventToCommit:
    return EventToCommit("Ordered", "a", b'{"n":%d}' % n, generation, True, "Bill")


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FileStore]:
    """A store that is read in small pages of several blocks each."""
    monkeypatch.setattr(segments, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(segments.Segments.lines, "__defaults__", (1000,))
    monkeypatch.setattr(reading, "PAGE_EVENTS", 7)
    opened = await FileStore.open(tmp_path, durability="os")
    yield opened
    await opened.close()


async def pages_of(store: FileStore, selection: Selection | None = None) -> list[Page]:
    return [page async for page in store.read(selection or Selection())]


class Taken:
    """What a reader got that decodes every page."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.values: list[Any] = []
        self.with_contents = 0

    async def read(self, store: FileStore, selection: Selection | None = None) -> Taken:
        async for page in store.read(selection or Selection()):
            events = page.events
            # Asked before anything else looks at the page.
            self.with_contents += len(getattr(events, "classes", ())) > 0
            values = TYPES.decode_all(events)
            assert len(values) == len(events)
            self.values += values
            self.pages.append(page)
        return self


def expected(pages: list[Page]) -> list[Any]:
    return [TYPES.decode(event) for page in pages for event in page.events]


@pytest.mark.parametrize("lengths", [[1] * 60, [3] * 20, [5, 1, 2, 9] * 5])
async def test_contents_and_events_are_the_same_however_they_are_decoded(
    store: FileStore, lengths: list[int]
) -> None:
    n = 0
    for length in lengths:
        events = [(paid, ordered)[(n + m) % 2](n + m) for m in range(length)]
        n += length
        await store.commit(a_commit(*events))
    plain = await pages_of(store)
    taken = await Taken().read(store)
    assert taken.values == expected(plain)
    assert [value.n for value in taken.values] == list(range(n))
    assert taken.with_contents > len(taken.pages) // 2
    assert all(len(page.events) <= 7 for page in taken.pages)
    # Whoever looks at the events of such a page gets what anybody gets.
    events = [event for page in taken.pages for event in page.events]
    assert events == [event for page in plain for event in page.events]
    assert {type(event.content) for event in events} == {bytes}


@pytest.mark.parametrize("selection", [Selection(source="b"), Selection(types=frozenset({"Paid"}))])
@pytest.mark.parametrize("size", [1, 4])
async def test_what_is_selected_is_the_same_with_contents(
    store: FileStore, selection: Selection, size: int
) -> None:
    for n in range(0, 240, size):
        source = "b" if n % 3 == 0 else "a"
        events = [paid(n + m, source) if n % 4 else ordered(n + m) for m in range(size)]
        await store.commit(a_commit(*events))
    plain = await pages_of(store, selection)
    taken = await Taken().read(store, selection)
    assert taken.values == expected(plain)
    assert [e for p in taken.pages for e in p.events] == [e for p in plain for e in p.events]


async def test_a_page_tells_the_types_and_the_encoded_contents_of_its_events(
    store: FileStore,
) -> None:
    for n in range(40):
        await store.commit(a_commit(paid(n), ordered(n)))
    taken = await Taken().read(store)
    page = taken.pages[-1]
    assert isinstance(page.events, UnbuiltEvents)
    types = page.events.type_ids
    encoded = [(e.type_id, e.generation, bytes(e.content)) for e in page.events.encoded]
    assert types == [type_id for type_id, _, _ in encoded]
    built = [(e.type_id, e.generation, e.content) for e in page.events]
    assert encoded == built
    assert page.events.type_ids == types
    assert TYPES.decode_all(page.events) == [TYPES.decode(event) for event in page.events]


@pytest.mark.parametrize("at", [0, 25, 59])
async def test_an_older_generation_among_others_goes_through_its_upcaster(
    store: FileStore, at: int
) -> None:
    for n in range(60):
        await store.commit(a_commit(ordered(n, 1 if n == at else 2)))
    taken = await Taken().read(store)
    assert [value.n for value in taken.values] == list(range(60))
    assert [value.n for value in taken.values if value.note == "old"] == [at]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (an_event("Paid", content=b'{"n":"x"}'), "Expected `int`"),
        (an_event("Unknown"), "no class has this event type id"),
        (ordered(0, 3), "the class Ordered is generation 2"),
    ],
)
async def test_an_unreadable_event_is_told_after_the_pages_before_it(
    store: FileStore, event: EventToCommit, reason: str
) -> None:
    for n in range(45):
        await store.commit(a_commit(paid(n)))
    await store.commit(a_commit(event))
    await store.commit(a_commit(paid(46)))
    taken = Taken()
    with pytest.raises(UnreadableEvent, match=reason) as caught:
        await taken.read(store)
    assert caught.value.position == 45
    assert [value.n for value in taken.values] == list(range(len(taken.values)))
    assert len(taken.values) > 30


async def test_damage_is_found_where_contents_are_decoded(store: FileStore, tmp_path: Path) -> None:
    for n in range(60):
        await store.commit(a_commit(paid(n)))
    (path,) = (tmp_path / "log").iterdir()
    data = bytearray(path.read_bytes())
    # The digit still makes a content that fits its class.
    place = data.index(b'{"n":50}') + 5
    data[place] ^= 1
    path.write_bytes(data)
    taken = Taken()
    with pytest.raises(StoreDamaged) as caught:
        await taken.read(store)
    assert caught.value.position == 50
    assert [value.n for value in taken.values] == list(range(50))
    taken = Taken()
    with pytest.raises(StoreDamaged) as caught:
        await taken.read(store, Selection(source="a"))
    assert caught.value.position == 50
    assert [value.n for value in taken.values] == list(range(50))


async def test_a_class_that_raises_anything_does_not_fail_the_reading(store: FileStore) -> None:
    @event_type("Paid")
    class Raising:
        n: int

        def __post_init__(self) -> None:
            if self.n == 30:
                raise RuntimeError("not today")

    types = EventTypes([Raising])
    for n in range(40):
        await store.commit(a_commit(paid(n)))
    values: list[Any] = []

    async def take() -> None:
        async for page in store.read(Selection()):
            values.extend(types.decode_all(page.events))

    with pytest.raises(RuntimeError, match="not today"):
        await take()
    assert values[-1].n >= 20
    assert len([event for page in await pages_of(store) for event in page.events]) == 40


def test_after_a_vain_attempt_lines_are_decoded_plainly_for_a_while() -> None:
    line = (
        b'{"sum":"","position":0,"synced":0,"commit":"c","time":"2026-11-24T00:00:00Z",'
        b'"events":[{"type":"Paid","source":"a","content":{"n":%b}}]}'
    )
    good, bad = line % b"1", line % b'"x"'
    decoding = Decoding()

    def has_contents(lines: bytes) -> bool:
        found: list[StoredCommit] = decoding.decode_all(lines)
        assert [bool(commit.classes) or commit for commit in found] in (
            [True] * len(found),
            decode_all(lines),
        )
        return bool(found[0].classes)

    assert not has_contents(good)
    decoding.want((("Paid", 1, Paid),))
    assert has_contents(good)
    assert not has_contents(bad)
    assert [has_contents(good) for _ in range(17)] == [False] * 16 + [True]
    decoding.pause()
    assert not has_contents(good)
    with pytest.raises(ValueError, match="missing required field"):
        decoding.decode_all(b"{}")


class BuildingMeanwhile(Decoding):
    """What happens where another thread builds the events while this one decodes them again."""

    events: StoredEvents | None = None

    def pause(self) -> None:
        events, self.events = self.events, None
        if events is not None:
            assert len(list(events)) == len(events)
        super().pause()


@pytest.mark.parametrize("look", [list, lambda events: list(events.encoded)])
def test_events_that_two_threads_build_at_once_are_those_of_the_lines(
    look: Callable[[StoredEvents], list[CommittedEvent]],
) -> None:
    lines = b"\n".join(
        encode(store_(a_commit(paid(n), ordered(n)), Place(2 * n, 0, TIME), [1, 2]), 0)[:-1]
        for n in range(3)
    )
    decoding = BuildingMeanwhile()
    decoding.want((("Paid", 1, Paid), ("Ordered", 2, Ordered)))
    commits = decoding.decode_all(lines)
    events = StoredEvents(commits, decoding=decoding, blocks=[(0, lines)])
    assert events.classes
    decoding.events = events
    found = look(events)
    assert [bytes(event.content) for event in found] == [b'{"n":%d}' % (n // 2) for n in range(6)]
    assert list(events) == [event for commit in decode_all(lines) for event in events_of(commit)]
