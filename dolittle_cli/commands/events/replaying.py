"""``dolittle events replay``: says what it will do, asks, and shows how it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from dolittle.runtime.state import FailingPartition, Request, State, active, newest
from dolittle_cli.commands.events.replay_plan import Plan, make_plan, refuse_other
from dolittle_cli.commands.events.replay_wish import Wish
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.project import Place, use
from dolittle_cli.requesting import follow, see_done

SAY_EVERY_S: Final = 5.0
"""How often progress is said where there is no terminal to show it on."""


async def replay_events(
    place: Place, wish: Wish, *, dry_run: bool, yes: bool, restart: bool, as_json: bool
) -> None:
    """Say what a replay will do; unless it is a dry run, get a yes, and see it done.

    One that was interrupted goes on where it was, if the same is asked for.

    Raises:
        Unknown: There is no such handler, projection or side-effect method.
        WrongUsage: Nobody can be asked, and there was no ``--yes``.
        CommandLineError: It cannot be done, was not wanted, or left something failing.
    """
    console = Console()
    async with use(place, makes_store=False) as microservice:
        plan = await make_plan(microservice, wish)
    if dry_run:
        if as_json:
            console.json(plan.json())
        else:
            console.data("\n".join(plan.lines()))
        console.note("dry run: nothing was done")
        return
    console.note("\n".join(plan.lines()))
    if plan.under_way and not restart and not plan.is_same:
        refuse_other(plan)
    joins = bool(plan.under_way) and not restart
    if joins:
        console.note("it goes on where it is; --restart begins anew")
    elif not plan.events:
        console.note("there is nothing to replay: no such event was handled yet")
        return
    if not yes and not joins:
        _ask(console)
    started = time.monotonic()
    watch = _Watch(console, plan, time.monotonic)
    async with _said_when_interrupted(console, plan):
        if joins:
            await follow(place, plan.id, watch.is_done, plan.number)
        else:
            await see_done(place, plan.request(), watch.is_done)
    seconds = time.monotonic() - started
    if as_json:
        failing = [item.partition for item in watch.failing]
        console.json({**plan.json(), "seconds": round(seconds, 3), "failing": failing})
    console.note(f"replayed {counted(plan.events, 'event')} in {seconds:.1f} s")
    if watch.failing:
        raise CommandLineError(
            f"{counted(len(watch.failing), 'partition')} of {plan.name} failed on the way",
            hint=f"see dolittle {plan.kind}s show {plan.name}",
        )


async def stop_replay(place: Place, name: str, *, as_json: bool) -> None:
    """End the replay of a handler that is under way; what was handled again stays handled.

    Raises:
        Unknown: There is no such handler.
        CommandLineError: No replay of it is under way.
    """
    console = Console()
    async with use(place, makes_store=False) as microservice:
        declaration = microservice.definition.handler(name)
        state = microservice.state
        waiting = [
            item
            for item in await state.requests()
            if (item.kind, item.name) == ("replay", declaration.id)
        ]
        for item in waiting:
            await state.finish_request(item.number)
        current = active(await state.processors(declaration.id))
    replay = current.replay if current is not None else None
    if replay is None and not waiting:
        raise CommandLineError(f"no replay of {declaration.name} is under way")
    position = current.position if current is not None else 0
    if replay is not None:
        until = replay.until

        async def is_done(state: State, is_taken: bool) -> bool:
            now = active(await state.processors(declaration.id))
            is_through = now is None or now.replay is None or now.position >= until
            return is_taken and is_through

        await see_done(place, Request("stop", declaration.id), is_done)
    if as_json:
        console.json({"handler": declaration.name, "stopped_at": position})
    console.note(f"the replay of {declaration.name} has ended; it was at position {position}")


@asynccontextmanager
async def _said_when_interrupted(console: Console, plan: Plan) -> AsyncIterator[None]:
    """Say what Ctrl-C leaves behind."""
    try:
        yield
    except asyncio.CancelledError:
        console.progress("")
        console.note(
            f"interrupted: the replay of {plan.name} is not through; the same command again, or "
            "dolittle run, goes on where it is"
        )
        raise


def _ask(console: Console) -> None:
    if not console.can_ask:
        raise WrongUsage(
            "a replay needs a yes, and there is no terminal to ask on",
            hint="repeat with --yes, or look first with --dry-run",
        )
    if not console.confirm("replay?"):
        raise CommandLineError("nothing was done: the answer was no")


class _Watch:
    """Follows a replay in the state, and shows how far it is."""

    def __init__(self, console: Console, plan: Plan, seconds: Callable[[], float]) -> None:
        self._console = console
        self._plan = plan
        self._seconds = seconds
        self._started = self._said = seconds()
        self.failing: list[FailingPartition] = []

    async def is_done(self, state: State, is_taken: bool) -> bool:
        """Show how far it is; tell whether it is done.

        Raises:
            CommandLineError: An event holds up a handler that is not partitioned.
        """
        if not is_taken:
            return False
        plan = self._plan
        builds = await state.processors(plan.id)
        under_way = newest(builds)
        if under_way is None:
            return False
        rows = await state.failing(plan.id, build=under_way.build)
        self.failing = [row for row in rows if plan.start <= row.position < plan.stop]
        if plan.kind == "handler":
            # A partition that fails keeps a replay open; it is told of, and not waited for.
            replay = under_way.replay
            is_over = replay is None or under_way.position >= replay.until
            self._check_not_held_up()
        else:
            is_new = under_way.build > plan.build and under_way.is_active
            is_over = is_new and under_way.position >= plan.stop
        if not is_over:
            self._show(plan.done(under_way.position))
        return is_over

    def _check_not_held_up(self) -> None:
        if self._plan.is_partitioned or not self.failing:
            return
        row = self.failing[0]
        raise CommandLineError(
            f"the replay is held up at position {row.position}: {row.error}",
            hint=f"{self._plan.name} is not partitioned, so all waits for this event: "
            f"dolittle handlers show {self._plan.name}",
        )

    def _show(self, done: int) -> None:
        now = self._seconds()
        elapsed = max(now - self._started, 1e-6)
        rate = done / elapsed
        left = f"{(self._plan.events - done) / rate:,.0f} s left" if rate else "starting"
        shown = f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.1f}"
        text = f"{done:,} of {self._plan.events:,} events, {shown} a second, {left}"
        self._console.progress(text)
        if now - self._said >= SAY_EVERY_S and not self._console.shows_progress:
            self._said = now
            self._console.note(text)
