"""Retries or skips what failing partitions wait at, and tells what came of it."""

from __future__ import annotations

from typing import Literal

from dolittle.errors import Unknown
from dolittle.handlers import EventHandlerDeclaration
from dolittle.projections import ProjectionDeclaration
from dolittle.runtime.state import FailingPartition, Request, State
from dolittle_cli.console import Console
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.processors import failing_json
from dolittle_cli.project import Place, use
from dolittle_cli.requesting import see_done


async def mend(
    place: Place,
    kind: Literal["retry", "skip"],
    of: Literal["handler", "projection"],
    name: str,
    partition: str | None,
    *,
    as_json: bool,
) -> None:
    """Retry or skip, wait for what comes of it, and show it.

    Args:
        place: The microservice and the tenant.
        kind: What to do.
        of: What the name names. A projection's partitions are its keys.
        name: Of the handler or projection.
        partition: ``None``: every failing one; for ``skip`` only of a handler that is not
            partitioned, and so has but one.
        as_json: Write one JSON object.

    Raises:
        Unknown: There is no such handler or projection, or it has no such failing partition.
        WrongUsage: A partition must be named.
        CommandLineError: A partition still fails.
    """
    console = Console()
    async with use(place, makes_store=False) as microservice:
        declaration: EventHandlerDeclaration | ProjectionDeclaration
        if of == "handler":
            declaration = microservice.definition.handler(name)
        else:
            declaration = microservice.definition.projection(name)
        rows = {row.partition: row for row in await microservice.state.failing(declaration.id)}
    is_whole = isinstance(declaration, EventHandlerDeclaration) and not declaration.partitioned
    if partition is None and kind == "skip" and not is_whole:
        option = "--partition P" if of == "handler" else "--key KEY"
        raise WrongUsage(
            f"{declaration.name} is partitioned: {option} says which event to skip",
            hint=f"see dolittle {of}s show {declaration.name}",
        )
    if partition is not None and partition not in rows:
        part = "partition" if of == "handler" else "key"
        raise Unknown(f"failing {part} of {declaration.name}", partition, rows)
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
        console.json({of: declaration.name, "mended": mended, "failing": failing})
    if not before:
        console.note(f"no partition of {declaration.name} is failing")
    for key in mended:
        console.note(f"{_text(of, key)} goes on")
    if after:
        row = next(iter(after.values()))
        raise CommandLineError(
            f"{_text(of, row.partition)} fails at position {row.position}: {row.error}",
            hint=f"see dolittle {of}s show {declaration.name}",
        )


def _is_same(now: FailingPartition, before: FailingPartition) -> bool:
    """Tell whether nothing has come of it yet."""
    return (now.position, now.attempts) == (before.position, before.attempts)


def _text(of: Literal["handler", "projection"], partition: str) -> str:
    if of == "projection":
        return f"key {partition!r}"
    return f"partition {partition!r}" if partition else "the handler"
