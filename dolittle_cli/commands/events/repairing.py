"""``dolittle events repair``: says what would be lost, asks, keeps copies, then cuts the log."""

from __future__ import annotations

import msgspec

from dolittle.engines.file import FileStore, Finding, Repair, carry_out, plan_repair
from dolittle.engines.file.files import OsFiles
from dolittle.errors import StoreDamaged
from dolittle.execution import SystemClock
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import Change
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.project import STATE_FILE, STORE_FOLDER, Place, deliverer_of


async def repair_store(place: Place, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Cut a tenant's damaged event log where it is damaged.

    Raises:
        StoreDamaged: What is damaged is not the log.
        WrongUsage: Nobody can be asked, and there was no ``--yes``.
        CommandLineError: It was not wanted, or events are being delivered.
    """
    console = Console()
    repair = await _plan(place) if place.has_store else None
    if repair is None:
        if as_json:
            console.json({"is_damaged": False})
        console.note("nothing to repair: dolittle events verify checks every event")
        return
    if as_json:
        console.json({"is_damaged": True, **_json(repair)})
    else:
        console.data("\n".join(_lines(repair)))
    if dry_run:
        console.note("dry run: nothing was done")
        return
    deliverer = deliverer_of(place)
    if deliverer:
        raise CommandLineError(
            f"{deliverer} delivers events of this store now",
            hint="stop it first, and start it again when the store is repaired",
        )
    if not yes:
        _ask(console, repair)
    kept = carry_out(OsFiles(), place.folder / STORE_FOLDER, repair, SystemClock().now())
    console.note(f"the files as they were are kept in {kept}")
    store = await FileStore.open(place.folder / STORE_FOLDER)
    try:
        findings = await store.verify()
        events = (await store.facts()).events
    finally:
        await store.close()
    for name in await _set_back(place, repair.position):
        console.note(f"{name} had seen what is lost: set back to position {repair.position}")
    if findings:
        raise CommandLineError(
            f"the log is cut, and {counted(len(findings), 'thing')} are still wrong",
            hint="dolittle events verify says what",
        )
    console.note(f"repaired: {counted(events, 'event')} verified; start dolittle run again")


async def _plan(place: Place) -> Repair | None:
    folder = place.folder / STORE_FOLDER
    store = await FileStore.open(folder, read_only=True)
    try:
        damage = store.damage
        if damage is None:
            # What nothing has noticed yet: every line is read.
            found = [
                finding for finding in await store.verify() if finding.path.parent.name == "log"
            ]
            if not found:
                return None
            damage = store.damage or _as_damage(found[0])
    finally:
        await store.close()
    return plan_repair(OsFiles(), folder, damage)


async def _set_back(place: Place, position: int) -> list[str]:
    """Let no handler pass over what will stand where lost events stood; return whom it concerns.

    A projection is made to be rebuilt: its read models may hold what is lost.
    """
    path = place.folder / STATE_FILE
    if not path.exists():
        return []
    state = SqliteState(path)
    try:
        concerned = [each for each in await state.processors() if each.position > position]
        for processor in concerned:
            lost = [
                failing.partition
                for failing in await state.failing(processor.name, build=processor.build)
                if failing.position >= position
            ]
            changed = msgspec.structs.replace(processor, position=position, fingerprint="")
            await state.save(Change(changed, recovered=lost))
    finally:
        await state.close()
    return [processor.name for processor in concerned]


def _lines(repair: Repair) -> list[str]:
    place = f"{repair.path}:{repair.line}" if repair.line else f"{repair.path}"
    lines = [
        f"damaged   {place}, byte {repair.offset:,}, position {repair.position}: {repair.reason}"
    ]
    lines.append(
        f"kept      {counted(repair.position, 'event')}, before position {repair.position}"
    )
    if repair.last_position >= repair.position:
        number = repair.last_position + 1 - repair.position
        lines.append(
            f"lost      {counted(number, 'event')}, positions {repair.position} to "
            f"{repair.last_position}"
        )
    else:
        lines.append(f"lost      whatever stood at position {repair.position} and behind it")
    if repair.bad_lines:
        lines.append(f"          {counted(repair.bad_lines, 'line')} that nobody can read any more")
    if repair.intact_lines:
        lines.append(
            f"          {counted(repair.intact_lines, 'intact line')} behind the damage, with "
            f"{counted(repair.intact_events, 'event')}"
        )
    names = ", ".join(path.name for path in repair.touched) or "none"
    lines.append(f"touched   {names}; copies are kept in the store's folder, in repaired/")
    lines.append("better    put the damaged file back from a backup, if there is one")
    return lines


def _json(repair: Repair) -> dict[str, object]:
    values = repair._asdict()
    del values["time_us"]
    return {**values, "path": str(repair.path), "touched": [str(path) for path in repair.touched]}


def _ask(console: Console, repair: Repair) -> None:
    if not console.can_ask:
        raise WrongUsage(
            "a repair needs a yes, and there is no terminal to ask on",
            hint="repeat with --yes, or look first with --dry-run",
        )
    if not console.confirm(f"cut the log at position {repair.position}?"):
        raise CommandLineError("nothing was done: the answer was no")


def _as_damage(finding: Finding) -> StoreDamaged:
    return StoreDamaged(
        finding.path,
        line=finding.line,
        offset_bytes=finding.offset,
        position=finding.position,
        reason=finding.what,
    )
