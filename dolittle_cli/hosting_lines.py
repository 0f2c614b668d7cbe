"""What a host reports, as lines for people: the banner, reloads, failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dolittle.runtime.reports import (
    Changed,
    EndedEarly,
    Failed,
    Loaded,
    ProcessorReport,
    ReloadPaused,
    Report,
    Serving,
    StillServing,
    TenantReport,
    TooSlow,
    Waiting,
)
from dolittle_cli.console import printable

WEAKER: Final = {
    "os": "os: an answered commit survives a crash of the process, not one of the machine",
}
"""Durabilities that are weaker than fsync, in words. What is in memory says so by its place."""

FILES_MAX: Final = 3
"""Changed files that are named; of more, the number is told."""


@dataclass(frozen=True)
class Setting:
    """What the host was started with, for the banner.

    Attributes:
        url: Where it listens.
        reload: In words: what is watched, or why nothing is.
        notes: Further facts, by title.
    """

    url: str
    reload: str
    notes: tuple[tuple[str, str], ...] = ()


class HostingLines:
    """Turns the reports of one host into lines; it remembers whether the banner was shown."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._has_served = False

    def lines(self, report: Report) -> list[str]:
        """Return the lines that tell a report; none where there is nothing to tell."""
        match report:
            case Loaded():
                return []
            case Serving():
                was_shown, self._has_served = self._has_served, True
                return [self._again(report)] if was_shown else list(self._banner(report))
            case Failed():
                return [*_error(report.message), *([f"hint: {report.hint}"] if report.hint else [])]
            case Changed():
                return [f"changed: {_files(report.paths)}; loading the code again"]
            case StillServing():
                return ["the code from before this change goes on serving; mend it and save"]
            case Waiting():
                return ["nothing is served; mend it and save, the code is loaded again then"]
            case ReloadPaused():
                return [
                    f"warning: {_files(report.paths)} changed {report.times} times in "
                    f"{report.window_s:g} s: does the code write into its own folder?",
                    f"hint: reloading waits until nothing has changed for {report.quiet_s:g} s",
                ]
            case EndedEarly():
                return [_ended(report)]
            case TooSlow():
                return [
                    f"warning: what it had in hand took more than {report.grace_s:g} s, so its "
                    "process was ended; an event in hand is handled again"
                ]

    def _banner(self, report: Serving) -> Iterator[str]:
        yield f"{report.microservice}  {self._setting.url}"
        facts: list[tuple[str, str]] = []
        facts += _stores(report.tenants)
        facts.append(("event types", ", ".join(report.event_types) or "none"))
        facts.append(("aggregates", ", ".join(report.aggregates) or "none"))
        for title, kind in (("handlers", "handler"), ("projections", "projection")):
            facts += _processors(title, kind, report.tenants)
        if report.has_own_application:
            facts.append(("own routes", "app in api.py, for what no built-in route answers"))
        facts.append(("reload", self._setting.reload))
        facts += self._setting.notes
        facts.append(("look around", f"{self._setting.url}/openapi.json, dolittle events tail"))
        facts.append(("stop", "Ctrl-C; once more: at once"))
        width = max(len(title) for title, _ in facts)
        before = ""
        for title, value in facts:
            yield f"  {('' if title == before else title).ljust(width)}  {printable(value)}"
            before = title

    def _again(self, report: Serving) -> str:
        counts = (
            _count(report.event_types, "event type"),
            _count(report.aggregates, "aggregate"),
            _count(report.handlers, "handler"),
            _count(report.projections, "projection"),
        )
        return f"serving again: {', '.join(counts)}"


def _stores(tenants: Sequence[TenantReport]) -> list[tuple[str, str]]:
    stores, durabilities, deliveries = [], [], []
    for tenant in tenants:
        name = f"{tenant.tenant}: " if len(tenants) > 1 else ""
        count = "1 event" if tenant.events == 1 else f"{tenant.events:,} events"
        stores.append(("store", f"{name}{tenant.location}, {count}"))
        if tenant.durability in WEAKER:
            durabilities.append(("durability", f"{name}{WEAKER[tenant.durability]}"))
        if tenant.held_by:
            text = f"{name}{tenant.held_by} delivers; this one takes over when it ends"
            deliveries.append(("delivery", text))
    return [*stores, *durabilities, *deliveries]


def _processors(
    title: str, kind: str, tenants: Sequence[TenantReport]
) -> Iterator[tuple[str, str]]:
    several = len(tenants) > 1
    found = False
    for tenant in tenants:
        chosen = [item for item in tenant.processors if item.kind == kind]
        width = max((len(item.name) for item in chosen), default=0)
        for item in chosen:
            found = True
            place = f"{tenant.tenant}: " if several else ""
            yield title, f"{place}{item.name.ljust(width)}  {_progress(item)}"
    if not found:
        yield title, "none"


def _progress(item: ProcessorReport) -> str:
    text = f"position {item.position}, lag {item.lag}"
    if item.failing:
        partitions = "1 partition" if item.failing == 1 else f"{item.failing} partitions"
        text += f", {partitions} failing"
    return text


def _error(message: str) -> list[str]:
    first, *rest = message.splitlines() or [""]
    return [f"error: {printable(first)}", *(printable(line) for line in rest)]


def _ended(report: EndedEarly) -> str:
    text = f"error: the microservice's process ended by itself ({report.reason})"
    if report.again_after_s:
        return f"{text}; it is started again in {report.again_after_s:g} s"
    return text


def _files(paths: Sequence[str]) -> str:
    if len(paths) > FILES_MAX:
        return f"{len(paths)} files"
    return ", ".join(printable(path) for path in paths)


def _count(names: Sequence[str], kind: str) -> str:
    return f"1 {kind}" if len(names) == 1 else f"{len(names)} {kind}s"


def ephemeral_notes(ephemeral: bool, *, reloads: bool) -> tuple[tuple[str, str], ...]:
    """Return what is to be said about an ephemeral run."""
    if not ephemeral:
        return ()
    when = "at every reload and at the end" if reloads else "at the end"
    return (("ephemeral", f"nothing is written to disk; all events are gone {when}"),)
