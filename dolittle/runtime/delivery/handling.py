"""The loop of one event handler: order per partition, failures kept to their partition."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

import msgspec

from dolittle.handlers import EventHandlerDeclaration
from dolittle.runtime.delivery.calls import TURN_EVENTS_MAX, Calls, Work
from dolittle.runtime.delivery.failing import FailingPartitions
from dolittle.runtime.delivery.pacing import Held
from dolittle.runtime.delivery.replays import (
    began_after,
    begun_replay,
    ended,
    is_over,
    is_passed_over,
    is_replayed,
    is_tried_again,
    may_pass_over,
)
from dolittle.runtime.delivery.surroundings import Surroundings, first_of
from dolittle.runtime.state import Change, FailingPartition, Processor, Request
from dolittle.store import START, CommittedEvent, Page, Position, Selection

IN_FLIGHT_MAX: Final = 2_000
"""Events of one handler that are read and not yet handled, before another page is read."""

RETRIES_MAX: Final = 100
"""Failing partitions of one handler that are caught up at a time."""

WHOLE: Final = ""
"""The one partition of an unpartitioned handler."""


class HandlerLoop:
    """Delivers to one event handler: at least once, in order within a partition.

    The position moves over an event when it is handled, or when its partition has been noted
    down as failing. Failing partitions are caught up from the log while the others go on. An
    unpartitioned handler waits at the event instead.
    """

    def __init__(
        self, declaration: EventHandlerDeclaration, instance: Any, around: Surroundings
    ) -> None:
        self._declaration = declaration
        self._instance = instance
        self._around = around
        self._types = frozenset(declaration.methods)
        self._processor = Processor(declaration.id, "handler")
        self._saved = self._processor
        self._failing = FailingPartitions(declaration.id, around)
        self._read: Position = START
        self._pages: AsyncIterator[Page] | None = None
        self._held = Held(around.clock)
        self._lanes: dict[str, deque[Work]] = {}
        self._lane_tasks: dict[str, asyncio.Task[None]] = {}
        self._retries: dict[str, asyncio.Task[None]] = {}
        self._unfinished: dict[Position, None] = {}
        self._slots = asyncio.Semaphore(declaration.concurrency)
        self._calls = Calls(declaration, instance, around)
        self._requests: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._broken: Exception | None = None
        self._is_halted = False
        self._is_stopping = False

    @property
    def name(self) -> str:
        """The handler's id."""
        return self._declaration.id

    @property
    def processor(self) -> Processor:
        """How far it has got."""
        return self._processor

    @property
    def in_hand(self) -> list[str]:
        """The calls that are under way, in words."""
        return [f"{self._declaration.name}.{each}" for each in self._calls.in_hand]

    def stop(self) -> None:
        """Finish the events in hand, save, and let :meth:`run` return."""
        self._is_stopping = self._is_halted = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until stopped; after an error it may be called again.

        Raises:
            Exception: What the store or the state raised; what was not saved is handled again.
        """
        self._is_halted, self._broken = self._is_stopping, None
        await self._load()
        try:
            while not self._is_stopping:
                await self._take_requests()
                self._start_retries()
                has_read = await self._read_page()
                await self._save()
                if self._broken is not None:
                    raise self._broken
                if not has_read:
                    await self._wait()
        finally:
            await self._halt()
            if self._is_stopping:
                self._calls.close()
            await self._save()

    def take(self, request: Request) -> None:
        """Do what a person asked for (replay, retry or skip) before the next event is read."""
        self._requests.append(request)
        self._wake.set()

    async def _take_requests(self) -> None:
        while self._requests:
            request = self._requests[0]
            if request.kind == "replay":
                await self._replay(request)
            elif request.kind == "stop":
                await self._stop_replay()
            else:
                self._failing.retry_or_skip(request)
            await self._save()
            await self._around.state.finish_request(request.number)
            self._requests.popleft()

    async def _load(self) -> None:
        state = self._around.state
        known = await state.processors(self.name)
        if known:
            self._processor = known[0]
        else:
            now = self._declaration.start_from == "now"
            start = await self._around.store.head() if now else START
            self._processor = Processor(self.name, "handler", position=start, began=start)
            await state.save(Change(self._processor))
        self._saved = self._processor
        self._read = self._processor.position
        self._failing.load(await state.failing(self.name))
        self._around.progressed.notify()

    # Reading

    async def _read_page(self) -> bool:
        """Read one page and hand out its events; tell whether reading has moved."""
        if self._is_halted or len(self._unfinished) >= IN_FLIGHT_MAX or self._is_blocked():
            return False
        if self._held:
            return self._hand_out_due()
        if self._pages is None:
            self._pages = self._around.store.read(Selection(start=self._read, types=self._types))
        pages = self._pages
        page = await anext(pages, None)
        if self._pages is not pages:
            return True  # an event failed meanwhile, and reading begins again there
        if page is None:
            self._pages = None
            return False
        moved = page.next_position != self._read
        replay = self._processor.replay
        if replay is not None and replay.speed and page.events:
            self._held.hold(page)
            self._hand_out_due()
            return moved
        self._read = page.next_position
        self._hand_out_all(page.events)
        self._move()
        return moved

    def _hand_out_due(self) -> bool:
        """Hand out what is due of a replay that keeps the gaps; tell whether anything was."""
        replay = self._processor.replay
        before = self._read
        for event in self._held.due(replay.speed if replay is not None else 0.0, self._is_new):
            self._hand_out(event)
        self._read = self._held.position
        self._move()
        return self._read != before

    def _is_new(self, event: CommittedEvent) -> bool:
        """Tell whether an event is not handled again, so that no gap is kept before it."""
        partition, replay = self._partition(event), self._processor.replay
        return is_passed_over(replay, partition, event) or not is_replayed(
            replay, partition, event.position
        )

    def _partition(self, event: CommittedEvent) -> str:
        return event.source if self._declaration.partitioned else WHOLE

    def _hand_out_all(self, events: Sequence[CommittedEvent]) -> None:
        """Hand out the events of a page: all of them at once where none waits or is passed over."""
        is_plain = self._declaration.concurrency == 1 and not self._failing
        if not events or not is_plain or may_pass_over(self._processor.replay, events):
            for event in events:
                self._hand_out(event)
            return
        methods, partitioned = self._declaration.methods, self._declaration.partitioned
        self._add_to_lane(
            WHOLE,
            [
                Work(event, methods[event.type_id], event.source if partitioned else WHOLE)
                for event in events
            ],
        )

    def _hand_out(self, event: CommittedEvent) -> None:
        partition, replay = self._partition(event), self._processor.replay
        waits_at = self._failing.get(partition) if self._declaration.partitioned else None
        # What lies before the event that it waits at was handled before, and is replayed.
        if waits_at is not None and event.position >= waits_at.position:
            return
        if replay is not None and is_passed_over(replay, partition, event):
            return
        work = Work(event, self._declaration.methods[event.type_id], partition)
        self._add_to_lane(partition if self._declaration.concurrency > 1 else WHOLE, [work])

    def _add_to_lane(self, lane: str, works: list[Work]) -> None:
        known = self._lanes.get(lane)
        if known is None:
            known = self._lanes[lane] = deque()
        known += works
        self._unfinished |= dict.fromkeys([work.event.position for work in works])
        if lane not in self._lane_tasks:
            self._lane_tasks[lane] = asyncio.create_task(self._run_lane(lane))

    def _is_blocked(self) -> bool:
        """Tell whether an unpartitioned handler waits at a failing event."""
        row = self._failing.get(WHOLE)
        if self._declaration.partitioned or row is None:
            return False
        return bool(self._unfinished) or row.is_parked or row.retry_at > self._around.clock.now()

    # Handling

    async def _run_lane(self, lane: str) -> None:
        works = self._lanes[lane]
        try:
            while works and not self._is_halted:
                async with self._slots:
                    if works and not self._is_halted:
                        await self._run_some(works)
                self._wake.set()
        except Exception as error:  # noqa: BLE001 - raised again by run(), which waits for no lane
            self._broken = error
        finally:
            if not works:
                self._lanes.pop(lane, None)
            self._lane_tasks.pop(lane, None)
            self._wake.set()

    async def _run_some(self, works: deque[Work]) -> None:
        if self._failing.is_skipped(works[0]):
            self._finish(works.popleft(), None)
            self._move()
            return
        some = list(itertools.islice(works, TURN_EVENTS_MAX))
        errors = await self._calls.turn(some, self._processor.replay, self._has_halted)
        if errors[-1] is None and not self._failing:
            for work in itertools.islice(some, len(errors)):
                works.popleft()
                self._unfinished.pop(work.event.position, None)
        else:
            for error in errors:
                self._finish(works.popleft(), error)
        self._move()

    def _has_halted(self) -> bool:
        return self._is_halted

    def _finish(self, work: Work, error: BaseException | None) -> None:
        if error is not None:
            self._fail(work, error)
            return
        self._unfinished.pop(work.event.position, None)
        if not self._declaration.partitioned and WHOLE in self._failing:
            self._recover(WHOLE)

    def _fail(self, work: Work, error: BaseException) -> None:
        partition = work.partition
        self._failing.note(work, error)
        if not self._declaration.partitioned:
            self._lanes.get(WHOLE, deque()).clear()
            self._unfinished.clear()
            self._held.clear()
            self._read, self._pages = work.event.position, None
            self._move()
            return
        self._unfinished.pop(work.event.position, None)
        for works in self._lanes.values():
            dropped = [item for item in works if item.partition == partition]
            for item in dropped:
                works.remove(item)
                self._unfinished.pop(item.event.position, None)
        self._move()

    def _recover(self, partition: str) -> None:
        self._failing.recover(partition)
        self._move()

    # Position

    def _move(self) -> None:
        position = next(iter(self._unfinished), self._read)
        replay, began = self._processor.replay, self._processor.began
        if replay is not None and is_over(replay, position, self._failing.waiting()):
            began = began_after(replay, began)
            replay = None
        if (position, replay) != (self._processor.position, self._processor.replay):
            self._processor = msgspec.structs.replace(
                self._processor, position=position, replay=replay, began=began
            )

    async def _save(self) -> None:
        if self._processor == self._saved and self._failing.is_saved:
            return
        processor = self._processor
        change, partitions = self._failing.change(processor)
        try:
            await self._around.state.save(change)
        except BaseException:
            # A position that is saved later must not pass a failing partition that was not.
            self._failing.not_saved(partitions)
            raise
        self._saved = processor
        self._around.progressed.notify()

    # Failing partitions

    def _start_retries(self) -> None:
        if not self._declaration.partitioned or self._is_halted:
            return
        now = self._around.clock.now()
        for row in self._failing:
            if len(self._retries) >= RETRIES_MAX:
                break
            is_due = not row.is_parked and row.retry_at <= now and row.position < self._read
            if is_due and row.partition not in self._retries:
                self._retries[row.partition] = asyncio.create_task(self._catch_up(row))

    async def _catch_up(self, row: FailingPartition) -> None:
        """Handle what a failing partition missed, in order, until it is level with the rest."""
        partition, position = row.partition, row.position
        try:
            while not self._is_halted:
                stop = self._read
                selection = Selection(
                    start=position, stop=stop, source=partition, types=self._types
                )
                async with aclosing(self._around.store.read(selection)) as pages:  # type: ignore[type-var]
                    async for page in pages:
                        if not await self._catch_up_page(partition, page):
                            return
                        position = page.next_position
                position = max(position, stop)
                if self._read == stop and not self._is_halted:
                    self._recover(partition)
                    return
        except Exception as error:  # noqa: BLE001 - raised again by run(), which waits for no retry
            self._broken = error
        finally:
            self._retries.pop(partition, None)
            self._wake.set()

    async def _catch_up_page(self, partition: str, page: Page) -> bool:
        for event in page.events:
            if self._is_halted:
                self._go_on_from(partition, event.position)
                return False
            work = Work(event, self._declaration.methods[event.type_id], partition)
            is_left_out = is_passed_over(self._processor.replay, partition, event)
            if not is_left_out and not self._failing.is_skipped(work):
                async with self._slots:
                    [error] = await self._calls.turn(
                        [work], self._processor.replay, self._has_halted
                    )
                if error is not None:
                    self._failing.note(work, error)
                    return False
        self._go_on_from(partition, page.next_position)
        return True

    def _go_on_from(self, partition: str, position: Position) -> None:
        if self._failing.go_on_from(partition, position):
            self._wake.set()

    async def _replay(self, request: Request) -> None:
        await self._halt()
        before = self._processor
        replay = begun_replay(
            request, position=before.position, replay=before.replay, failing=self._failing.waiting()
        )
        for row in self._failing:
            if is_tried_again(replay, row, partitioned=self._declaration.partitioned):
                self._failing.drop(row.partition)
        # Never forwards: what has not been handled yet is not passed over.
        start = min(replay.start, before.position)
        self._processor = msgspec.structs.replace(before, position=start, replay=replay)
        self._read = start
        await self._save()
        self._is_halted = self._is_stopping

    async def _stop_replay(self) -> None:
        await self._halt()
        if self._processor.replay is not None:
            self._processor = msgspec.structs.replace(
                self._processor, replay=ended(self._processor.replay)
            )
            self._move()
        self._is_halted = self._is_stopping

    async def _halt(self) -> None:
        """Let the events in hand finish and forget what was only read."""
        self._is_halted = True
        while tasks := [*self._lane_tasks.values(), *self._retries.values()]:
            await asyncio.gather(*tasks, return_exceptions=True)
        self._lanes.clear()
        self._unfinished.clear()
        self._held.clear()
        self._read, self._pages = self._processor.position, None

    # Waiting

    async def _wait(self) -> None:
        if self._wake.is_set():
            self._wake.clear()
            return
        waits: list[Coroutine[Any, Any, object]] = [self._wake.wait()]
        has_room = len(self._unfinished) < IN_FLIGHT_MAX
        if self._held:
            waits.append(self._around.clock.wait_until(self._held.due_at))
        elif has_room and not self._is_halted and not self._is_blocked():
            waits.append(self._around.store.wait(self._read))
        retry_at = self._next_retry()
        if retry_at is not None:
            waits.append(self._around.clock.wait_until(retry_at))
        await first_of(*waits)
        self._wake.clear()

    def _next_retry(self) -> datetime | None:
        """Return when a retry is due that nothing else will begin or is doing now."""
        if len(self._retries) >= RETRIES_MAX:
            return None  # one of them ends first, and wakes
        if not self._declaration.partitioned and self._unfinished:
            return None  # it is in hand
        due = (
            row.retry_at
            for row in self._failing
            if not row.is_parked
            and row.partition not in self._retries
            and (row.position < self._read or not self._declaration.partitioned)
        )
        return min(due, default=None)
