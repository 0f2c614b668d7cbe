"""Retries or skips what a handler's failing partitions wait at, and tells what came of it."""

from __future__ import annotations

from typing import Literal

from dolittle.errors import Unknown
from dolittle.runtime.state import FailingPartition, Request, State
from dolittle_cli.console import Console
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.processors import failing_json
from dolittle_cli.project import Place, use
from dolittle_cli.requesting import see_done


async def mend(
    place: Place,
    kind: Literal["retry", "skip"],
    name: str,
    partition: str | None,
    *,
    as_json: bool,
) -> None:
    """Retry or skip, wait for what comes of it, and show it.

    Args:
        place: The microservice and the tenant.
        kind: What to do.
        name: Of the handler.
        partition: ``None``: every failing one; for ``skip`` only where the handler is not
            partitioned, and so has but one.
        as_json: Write one JSON object.

    Raises:
        Unknown: There is no such handler, or it has no such failing partition.
        WrongUsage: A partition must be named.
        CommandLineError: A partition still fails.
    """
    console = Console()
    async with use(place, makes_store=False) as microservice:
        declaration = microservice.definition.handler(name)
        rows = {row.partition: row for row in await microservice.state.failing(declaration.id)}
    if partition is None and kind == "skip" and declaration.partitioned:
        raise WrongUsage(
            f"{declaration.name} is partitioned: --partition P says which event to skip",
            hint=f"see dolittle handlers show {declaration.name}",
        )
    if partition is not None and partition not in rows:
        raise Unknown(f"failing partition of {declaration.name}", partition, rows)
    before = rows if partition is None else {partition: rows[partition]}
    after: dict[str, FailingPartition] = {}
    if before:

        async def is_done(state: State, is_taken: bool) -> bool:
            nonlocal after
            found = {row.partition: row for row in await state.failing(declaration.id)}
            after = {key: row for key, row in found.items() if key in before}
            return is_taken and not any(_is_same(row, before[key]) for key, row in after.items())

        await see_done(place, Request(kind, declaration.id, partition=partition or ""), is_done)
    mended = sorted(set(before) - set(after))
    if as_json:
        failing = [failing_json(row) for row in after.values()]
        console.json({"handler": declaration.name, "mended": mended, "failing": failing})
    if not before:
        console.note(f"no partition of {declaration.name} is failing")
    for key in mended:
        console.note(f"{_text(key)} goes on")
    if after:
        row = next(iter(after.values()))
        raise CommandLineError(
            f"{_text(row.partition)} fails at position {row.position}: {row.error}",
            hint=f"see dolittle handlers show {declaration.name}",
        )


def _is_same(now: FailingPartition, before: FailingPartition) -> bool:
    """Tell whether nothing has come of it yet."""
    return (now.position, now.attempts) == (before.position, before.attempts)


def _text(partition: str) -> str:
    return f"partition {partition!r}" if partition else "the handler"
