"""The loop of one build of a projection: documents and position change in one transaction."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from dolittle.errors import StoreError
from dolittle.events import EventContext, EventType
from dolittle.projections import (
    Outcome,
    ProjectionDeclaration,
    fold,
    fold_by,
    key_by,
    new_document,
    select_key,
    unset_fields,
)
from dolittle.runtime.delivery.surroundings import Surroundings, first_of, log
from dolittle.runtime.state import Change, FailingPartition, Processor, Request
from dolittle.store import END, START, CommittedEvent, Page, Position, Selection, type_ids

CACHED_DOCUMENTS_MAX: Final = 10_000
"""Decoded documents kept between pages, so that a rebuild does not decode them again."""

_GATHERED_PAGES_MAX: Final = 8
"""Pages folded in one transaction while there is much to read: a document that events of several
pages change is encoded and written once."""

_TURN_EVENTS: Final = 500
"""After so many events others of the event loop have their turn: some 3 ms."""

_NOT_READ: Final = EventContext(START, datetime.min.replace(tzinfo=UTC), EventType(""), "")
"""The context that is handed on where nobody looks at it: making each costs a tenth of all."""


class ProjectionLoop:
    """Folds events into the documents of one build of a projection, exactly once.

    An event that cannot be folded makes its key a failing partition: its document stays as it
    was, and is caught up from the log once the event can be folded. Other keys go on.
    """

    def __init__(
        self, declaration: ProjectionDeclaration, processor: Processor, around: Surroundings
    ) -> None:
        self._declaration = declaration
        self._around = around
        self._types = frozenset(declaration.methods)
        self._with_context = {
            id for id, method in declaration.methods.items() if method.reads_context
        }
        self._processor = processor
        self._failing: dict[str, FailingPartition] = {}
        self._cache: OrderedDict[str, Any] = OrderedDict()
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(declaration.cls)
        self._requests: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._is_stopping = False

    @property
    def name(self) -> str:
        """The projection's id."""
        return self._declaration.id

    @property
    def declaration(self) -> ProjectionDeclaration:
        """What it projects."""
        return self._declaration

    @property
    def processor(self) -> Processor:
        """How far this build has got."""
        return self._processor

    def stop(self) -> None:
        """Finish the page in hand and let :meth:`run` return."""
        self._is_stopping = True
        self._wake.set()

    def take(self, request: Request) -> None:
        """Do what a person asked for (retry or skip) before the next event is read."""
        self._requests.append(request)
        self._wake.set()

    async def run(self) -> None:
        """Project until stopped."""
        await self._load_build()
        while not self._is_stopping:
            await self._take_requests()
            await self._retry_due()
            await self._project_new()
            if not self._is_stopping:
                await self._wait()

    async def project_until(self, stop: Position) -> None:
        """Project what lies before a position, and return; failing keys are left as they are."""
        await self._load_build()
        await self._project_new(stop)
        if self._processor.position < stop and not self._is_stopping:
            await self._project_pages((), stop)

    async def _load_build(self) -> None:
        self._cache.clear()
        build = self._processor.build
        for known in await self._around.state.processors(self.name):
            if known.build == build:
                self._processor = known
        rows = await self._around.state.failing(self.name, build=build)
        self._failing = {row.partition: row for row in rows}
        self._around.progressed.notify()

    async def _project_new(self, stop: Position = END) -> None:
        selection = Selection(start=self._processor.position, stop=stop, types=self._types)
        async with aclosing(_gathered(self._around.store.read(selection))) as pages:
            async for some in pages:
                if self._is_stopping or self._requests:
                    return
                if some[-1].next_position != self._processor.position:
                    await self._project_pages(some, some[-1].next_position)

    async def _project_pages(self, pages: Sequence[Page], position: int) -> None:
        processor = msgspec.structs.replace(self._processor, position=position)
        changed = await self._fold_quickly(pages)
        failed: list[FailingPartition] = []
        if changed is None:
            self._cache.clear()
            changed, failed = await self._fold_carefully(pages)
        await self._around.state.save(Change(processor, failing=failed, documents=changed))
        self._processor = processor
        for row in failed:
            self._failing[row.partition] = row
        self._around.progressed.notify()
        await asyncio.sleep(0)

    async def _fold_quickly(self, pages: Sequence[Page]) -> dict[str, bytes | None] | None:
        """Fold pages in place; return the changed documents, or ``None`` if care is needed.

        Care is needed where a document must be as it was before an event: after an error, after
        ``Outcome.KEEP``, or when a document does not fit its class. Nothing was stored then.
        """
        documents: dict[str, Any] = {}
        changed: dict[str, bytes | None] = {}
        try:
            for page in pages:
                if not await self._fold_page(page.events, documents, changed):
                    return None
            changed |= {k: self._encoded(k, d) for k, d in documents.items() if k not in changed}
        except Exception:  # noqa: BLE001 - the pages are folded again, event by event, and recorded
            return None
        self._cache.update(documents)
        while len(self._cache) > CACHED_DOCUMENTS_MAX:
            self._cache.popitem(last=False)
        return changed

    async def _fold_page(
        self,
        events: Sequence[CommittedEvent],
        documents: dict[str, Any],
        changed: dict[str, bytes | None],
    ) -> bool:
        """Fold a page into documents; tell whether no care was needed."""
        declaration, failing = self._declaration, self._failing
        methods, with_context = declaration.methods, self._with_context
        values = self._around.event_types.decode_all(events)
        for number, (type_id, value) in enumerate(zip(type_ids(events), values, strict=True), 1):
            if number % _TURN_EVENTS == 0:
                await asyncio.sleep(0)
            method = methods[type_id]
            context = _NOT_READ
            if type_id in with_context:
                context = self._around.context(events[number - 1], is_replay=False)
            key = key_by(declaration, method, value, context)
            if key in failing:
                continue
            document = documents.get(key)
            if document is None:
                document = self._cache.pop(key, None) or await self._load(key)
                documents[key] = document
            outcome = fold_by(declaration, method, document, value, context)
            if outcome is Outcome.KEEP:
                return False
            if outcome is Outcome.DELETE:
                documents[key] = new_document(declaration.cls)
                changed[key] = None
            elif changed:
                changed.pop(key, None)
        return True

    async def _load(self, key: str) -> Any:
        return self._document(
            await self._around.state.document(self.name, self._processor.build, key)
        )

    def _document(self, content: bytes | None) -> Any:
        if content is None:
            return new_document(self._declaration.cls)
        return self._decoder.decode(content)

    def _encoded(self, key: str, document: Any) -> bytes:
        """Encode a document, checked against its class."""
        missing = unset_fields(document)
        if missing:
            raise ValueError(
                f"the new document {key!r} has no value for {', '.join(missing)}: "
                "set it in the @on method, or give the field a default"
            )
        content = msgspec.json.encode(document)
        self._decoder.decode(content)
        return content

    async def _fold_carefully(
        self, pages: Sequence[Page]
    ) -> tuple[dict[str, bytes | None], list[FailingPartition]]:
        """Fold event by event, each on a fresh copy of its document."""
        changed: dict[str, bytes | None] = {}
        failed: dict[str, FailingPartition] = {}
        for event in [event for page in pages for event in page.events]:
            key = self._key_of(event)
            if key in self._failing or key in failed:
                continue
            row = await self._fold_one(key, event, changed, None)
            if row is not None:
                failed[key] = row
        return changed, list(failed.values())

    async def _fold_one(
        self,
        key: str,
        event: CommittedEvent,
        changed: dict[str, bytes | None],
        earlier: FailingPartition | None,
    ) -> FailingPartition | None:
        around = self._around
        if key in changed:
            before = changed[key]
        else:
            before = await around.state.document(self.name, self._processor.build, key)
        try:
            _, value, context = self._read(event)
            document = self._document(before)
            outcome = fold(self._declaration, document, value, context)
            if outcome is Outcome.DELETE:
                changed[key] = None
            elif outcome is not Outcome.KEEP:
                changed[key] = self._encoded(key, document)
        except Exception as error:  # noqa: BLE001 - recorded as the key's failure
            return around.failed(
                earlier,
                name=self.name,
                build=self._processor.build,
                partition=key,
                event=event,
                error=error,
            )
        return None

    def _read(self, event: CommittedEvent) -> tuple[str, Any, EventContext]:
        """Return an event's key, the event, and its context.

        Raises:
            Exception: It cannot be read, or its key cannot be told.
        """
        value = self._around.event_types.decode(event)
        context = self._around.context(event, is_replay=False)
        return select_key(self._declaration, value, context), value, context

    def _key_of(self, event: CommittedEvent) -> str:
        """Return the event's key; an event whose key cannot be told is a partition of its own."""
        try:
            return self._read(event)[0]
        except Exception:  # noqa: BLE001 - folding it fails for the same reason, and records it
            return unknown_key(event.position)

    # Failing partitions

    async def _take_requests(self) -> None:
        now = self._around.clock.now()
        while self._requests:
            request = self._requests[0]
            is_skipped = request.kind == "skip"
            rows = {
                key: msgspec.structs.replace(
                    row, retry_at=now, is_parked=False, is_skipped=is_skipped
                )
                for key, row in self._failing.items()
                if request.partition in ("", key)
            }
            # Saved before the request is forgotten: whoever delivers next does it too.
            await self._around.state.save(Change(self._processor, failing=[*rows.values()]))
            self._failing |= rows
            await self._around.state.finish_request(request.number)
            self._requests.popleft()

    async def _retry_due(self) -> None:
        now = self._around.clock.now()
        for row in list(self._failing.values()):
            if not row.is_parked and row.retry_at <= now and not self._is_stopping:
                await self._catch_up(row)

    async def _catch_up(self, row: FailingPartition) -> None:
        """Fold what a failing key missed, up to where the projection is."""
        key, asked = row.partition, row
        selection = Selection(start=row.position, stop=self._processor.position, types=self._types)
        async with aclosing(self._around.store.read(selection)) as pages:  # type: ignore[type-var]
            async for page in pages:
                changed: dict[str, bytes | None] = {}
                for event in page.events:
                    if asked.leaves_out(event.position):
                        continue
                    if self._key_of(event) != key:
                        if key == unknown_key(event.position):
                            await self._ask_for_rebuild(event)
                        continue
                    failed = await self._fold_one(key, event, changed, row)
                    if failed is not None:
                        await self._save_failing(failed, changed)
                        return
                row = msgspec.structs.replace(
                    row, position=page.next_position, attempts=0, is_skipped=False
                )
                await self._save_failing(row, changed)
                if self._is_stopping:
                    return
        self._cache.pop(key, None)
        await self._around.state.save(Change(self._processor, recovered=[key]))
        del self._failing[key]
        log.info("%s goes on with key %r", self.name, key)
        self._around.progressed.notify()

    async def _ask_for_rebuild(self, event: CommittedEvent) -> None:
        """Ask for a rebuild: an event's key was unknown, and others of its key went past it."""
        requests = await self._around.state.requests()
        if not any(item.kind == "replay" and item.name == self.name for item in requests):
            await self._around.state.request(Request("replay", self.name))
        log.info(
            "%s is rebuilt: the event at position %s can be read now", self.name, event.position
        )

    async def _save_failing(self, row: FailingPartition, changed: dict[str, bytes | None]) -> None:
        await self._around.state.save(Change(self._processor, failing=[row], documents=changed))
        self._failing[row.partition] = row
        self._cache.pop(row.partition, None)

    # Waiting

    async def _wait(self) -> None:
        waits: list[Coroutine[Any, Any, object]] = [
            self._wake.wait(),
            self._around.store.wait(self._processor.position),
        ]
        due = [row.retry_at for row in self._failing.values() if not row.is_parked]
        if due:
            waits.append(self._around.clock.wait_until(min(due)))
        await first_of(*waits)
        self._wake.clear()


async def _gathered(pages: AsyncIterator[Page]) -> AsyncGenerator[list[Page], None]:
    """Yield the pages of a reading, some at a time; those before an error come before it."""
    some: list[Page] = []
    try:
        async with aclosing(pages):  # type: ignore[type-var]
            async for page in pages:
                some.append(page)
                if len(some) == _GATHERED_PAGES_MAX:
                    yield some
                    some = []
    except StoreError:
        if some:
            yield some
        raise
    if some:
        yield some


def unknown_key(position: Position) -> str:
    """Return the partition of an event whose key cannot be told."""
    return f"event {position}"
