"""``dolittle events replay --shadow``: what changed code makes of the events, beside the old."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from dolittle.projections import ProjectionDeclaration
from dolittle.runtime.delivery.lease import Lease
from dolittle.runtime.delivery.projecting import ProjectionLoop
from dolittle.runtime.microservice import Microservice
from dolittle.runtime.shadows import Difference, Shadow, package_digest
from dolittle.runtime.state import Processor, Request, State, active, newest, shadow
from dolittle.store import Position
from dolittle_cli.commands.events.differences import difference_json, write_difference
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.project import SHADOW_LOCK, Place, deliverer_of, use
from dolittle_cli.requesting import see_done

LOOK_S: Final = 0.2
"""How often the progress of a fold is shown."""

COMMAND: Final = "dolittle events replay"


async def make_shadows(place: Place, name: str, *, count: int, as_json: bool) -> None:
    """Fold the events into shadows with the code as it is now, and show what differs.

    Args:
        place: The microservice and the tenant.
        name: Of the projection; empty: every one.
        count: At most so many read models of each projection are shown one by one.
        as_json: Write one JSON object.

    Raises:
        Unknown: There is no such projection.
        CommandLineError: There are no events, another process makes shadows now, or keys fail
            in a shadow that do not fail in what readers see.
    """
    console = Console()
    found: list[Difference] = []
    waiting: list[int] = []
    async with _shadows(place, name) as pairs:
        for declaration, made in pairs:
            with _quiet_delivery(), _Progress(console, declaration.name).shown() as progress:
                found.append(await made.fold(count, progress.follow))
            build = await made.find()
            waiting.append(await made.behind(build) if build is not None else 0)
    if as_json:
        shown = [
            {**difference_json(item), "waiting": events}
            for item, events in zip(found, waiting, strict=True)
        ]
        console.json({"shadows": shown})
    else:
        for item in found:
            write_difference(console, item)
    for item, events in zip(found, waiting, strict=True):
        if events:
            console.note(
                f"{item.projection}: {counted(events, 'event')} not delivered yet: in neither"
            )
    _say_next(console, name, found)


async def promote_shadows(place: Place, name: str, *, yes: bool, as_json: bool) -> None:
    """Swap shadows in: each folds the events that came since, then readers see it.

    Args:
        place: The microservice and the tenant.
        name: Of the projection; empty: every one that has a shadow.
        yes: Do not ask.
        as_json: Write one JSON object.

    Raises:
        Unknown: There is no such projection.
        WrongUsage: Nobody can be asked, and there was no ``--yes``.
        CommandLineError: There is no shadow, the code has changed since it was made, keys fail
            in it, or the process that delivers runs other code.
    """
    console = Console()
    promoted: list[dict[str, Any]] = []
    async with _held(place):
        async with _microservice(place) as microservice:
            plans = [
                await _promotion(place, microservice, declaration, made)
                for declaration, made in _each(place, microservice, name)
                if name or await made.find() is not None
            ]
        if not plans:
            raise _no_shadow("no projection has a shadow", name)
        for plan in plans:
            console.note(plan.text())
        _ask(console, yes=yes)
        for plan in plans:
            await see_done(place, Request("promote", plan.id), plan.is_done)
            promoted.append(
                {"projection": plan.name, "id": plan.id, "build": plan.build, "events": plan.events}
            )
    if as_json:
        console.json({"promoted": promoted})
    for plan in plans:
        console.note(f"readers see build {plan.build} of {plan.name} now")


async def discard_shadows(place: Place, name: str, *, as_json: bool) -> None:
    """Delete shadows; what readers see stays as it is.

    Raises:
        Unknown: There is no such projection.
        CommandLineError: There is no shadow, or another process works with it now.
    """
    console = Console()
    discarded: list[dict[str, Any]] = []
    async with _shadows(place, name) as pairs:
        for declaration, made in pairs:
            build = await made.discard()
            if build is not None:
                discarded.append(
                    {"projection": declaration.name, "id": declaration.id, "build": build.build}
                )
    if not discarded:
        raise _no_shadow(f"{name} has no shadow" if name else "no projection has a shadow", name)
    if as_json:
        console.json({"discarded": discarded})
    for item in discarded:
        console.note(f"the shadow of {item['projection']} (build {item['build']}) is deleted")


@dataclass(frozen=True)
class _Promotion:
    """What a promotion will do.

    Attributes:
        before: The build that readers see; 0: none.
        events: How many came since the shadow was made level.
        head: The build has to come as far as this, before it is done.
    """

    name: str
    id: str
    before: int
    build: int
    events: int
    head: Position

    def text(self) -> str:
        """Return the promotion in words."""
        old = f"instead of build {self.before}, which is deleted" if self.before else "from now on"
        since = (
            f"; folded first, since they came later: {counted(self.events, 'event')}"
            if self.events
            else ""
        )
        return f"promote    {self.name}: readers see build {self.build} {old}{since}"

    async def is_done(self, state: State, is_taken: bool) -> bool:
        """Tell whether readers see it.

        Raises:
            CommandLineError: The process that delivers refused.
        """
        builds = await state.processors(self.id)
        if is_taken and shadow(builds) is not None:
            raise CommandLineError(
                f"{self.name} was not promoted: the process that delivers has other code",
                hint="start it again, so that it loads the code as it is now; "
                "it then rebuilds the projection by itself",
            )
        current = active(builds)
        return current is not None and current.build == self.build and current.position >= self.head


async def _promotion(
    place: Place, microservice: Microservice, declaration: ProjectionDeclaration, made: Shadow
) -> _Promotion:
    name = declaration.name
    builds = await microservice.state.processors(declaration.id)
    build, current = shadow(builds), active(builds)
    again = f"{COMMAND} --projection {name} --shadow"
    if build is None:
        raise _no_shadow(f"{name} has no shadow", name)
    if not made.is_of_this_code(build):
        raise CommandLineError(
            f"the code has changed since the shadow of {name} was made",
            hint=f"make it anew and look at the difference: {again}",
        )
    deliverer = deliverer_of(place)
    delivered = newest(builds)
    if deliverer and delivered is not None and delivered.fingerprint != declaration.fingerprint:
        raise CommandLineError(
            f"{deliverer} delivers to {name} with other code than the shadow was made by",
            hint="stop it and promote then, or start it again: with the code as it is now it "
            "rebuilds the projection by itself",
        )
    await _check_failing(microservice.state, name, build, current, again)
    return _Promotion(
        name=name,
        id=declaration.id,
        before=current.build if current is not None else 0,
        build=build.build,
        events=await made.behind(build),
        head=await microservice.store.head(),
    )


async def _check_failing(
    state: State, name: str, build: Processor, current: Processor | None, again: str
) -> None:
    before = await state.failing(build.name, build=current.build) if current is not None else []
    known = {row.partition for row in before}
    for row in await state.failing(build.name, build=build.build):
        if row.partition not in known:
            raise CommandLineError(
                f"key {row.partition!r} fails in the shadow of {name} at position "
                f"{row.position}, and not in what readers see: {row.error}",
                hint=f"mend the projection, then {again}",
            )


# Finding and holding


@asynccontextmanager
async def _shadows(
    place: Place, name: str
) -> AsyncIterator[list[tuple[ProjectionDeclaration, Shadow]]]:
    async with _held(place), _microservice(place) as microservice:
        yield _each(place, microservice, name)


def _each(
    place: Place, microservice: Microservice, name: str
) -> list[tuple[ProjectionDeclaration, Shadow]]:
    definition = microservice.definition
    wanted = [definition.projection(name)] if name else [*definition.projections.values()]
    if not wanted:
        raise CommandLineError(
            "there are no projections", hint="dolittle add projection NAME --on EVENT"
        )
    configuration = place.configuration
    package = package_digest(configuration.project, configuration.package)
    return [(item, Shadow(microservice, item, package)) for item in wanted]


@asynccontextmanager
async def _microservice(place: Place) -> AsyncIterator[Microservice]:
    async with use(place, makes_store=False) as microservice:
        if not place.has_store:
            raise CommandLineError(
                "there are no events yet, so there is nothing to replay",
                hint="dolittle perform, or dolittle events append, makes some",
            )
        yield microservice


@asynccontextmanager
async def _held(place: Place) -> AsyncIterator[None]:
    """Be the one process that works with the shadows of a tenant."""
    if not place.folder.is_dir():
        yield
        return
    lease = Lease(place.folder / SHADOW_LOCK)
    try:
        is_free = lease.try_take()
    except OSError as error:
        raise CommandLineError(
            f"cannot write to {place.folder}: {(error.strerror or str(error)).lower()}",
            hint="make the folder writable for this user",
        ) from error
    if not is_free:
        raise CommandLineError(
            f"{lease.holder()} works with the shadows of {place.tenant} now",
            hint="wait for it, or end it",
        )
    try:
        yield
    finally:
        lease.let_go()


# Telling


def _say_next(console: Console, name: str, found: Sequence[Difference]) -> None:
    worse = [
        (item, row)
        for item in found
        for row in item.failing
        if row.partition not in item.failing_before
    ]
    if worse:
        item, row = worse[0]
        raise CommandLineError(
            f"{counted(len(worse), 'key')} of a shadow cannot be folded by the code as it is now; "
            f"the first: {item.projection} key {row.partition!r} at position {row.position}: "
            f"{row.error}",
            hint="mend the projection, and repeat this",
        )
    option = f" --projection {name}" if name else ""
    if any(item.changes or not item.before for item in found):
        console.note(f"readers see what they saw. To swap it in: {COMMAND}{option} --promote")
        console.note(f"to delete it: {COMMAND}{option} --discard")
    else:
        console.note("no difference")


def _no_shadow(message: str, name: str) -> CommandLineError:
    option = f" --projection {name}" if name else ""
    return CommandLineError(message, hint=f"make one: {COMMAND}{option} --shadow")


def _ask(console: Console, *, yes: bool) -> None:
    if yes:
        return
    if not console.can_ask:
        raise WrongUsage(
            "a promotion needs a yes, and there is no terminal to ask on",
            hint="repeat with --yes",
        )
    if not console.confirm("promote?"):
        raise CommandLineError("nothing was done: the answer was no")


class _Progress:
    """Shows how far a fold is, while it is under way."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._started = time.monotonic()
        self._first: Position | None = None
        self._loop: ProjectionLoop | None = None

    def follow(self, loop: ProjectionLoop) -> None:
        """Show how far a loop is, from now on."""
        self._loop = loop

    @contextmanager
    def shown(self) -> Iterator[_Progress]:
        """Show it until the block ends."""
        task = asyncio.ensure_future(self._show())
        try:
            yield self
        finally:
            task.cancel()
            self._console.progress("")

    async def _show(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if self._loop is not None:
                position = self._loop.processor.position
                self._first = position if self._first is None else self._first
                rate = (position - self._first) / (time.monotonic() - self._started)
                self._console.progress(
                    f"{self._name}: at position {position:,}, {rate:,.0f} a second"
                )


@contextmanager
def _quiet_delivery() -> Iterator[None]:
    """Keep delivery's log still: what fails in a shadow is shown with the difference."""
    logger = logging.getLogger("dolittle.delivery")

    def drop(_record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)
