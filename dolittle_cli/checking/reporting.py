"""Findings as text, JSON, SARIF or annotations of GitHub's workflows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from dolittle_cli.checking.findings import LEVELS, RULES, Finding
from dolittle_cli.console import Console, printable

SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
"""Source: OASIS, Static Analysis Results Interchange Format 2.1.0."""

DOCUMENTATION: Final = "docs/reference/checks.md"


def shown_path(path: Path) -> str:
    """Return a path as people type it: from the current folder where it lies in it."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def write_text(console: Console, findings: Sequence[Finding], facts: dict[str, Any]) -> None:  # noqa: ARG001 - all formats take them
    """Write each finding with its place and fix, and the first of a rule with the reason."""
    told = set()
    for item in findings:
        head = f"{_place(item)}: {item.level} {item.rule.code}"
        console.data(f"{console.bold(head)}: {printable(item.message)}")
        if item.rule not in told:
            told.add(item.rule)
            console.data(f"    {console.dim('why')}  {item.rule.reason}")
        console.data(f"    {console.dim('fix')}  {printable(item.fix)}")


def write_json(console: Console, findings: Sequence[Finding], facts: dict[str, Any]) -> None:
    """Write one JSON object."""
    counts = counted(findings)
    console.json(
        {
            "errors": counts["error"],
            "warnings": counts["warning"],
            "notes": counts["note"],
            **facts,
            "findings": [
                {
                    "code": item.rule.code,
                    "name": item.rule.name,
                    "level": item.level,
                    "message": item.message,
                    "reason": item.rule.reason,
                    "fix": item.fix,
                    "path": shown_path(item.path),
                    "line": item.line or None,
                }
                for item in findings
            ],
        }
    )


def write_sarif(console: Console, findings: Sequence[Finding], facts: dict[str, Any]) -> None:  # noqa: ARG001 - all formats take them
    """Write one SARIF log."""
    rules = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.name},
            "fullDescription": {"text": rule.reason},
            "defaultConfiguration": {"level": rule.level},
        }
        for rule in RULES
    ]
    numbers = {rule.code: number for number, rule in enumerate(RULES)}
    driver = {"name": "dolittle", "version": version("dolittle-cli"), "rules": rules}
    results = [
        {
            "ruleId": item.rule.code,
            "ruleIndex": numbers[item.rule.code],
            "level": item.level,
            "message": {"text": f"{item.message}. {item.rule.reason}. Fix: {item.fix}"},
            "locations": [{"physicalLocation": _location(item)}],
        }
        for item in findings
    ]
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    console.data(json.dumps(log, ensure_ascii=False, indent=2))


def write_github(console: Console, findings: Sequence[Finding], facts: dict[str, Any]) -> None:  # noqa: ARG001 - all formats take them
    """Write workflow commands, which GitHub shows at the lines. Source: docs.github.com."""
    words = {"error": "error", "warning": "warning", "note": "notice"}
    for item in findings:
        properties = [f"file={_property(shown_path(item.path))}"]
        if item.line:
            properties.append(f"line={item.line}")
        properties.append(f"title={_property(f'{item.rule.code} {item.rule.name}')}")
        text = _escaped(f"{item.message}\nfix: {item.fix}")
        console.data(f"::{words[item.level]} {','.join(properties)}::{text}")


WRITERS: Final[dict[str, Callable[[Console, Sequence[Finding], dict[str, Any]], None]]] = {
    "text": write_text,
    "json": write_json,
    "sarif": write_sarif,
    "github": write_github,
}


def counted(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many findings there are of each level."""
    return {level: sum(item.level == level for item in findings) for level in LEVELS}


def summary(findings: Sequence[Finding]) -> str:
    """Return the counts in words."""
    counts = counted(findings)
    parts = [
        f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items() if count
    ]
    return ", ".join(parts) or "nothing was found"


def _place(item: Finding) -> str:
    path = shown_path(item.path)
    return f"{path}:{item.line}" if item.line else path


def _location(item: Finding) -> dict[str, Any]:
    path = shown_path(item.path)
    uri = Path(path).as_uri() if Path(path).is_absolute() else quote(path)
    location: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if item.line:
        location["region"] = {"startLine": item.line}
    return location


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
