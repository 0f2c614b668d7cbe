from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dolittle_cli.main import COMMANDS, load

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
TO_ALL = {"--help"}


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be typed, with its words."""
    for name in COMMANDS:
        command = load(name)
        children = getattr(command, "commands", None)
        if children is None:
            yield f"dolittle {name}", command
        for child_name, child in (children or {}).items():
            yield f"dolittle {name} {child_name}", child


def sections() -> dict[str, str]:
    parts = re.split(r"^## ", REFERENCE.read_text(), flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part for part in parts}


@pytest.mark.parametrize(("words", "command"), [*commands()], ids=[name for name, _ in commands()])
def test_the_reference_has_every_command_with_every_option(words: str, command: Any) -> None:
    section = sections()[words]
    usage = section.split("```")[1].strip()
    assert usage.startswith(words)
    for parameter in command.params:
        if parameter.param_type_name == "option":
            for option in {*parameter.opts, *parameter.secondary_opts} - TO_ALL:
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", usage), f"{words} {option}"


def test_the_reference_has_no_command_that_does_not_exist() -> None:
    known = {words for words, _ in commands()}
    assert {name for name in sections() if name.startswith("dolittle ")} == known


def test_the_reference_has_no_option_that_does_not_exist() -> None:
    for words, command in commands():
        usage = sections()[words].split("```")[1]
        known = {
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", usage)) <= known, words
