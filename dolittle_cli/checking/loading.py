"""Turns what loading a microservice reports into findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dolittle.errors import DeclarationErrors
from dolittle_cli.checking.findings import (
    DECLARATION,
    DUPLICATE_ID,
    IMPORT,
    MISSING_UPCASTER,
    Finding,
    Rule,
    find,
)

_KINDS: Final[tuple[tuple[re.Pattern[str], Rule], ...]] = (
    (re.compile(r"^syntax error: | does not import: |^there is no package "), IMPORT),
    (re.compile(r" has the id .*, which .* has$|: another one has this class name "), DUPLICATE_ID),
    (re.compile(r"^event type .*, and nothing turns generation "), MISSING_UPCASTER),
)
"""The rule of a problem, by how its message reads. Source: ``runtime/definition.py`` and
``upcasters.py``; everything else is a declaration that cannot work."""


def loading_findings(errors: DeclarationErrors) -> Iterator[Finding]:
    """Yield a finding for each problem of a microservice that cannot be loaded."""
    for path, line, message, hint in errors.problems:
        rule = next((rule for pattern, rule in _KINDS if pattern.search(message)), DECLARATION)
        yield find(rule, path, line, message, hint or "mend the source")
