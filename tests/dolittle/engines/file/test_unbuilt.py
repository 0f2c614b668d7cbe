"""Events that are built late are the events that would have been built at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.engines.file.line import Place, StoredCommit, decode, encode, events_of_all, store
from dolittle.engines.file.unbuilt import StoredEvents
from dolittle.store import Selection, UnbuiltEvents, type_ids
from dolittle.testing.contract import a_commit, an_event

TIME = datetime(2026, 11, 24, tzinfo=UTC)


def commits_of(*lengths: int, gap: int = 0) -> list[StoredCommit]:
    """Return commits as they are decoded, each with so many events."""
    found, position = [], 0
    for length in lengths:
        events = [an_event("T", f"s{n}", b'{"n":%d}' % (position + n)) for n in range(length)]
        stored = store(
            a_commit(*events, id=f"c{position}"), Place(position, position, TIME), [0] * length
        )
        found.append(decode(encode(stored, 0)[:-1]))
        position += length + gap
    return found


def test_events_that_are_built_late_are_those_that_are_built_at_once() -> None:
    commits = commits_of(3, 1, 2)
    events = StoredEvents(commits)
    assert len(events) == 6
    assert list(events) == events == events_of_all(commits)
    assert events[-1].content == b'{"n":5}'
    assert [event.position for event in events[1:3]] == [1, 2]


def test_what_it_takes_to_decode_them_is_had_before_and_after_they_are_built() -> None:
    events = StoredEvents(commits_of(2, 1))
    before = [(e.type_id, e.generation, bytes(e.content)) for e in events.encoded]
    assert before == [(e.type_id, e.generation, e.content) for e in events]
    assert before == [(e.type_id, e.generation, e.content) for e in events.encoded]


@pytest.mark.parametrize("gap", [0, 5])
@pytest.mark.parametrize("lengths", [(1, 1, 1, 1, 1), (3, 2, 4), (9,), (1, 7, 1, 1)])
def test_events_cut_anywhere_and_joined_again_are_the_same(
    lengths: tuple[int, ...], gap: int
) -> None:
    everything = events_of_all(commits_of(*lengths, gap=gap))
    for count in range(1, len(everything)):
        whole = StoredEvents(commits_of(*lengths, gap=gap))
        before, behind, position = whole.cut(count)
        assert position == everything[count].position
        assert (len(before), len(behind)) == (count, len(everything) - count)
        more = StoredEvents(commits_of(2, 1))
        joined = behind.followed_by(more)
        assert [e.position for e in joined] == [e.position for e in [*behind, *more]]
        assert [bytes(e.content) for e in before.encoded] == [e.content for e in everything[:count]]
        assert list(before) == everything[:count]
        assert list(behind) == everything[count:]


async def test_a_page_of_a_whole_log_is_built_when_it_is_looked_at(tmp_path: Path) -> None:
    log = await FileStore.open(tmp_path, durability="os")
    for n in range(12):
        await log.commit(a_commit(*[an_event(content=b'{"n":%d}' % n) for _ in range(100)]))
    pages = [page async for page in log.read(Selection())]
    assert all(isinstance(page.events, UnbuiltEvents) for page in pages)
    assert [len(page.events) for page in pages] == [1000, 200]
    assert [page.next_position for page in pages] == [1000, 1200]
    positions = [event.position for page in pages for event in page.events]
    assert positions == list(range(1200))
    await log.close()


def test_the_types_of_events_are_told_before_and_after_they_are_built() -> None:
    events = StoredEvents(commits_of(2, 1))
    assert type_ids(events) == ["T", "T", "T"]
    assert type_ids(list(events)) == type_ids(events) == ["T", "T", "T"]
    assert type_ids(StoredEvents(commits_of(3)).cut(1)[1]) == ["T", "T"]


class BuiltMeanwhile(StoredEvents):
    """What happens where another thread builds the events just before this one does."""

    __slots__ = ()

    def _plain(self) -> list[StoredCommit]:
        self._built, self._commits = events_of_all(self._commits), []
        return super()._plain()


def test_events_that_two_threads_build_at_once_are_all_there() -> None:
    commits = commits_of(3, 1)
    assert list(BuiltMeanwhile(commits)) == events_of_all(commits)


async def test_the_events_of_an_answer_are_built_when_they_are_looked_at(tmp_path: Path) -> None:
    log = await FileStore.open(tmp_path, durability="os")
    events = [an_event(content=b'{"n":%d}' % n) for n in range(3)]
    for commit in (a_commit(*events), a_commit(events[0])):
        answer = await log.commit(commit)
        assert isinstance(answer.events, UnbuiltEvents)
        assert len(answer.events) == len(commit.events)
        assert [bytes(e.content) for e in answer.events.encoded] == [
            event.content for event in commit.events
        ]
        assert list(answer.events) == await log.read_last(Selection(), len(commit.events))
        assert (answer.id, answer.position) == (commit.id, answer.next_position - 1)
    await log.close()
