"""Runs all checks over a microservice, or over all members of an application."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from dolittle.errors import DeclarationErrors
from dolittle.runtime.configuration import Configuration, load_configuration
from dolittle.runtime.definition import Definition
from dolittle_cli.checking.findings import (
    IMPORT,
    LEVELS,
    LOCK_DAMAGED,
    LOCK_MISSING,
    LOCK_OUTDATED,
    Finding,
    find,
)
from dolittle_cli.checking.folds import check_folds
from dolittle_cli.checking.loading import loading_findings
from dolittle_cli.checking.lock import (
    LOCK_FILE,
    UPDATE,
    Lock,
    LockDamaged,
    both_sides,
    compare_lock,
    declared_types,
    lock_text,
    locked,
    read_lock,
    write_lock,
)
from dolittle_cli.checking.reporting import WRITERS, counted, shown_path, summary
from dolittle_cli.checking.silencing import comment_edits, heard, idle_comments, silencers
from dolittle_cli.checking.source_fixes import Edit, declaration_edits, edited
from dolittle_cli.checking.stored import check_stored
from dolittle_cli.checking.usage import check_usage
from dolittle_cli.console import Console, printable
from dolittle_cli.errors import WrongUsage
from dolittle_cli.project import Place, load, locate, members
from dolittle_cli.scaffold.merge import unified
from dolittle_cli.sources import Sources, read_sources

LOCK_MODES: Final = ("create", "locked", "fix", "update")


@dataclass(frozen=True)
class Wish:
    """What is asked of ``dolittle check``.

    Attributes:
        format: One of ``WRITERS``.
        lock: ``create``: write the lock file where there is none; ``locked``: write nothing, a
            lock that is missing or outdated is an error; ``fix``: write the changes that stored
            events survive, and mend the source where that is safe; ``update``: write all changes.
        is_dry: Whether only to show what would be written.
        is_strict: Whether warnings fail too.
        against_store: Whether the stored events are tried.
        tenant: Only its events; empty: those of every tenant.
    """

    format: str = "text"
    lock: str = "create"
    is_dry: bool = False
    is_strict: bool = False
    against_store: bool = False
    tenant: str = ""


@dataclass
class Result:
    """What the checks of one microservice came to.

    Attributes:
        lock: The state of its lock, in a word.
        fixed: What was mended in its source, or would be.
    """

    findings: list[Finding] = field(default_factory=list)
    lock: str = "not looked at"
    fixed: list[Edit] = field(default_factory=list)
    events: int = 0
    unreadable: int = 0


async def check_all(project: Path | None, wish: Wish) -> bool:
    """Check, write the findings to stdout, and tell whether all is well.

    Raises:
        WrongUsage: There is no such format, or a tenant is named without a use.
        Unknown: There is no such tenant.
        ConfigurationError: A ``dolittle.toml`` cannot be used.
    """
    if wish.format not in WRITERS:
        raise WrongUsage(
            f"--format {wish.format!r} is not known", hint=f"it is one of: {', '.join(WRITERS)}"
        )
    if wish.tenant and not wish.against_store:
        raise WrongUsage("--tenant says whose events are tried: it needs --against-store")
    console = Console()
    configurations = [load_configuration(folder) for folder in members(locate(project))]
    results = [await _check(item, wish, console) for item in configurations]
    findings = sorted(
        (item for result in results for item in result.findings),
        key=lambda item: (LEVELS.index(item.level), str(item.path), item.line, item.message),
    )
    counts = counted(findings)
    is_ok = not counts["error"] and not (wish.is_strict and counts["warning"])
    fixed = [
        {
            "code": edit.rule.code,
            "path": shown_path(edit.path),
            "line": edit.line,
            "what": edit.what,
        }
        for result in results
        for edit in result.fixed
    ]
    facts = {
        "is_ok": is_ok,
        "microservices": _facts(configurations, results, wish),
        "fixed": fixed,
    }
    WRITERS[wish.format](console, findings, facts)
    console.note(summary(findings))
    return is_ok


def _facts(
    configurations: list[Configuration], results: list[Result], wish: Wish
) -> list[dict[str, Any]]:
    return [
        {
            "microservice": configuration.name,
            "lock": result.lock,
            "events": result.events if wish.against_store else None,
            "unreadable": result.unreadable if wish.against_store else None,
        }
        for configuration, result in zip(configurations, results, strict=True)
    ]


async def _check(configuration: Configuration, wish: Wish, console: Console) -> Result:
    fixed = _fix_source(configuration, wish, console) if wish.lock == "fix" else []
    sources = read_sources(configuration.project, configuration.package)
    result = Result(_source_findings(sources), fixed=fixed)
    places = _places(configuration, wish)
    try:
        definition = load(places[0])
    except DeclarationErrors as errors:
        result.findings += [*loading_findings(errors), *_unread(sources, errors)]
        console.note(
            f"{configuration.name} cannot be loaded: "
            + ("lock and stored events are" if wish.against_store else "the lock is")
            + " not looked at"
        )
        return result
    result.findings += _unread(sources)
    lock_findings, result.lock = _check_lock(configuration, definition, wish, console)
    result.findings += lock_findings
    if wish.against_store:
        for place in places:
            findings, tried = await check_stored(place, definition, console.progress)
            result.findings += findings
            result.events += tried.events
            result.unreadable += tried.unreadable
        console.note(
            f"{configuration.name}: {result.events:,} stored events tried, "
            f"{result.unreadable:,} cannot be read"
        )
    return result


def _source_findings(sources: Sources) -> list[Finding]:
    comments = silencers(sources)
    found = heard([*check_usage(sources), *check_folds(sources)], comments)
    return [*found, *idle_comments(comments)]


def _fix_source(configuration: Configuration, wish: Wish, console: Console) -> list[Edit]:
    """Mend the source where that is safe, or only show it; return what was mended."""
    sources = read_sources(configuration.project, configuration.package)
    comments = silencers(sources)
    heard([*check_usage(sources), *check_folds(sources)], comments)
    edits = [*declaration_edits(sources), *comment_edits(comments)]
    texts = edited(edits)
    for path, (before, after) in texts.items():
        write_or_show(console, path, before, after, is_dry=wish.is_dry)
    fixed = sorted(
        (edit for edit in edits if edit.what and edit.path in texts),
        key=lambda edit: (str(edit.path), edit.line),
    )
    done = "would fix" if wish.is_dry else "fixed"
    for edit in fixed:
        place = f"{shown_path(edit.path)}:{edit.line}"
        console.note(f"{done} {edit.rule.code} {place}: {edit.what}")
    return fixed


def write_or_show(console: Console, path: Path, before: str, after: str, *, is_dry: bool) -> None:
    """Write a file, whole or not at all; or show on stderr what would change, as a diff."""
    if is_dry:
        for line in unified(shown_path(path), before, after):
            console.note(printable(line))
        return
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(after.encode())
    shutil.copymode(path, beside)
    beside.replace(path)


def _places(configuration: Configuration, wish: Wish) -> list[Place]:
    tenants = (wish.tenant,) if wish.tenant else configuration.tenants
    return [Place(configuration, name, configuration.tenant_folder(name)) for name in tenants]


def _unread(sources: Sources, known: DeclarationErrors | None = None) -> Iterator[Finding]:
    """Yield files that do not parse and are not imported, as ``api.py``."""
    told = {path for path, *_ in known.problems} if known else set()
    for item in sources.unread:
        if str(item.path) not in told:
            reason = f"syntax error: {item.reason}"
            yield find(IMPORT, item.path, item.line, reason, "mend the source")


# The lock


def _check_lock(
    configuration: Configuration, definition: Definition, wish: Wish, console: Console
) -> tuple[list[Finding], str]:
    """Hold the lock against the code, write it as is wished; return its state in a word."""
    path = configuration.project / LOCK_FILE
    declared = declared_types(definition)
    try:
        lock = read_lock(path)
    except LockDamaged as error:
        joined = both_sides(path.read_text(encoding="utf-8", errors="replace"))
        if wish.lock == "fix" and joined is not None:
            findings = compare_lock(joined, declared, path)
            kept = [item for item in findings.findings if item.rule is not LOCK_OUTDATED]
            return kept, _write(console, path, findings.mended, Lock(), wish)
        if wish.lock != "update":
            mended = "take what both sides have: dolittle check --fix"
            anew = f"git checkout {LOCK_FILE}, or write it anew: {UPDATE}"
            fix = anew if joined is None else mended
            return [find(LOCK_DAMAGED, path, error.line, str(error), fix)], "damaged"
        lock = Lock()
    if lock is None and wish.lock == "locked":
        message = f"there is no {LOCK_FILE}"
        return [find(LOCK_MISSING, path, 0, message, f"make it and commit it: {UPDATE}")], "missing"
    if lock is None or wish.lock == "update":
        return [], _write(console, path, locked(declared, lock), lock, wish)
    compared = compare_lock(lock, declared, path)
    if wish.lock == "fix" and compared.mended != lock:
        kept = [item for item in compared.findings if item.rule is not LOCK_OUTDATED]
        _write(console, path, compared.mended, lock, wish)
        breaks = any(item.level == "error" for item in kept)
        return kept, "outdated" if breaks else "updated"
    found = list(compared.findings)
    if wish.lock == "locked":
        found = [replace(item, level="error") for item in found]
    return found, "outdated" if found else "current"


def _write(console: Console, path: Path, lock: Lock, before: Lock | None, wish: Wish) -> str:
    """Write the lock file, or only show it; return what was done in a word."""
    if before == lock:
        return "current"
    count = len(lock.event_types)
    done = "created" if before is None else "updated"
    types = f"{count} event type{'' if count == 1 else 's'}"
    if wish.is_dry:
        written = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        write_or_show(console, path, written, lock_text(lock), is_dry=True)
        console.note(f"{path.name} would be {done}: {types}")
        return "missing" if before is None else "outdated"
    write_lock(path, lock)
    console.note(f"{path.name} {done}: {types}; commit it")
    return done
