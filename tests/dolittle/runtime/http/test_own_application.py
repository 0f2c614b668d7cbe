from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dolittle.errors import DeclarationErrors
from dolittle.runtime.http.own_application import (
    Lifespan,
    OwnApplicationFailed,
    load_own_application,
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with nothing in it; forgotten after."""
    folder = tmp_path / "own_app_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [*sys.modules]:
        if name.partition(".")[0] == "own_app_package":
            del sys.modules[name]


def test_a_package_without_api_has_no_own_application(package: Path) -> None:
    assert load_own_application("own_app_package", package.parent) is None


def test_the_application_is_called_app(package: Path) -> None:
    (package / "api.py").write_text("def app(scope, receive, send): ...\n")
    assert load_own_application("own_app_package", package.parent) is not None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("import json\nimport nope_nope\n", 2, "No module named 'nope_nope'"),
        ("\n\ndef app(\n", 3, "SyntaxError"),
        ("app = None\n", 0, "has no ASGI application called app"),
        ("", 0, "has no ASGI application called app"),
    ],
)
def test_an_api_that_cannot_be_used_is_told_with_its_place(
    package: Path, text: str, line: int, message: str
) -> None:
    (package / "api.py").write_text(text)
    with pytest.raises(DeclarationErrors) as caught:
        load_own_application("own_app_package", package.parent)
    ((path, found, said, _hint),) = caught.value.problems
    assert (path, found) == (str(package / "api.py"), line)
    assert message in said


async def polite(scope: Any, receive: Any, send: Any) -> None:
    """An application that notes down what it was told."""
    scope["state"]["told"] = told = []
    while True:
        message = await receive()
        told.append(message["type"])
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def test_a_lifespan_is_started_and_ended() -> None:
    state: dict[str, Any] = {}
    lifespan = Lifespan(polite, state)
    await lifespan.start()
    assert state["told"] == ["lifespan.startup"]
    await lifespan.end()
    assert state["told"] == ["lifespan.startup", "lifespan.shutdown"]


async def test_an_application_that_cannot_start_says_why() -> None:
    async def sorry(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(OwnApplicationFailed, match="at startup: no database"):
        await Lifespan(sorry, {}).start()


async def test_an_application_without_lifespan_is_served_all_the_same() -> None:
    async def http_only(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"

    lifespan = Lifespan(http_only, {})
    await lifespan.start()
    await lifespan.end()
