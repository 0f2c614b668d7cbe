"""Writes a package from source text and checks it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle_cli.checking.findings import Finding
from dolittle_cli.checking.folds import check_folds
from dolittle_cli.checking.silencing import heard, silencers
from dolittle_cli.checking.usage import check_usage
from dolittle_cli.sources import read_sources

Check = Callable[[str], list[Finding]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """``check(source)``: what the rules about source find in a package of one module."""

    def checked(source: str) -> list[Finding]:
        package = tmp_path / "shop"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(textwrap.dedent(source))
        sources = read_sources(tmp_path, "shop")
        assert not sources.unread
        return heard([*check_usage(sources), *check_folds(sources)], silencers(sources))

    return checked
