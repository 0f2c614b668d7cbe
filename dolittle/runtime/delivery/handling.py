"""The loop of one event handler: order per partition, failures kept to their partition."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from dolittle.execution import execution_context
from dolittle.handlers import EventHandlerDeclaration, HandlerMethod
from dolittle.runtime.delivery.surroundings import Surroundings, first_of, log
from dolittle.runtime.state import Change, FailingPartition, Processor, Replay, Request
from dolittle.store import START, CommittedEvent, Page, Position, Selection

IN_FLIGHT_MAX: Final = 2_000
"""Events of one handler that are read and not yet handled."""

TURN_S: Final = 0.1
"""How long a thread handles events before it reports, so that positions are saved."""

TURN_EVENTS_MAX: Final = 500

WHOLE: Final = ""
"""The one partition of an unpartitioned handler."""


class Work(NamedTuple):
    """One event for one method."""

    event: CommittedEvent
    method: HandlerMethod
    partition: str


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
        self._failing: dict[str, FailingPartition] = {}
        self._unsaved: set[str] = set()
        self._skip: dict[str, Position] = {}
        self._read: Position = START
        self._pages: AsyncIterator[Page] | None = None
        self._lanes: dict[str, deque[Work]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unfinished: OrderedDict[Position, None] = OrderedDict()
        self._slots = asyncio.Semaphore(declaration.concurrency)
        self._threads: ThreadPoolExecutor | None = None
        self._requests: deque[Request] = deque()
        self._wake = asyncio.Event()
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

    def stop(self) -> None:
        """Finish the events in hand, save, and let :meth:`run` return."""
        self._is_stopping = self._is_halted = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until stopped."""
        self._is_halted = self._is_stopping
        self._threads = ThreadPoolExecutor(
            self._declaration.concurrency, thread_name_prefix=f"dolittle-{self._declaration.name}"
        )
        await self._load()
        try:
            while not self._is_stopping:
                await self._take_requests()
                self._start_retries()
                has_read = await self._read_page()
                await self._save()
                if not has_read:
                    await self._wait()
        finally:
            await self._halt()
            await self._save()
            self._threads.shutdown(wait=False)

    def take(self, request: Request) -> None:
        """Do what a person asked for (replay, retry or skip) before the next event is read."""
        self._requests.append(request)
        self._wake.set()

    async def _take_requests(self) -> None:
        while self._requests:
            request = self._requests.popleft()
            if request.kind == "replay":
                await self._replay(request)
            else:
                self._retry_or_skip(request)
            await self._save()
            await self._around.state.finish_request(request.number)

    async def _load(self) -> None:
        state = self._around.state
        known = await state.processors(self.name)
        if known:
            self._processor = known[0]
        else:
            now = self._declaration.start_from == "now"
            start = await self._around.store.head() if now else START
            self._processor = Processor(self.name, "handler", position=start)
            await state.save(Change(self._processor))
        self._saved = self._processor
        self._read = self._processor.position
        self._failing = {row.partition: row for row in await state.failing(self.name)}
        self._around.progressed.notify()

    # Reading

    async def _read_page(self) -> bool:
        """Read one page and hand out its events; tell whether reading has moved."""
        if self._is_halted or len(self._unfinished) >= IN_FLIGHT_MAX or self._is_blocked():
            return False
        if self._pages is None:
            self._pages = self._around.store.read(Selection(start=self._read, types=self._types))
        page = await anext(self._pages, None)
        if page is None or self._is_blocked():
            self._pages = None
            return False
        moved = page.next_position != self._read
        self._read = page.next_position
        for event in page.events:
            self._hand_out(event)
        self._move()
        return moved

    def _hand_out(self, event: CommittedEvent) -> None:
        partition = event.source if self._declaration.partitioned else WHOLE
        if self._declaration.partitioned and partition in self._failing:
            return
        work = Work(event, self._declaration.methods[event.type_id], partition)
        lane = partition if self._declaration.concurrency > 1 else WHOLE
        self._lanes.setdefault(lane, deque()).append(work)
        self._unfinished[event.position] = None
        if lane not in self._tasks:
            self._tasks[lane] = asyncio.create_task(self._run_lane(lane))

    def _is_blocked(self) -> bool:
        """Tell whether an unpartitioned handler waits at a failing event."""
        if self._declaration.partitioned or WHOLE not in self._failing:
            return False
        row = self._failing[WHOLE]
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
        finally:
            if not works:
                self._lanes.pop(lane, None)
            self._tasks.pop(lane, None)
            self._wake.set()

    async def _run_some(self, works: deque[Work]) -> None:
        """Handle the first event, or as many ``def`` methods' events as fit into one turn."""
        first = works[0]
        if first.method.is_async:
            errors = [await self._call_async(first)]
        else:
            turn: list[Work] = []
            for work in works:
                if work.method.is_async or len(turn) >= TURN_EVENTS_MAX:
                    break
                turn.append(work)
            loop = asyncio.get_running_loop()
            errors = await loop.run_in_executor(self._threads, self._call_turn, turn)
        for error in errors:
            if not works:
                break
            self._finish(works.popleft(), error)
        self._move()

    def _call_turn(self, turn: list[Work]) -> list[BaseException | None]:
        """Handle events in a thread, until one fails, the turn is over or the loop is halted."""
        end = time.monotonic() + TURN_S
        errors: list[BaseException | None] = []
        for work in turn:
            error = self._call(work)
            errors.append(error)
            if error is not None or self._is_halted or time.monotonic() >= end:
                break
        return errors

    def _call(self, work: Work) -> BaseException | None:
        around = self._around
        if self._is_left_out(work):
            return None
        try:
            event = around.event_types.decode(work.event)
            context = around.context(work.event, is_replay=self._is_replay(work))
            with execution_context(around.execution(work.event)):
                if work.method.takes_context:
                    work.method.function(self._instance, event, context)
                else:
                    work.method.function(self._instance, event)
        except Exception as error:  # noqa: BLE001 - recorded as the partition's failure
            return error
        return None

    async def _call_async(self, work: Work) -> BaseException | None:
        around = self._around
        if self._is_left_out(work):
            return None
        try:
            event = around.event_types.decode(work.event)
            context = around.context(work.event, is_replay=self._is_replay(work))
            with execution_context(around.execution(work.event)):
                if work.method.takes_context:
                    await work.method.function(self._instance, event, context)
                else:
                    await work.method.function(self._instance, event)
        except Exception as error:  # noqa: BLE001 - recorded as the partition's failure
            return error
        return None

    def _is_left_out(self, work: Work) -> bool:
        if self._skip.get(work.partition) == work.event.position:
            return True
        if not work.method.is_side_effect or not self._is_replay(work):
            return False
        replay = self._processor.replay
        return replay is not None and work.method.name not in replay.side_effects

    def _is_replay(self, work: Work) -> bool:
        replay, position = self._processor.replay, work.event.position
        if replay is None or position >= replay.until:
            return False
        unhandled = replay.unhandled.get(work.partition)
        return unhandled is None or position < unhandled

    def _finish(self, work: Work, error: BaseException | None) -> None:
        if error is not None:
            self._fail(work, error)
            return
        self._unfinished.pop(work.event.position, None)
        self._skip.pop(work.partition, None)
        if not self._declaration.partitioned and WHOLE in self._failing:
            self._recover(WHOLE)

    def _fail(self, work: Work, error: BaseException) -> None:
        partition = work.partition
        self._note(work, error)
        if not self._declaration.partitioned:
            self._lanes.get(WHOLE, deque()).clear()
            self._unfinished.clear()
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

    def _note(self, work: Work, error: BaseException) -> None:
        self._failing[work.partition] = self._around.failed(
            self._failing.get(work.partition),
            name=self.name,
            build=1,
            partition=work.partition,
            event=work.event,
            error=error,
        )
        self._unsaved.add(work.partition)

    def _recover(self, partition: str) -> None:
        del self._failing[partition]
        self._unsaved.add(partition)
        log.info("%s goes on with partition %r", self.name, partition)

    # Position

    def _move(self) -> None:
        position = next(iter(self._unfinished), self._read)
        replay = self._processor.replay
        if replay is not None and position >= replay.until:
            replay = None
        if (position, replay) != (self._processor.position, self._processor.replay):
            self._processor = msgspec.structs.replace(
                self._processor, position=position, replay=replay
            )

    async def _save(self) -> None:
        if self._processor == self._saved and not self._unsaved:
            return
        processor, unsaved = self._processor, self._unsaved
        self._unsaved = set()
        await self._around.state.save(
            Change(
                processor,
                failing=[self._failing[p] for p in unsaved if p in self._failing],
                recovered=[p for p in unsaved if p not in self._failing],
            )
        )
        self._saved = processor
        self._around.progressed.notify()

    # Failing partitions

    def _start_retries(self) -> None:
        if not self._declaration.partitioned or self._is_halted:
            return
        now = self._around.clock.now()
        for partition, row in self._failing.items():
            key = f"retry {partition}"
            if not row.is_parked and row.retry_at <= now and key not in self._tasks:
                self._tasks[key] = asyncio.create_task(self._catch_up(key, row))

    async def _catch_up(self, key: str, row: FailingPartition) -> None:
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
        finally:
            self._tasks.pop(key, None)
            self._wake.set()

    async def _catch_up_page(self, partition: str, page: Page) -> bool:
        for event in page.events:
            if self._is_halted:
                return False
            work = Work(event, self._declaration.methods[event.type_id], partition)
            async with self._slots:
                if work.method.is_async:
                    error = await self._call_async(work)
                else:
                    loop = asyncio.get_running_loop()
                    error = await loop.run_in_executor(self._threads, self._call, work)
            if error is not None:
                self._note(work, error)
                return False
            self._skip.pop(partition, None)
        if page.events:
            self._failing[partition] = msgspec.structs.replace(
                self._failing[partition], position=page.next_position, attempts=0
            )
            self._unsaved.add(partition)
        return True

    def _retry_or_skip(self, request: Request) -> None:
        now = self._around.clock.now()
        for partition, row in list(self._failing.items()):
            if request.partition not in ("", partition):
                continue
            if request.kind == "skip":
                self._skip[partition] = row.position
                log.warning(
                    "%s skips the event at position %s (partition %r) on request",
                    self.name,
                    row.position,
                    partition,
                )
            self._failing[partition] = msgspec.structs.replace(row, retry_at=now, is_parked=False)
            self._unsaved.add(partition)

    async def _replay(self, request: Request) -> None:
        await self._halt()
        until = max(self._processor.position, getattr(self._processor.replay, "until", START))
        cleared = [row for row in self._failing.values() if row.position >= request.position]
        unhandled = {row.partition: row.position for row in cleared}
        for row in cleared:
            del self._failing[row.partition]
            self._unsaved.add(row.partition)
        self._processor = msgspec.structs.replace(
            self._processor,
            position=request.position,
            replay=Replay(until, request.side_effects, unhandled),
        )
        self._read = request.position
        await self._save()
        self._is_halted = self._is_stopping

    async def _halt(self) -> None:
        """Let the events in hand finish and forget what was only read."""
        self._is_halted = True
        while self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._lanes.clear()
        self._unfinished.clear()
        self._read, self._pages = self._processor.position, None

    # Waiting

    async def _wait(self) -> None:
        if self._wake.is_set():
            self._wake.clear()
            return
        waits = [asyncio.create_task(_wait_for(self._wake))]
        has_room = len(self._unfinished) < IN_FLIGHT_MAX
        if has_room and not self._is_halted and not self._is_blocked():
            waits.append(asyncio.create_task(self._around.store.wait(self._read)))
        await first_of(*waits, timeout_s=self._seconds_to_retry())
        self._wake.clear()

    def _seconds_to_retry(self) -> float | None:
        due = [
            row.retry_at
            for row in self._failing.values()
            if not row.is_parked and f"retry {row.partition}" not in self._tasks
        ]
        return seconds_until(min(due), self._around.clock.now()) if due else None


def seconds_until(moment: datetime, now: datetime) -> float:
    """Return the seconds to a moment, 0 if it has passed, at most an hour."""
    return min(max((moment - now) / timedelta(seconds=1), 0.0), 3_600.0)


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()
