"""The failing partitions of one handler while it runs, and which of them are still to be saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from dolittle.runtime.delivery.calls import Work
from dolittle.runtime.delivery.surroundings import Surroundings, log
from dolittle.runtime.state import Change, FailingPartition, Processor, Request
from dolittle.store import Position


class FailingPartitions:
    """The failing partitions of one handler, by their names.

    Nothing is written here: :meth:`change` tells what is to be saved with the position.
    """

    def __init__(self, name: str, around: Surroundings) -> None:
        """Begin without one.

        Args:
            name: The handler's id.
            around: What the loops of the tenant share.
        """
        self._name = name
        self._around = around
        self._rows: dict[str, FailingPartition] = {}
        self._unsaved: set[str] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, partition: str) -> bool:
        return partition in self._rows

    def __iter__(self) -> Iterator[FailingPartition]:
        return iter([*self._rows.values()])

    def get(self, partition: str) -> FailingPartition | None:
        """Return what is known of a failing partition; ``None`` of one that does not fail."""
        return self._rows.get(partition)

    def load(self, rows: Iterable[FailingPartition]) -> None:
        """Take over what is saved."""
        self._rows = {row.partition: row for row in rows}

    def waiting(self) -> dict[str, Position]:
        """Return where each failing partition waits."""
        return {partition: row.position for partition, row in self._rows.items()}

    def is_skipped(self, work: Work) -> bool:
        """Tell whether a person said to leave an event out."""
        row = self._rows.get(work.partition)
        return row is not None and row.leaves_out(work.event.position)

    def note(self, work: Work, error: BaseException) -> None:
        """Note down that an event could not be handled."""
        earlier = self._rows.get(work.partition)
        row = self._around.failed(
            earlier,
            name=self._name,
            build=1,
            partition=work.partition,
            event=work.event,
            error=error,
        )
        if earlier is not None and earlier.leaves_out(row.position):
            # It was in hand when a person said to leave it out.
            now = self._around.clock.now()
            row = msgspec.structs.replace(row, retry_at=now, is_parked=False, is_skipped=True)
        self._put(row)

    def recover(self, partition: str) -> None:
        """Note down that a partition goes on."""
        self.drop(partition)
        log.info("%s goes on with partition %r", self._name, partition)

    def drop(self, partition: str) -> None:
        """Forget that a partition fails."""
        del self._rows[partition]
        self._unsaved.add(partition)

    def go_on_from(self, partition: str, position: Position) -> bool:
        """Note down how far a failing partition has been caught up; tell whether it moved."""
        row = self._rows[partition]
        if row.position == position:
            return False
        self._put(msgspec.structs.replace(row, position=position, attempts=0, is_skipped=False))
        return True

    def retry_or_skip(self, request: Request) -> None:
        """Let the partitions that a person names be tried again now, or go on behind the event."""
        now = self._around.clock.now()
        is_skipped = request.kind == "skip"
        for row in self:
            if request.partition not in ("", row.partition):
                continue
            if is_skipped:
                log.warning(
                    "%s skips the event at position %s (partition %r) on request",
                    self._name,
                    row.position,
                    row.partition,
                )
            # Saved before the request is forgotten: whoever delivers next leaves it out too.
            self._put(
                msgspec.structs.replace(row, retry_at=now, is_parked=False, is_skipped=is_skipped)
            )

    def _put(self, row: FailingPartition) -> None:
        self._rows[row.partition] = row
        self._unsaved.add(row.partition)

    # Saving

    @property
    def is_saved(self) -> bool:
        """Whether nothing is to be saved."""
        return not self._unsaved

    def change(self, processor: Processor) -> tuple[Change, frozenset[str]]:
        """Return what is to be saved with a position, and of which partitions.

        It counts as saved from now on; where that fails it is handed to :meth:`not_saved`.
        """
        partitions = frozenset(self._unsaved)
        self._unsaved.clear()
        change = Change(
            processor,
            failing=[self._rows[p] for p in partitions if p in self._rows],
            recovered=[p for p in partitions if p not in self._rows],
        )
        return change, partitions

    def not_saved(self, partitions: frozenset[str]) -> None:
        """Note down that partitions are still to be saved."""
        self._unsaved |= partitions
