"""Values of options that are whole numbers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dolittle_cli.main import COMMANDS, load, main

START_S_MAX = 60


def numbers() -> Iterator[tuple[str, str, Any, Any]]:
    """Yield each option that is a whole number: the command, the option, its least and most."""
    for name in COMMANDS:
        command = load(name)
        children = getattr(command, "commands", None) or {"": command}
        for child, found in children.items():
            for parameter in found.params:
                descriptor = getattr(parameter, "type_descriptor", None)
                if getattr(descriptor, "annotation", None) is int:
                    info = parameter.type_descriptor.parameter_info
                    yield f"{name} {child}".strip(), parameter.opts[0], info.min, info.max


def test_there_are_whole_numbers_among_the_options() -> None:
    found = {(words, option) for words, option, _, _ in numbers()}
    assert {("run", "--port"), ("events list", "-n"), ("logs", "-n")} <= found


@pytest.mark.parametrize(("words", "option", "least", "most"), [*numbers()])
def test_a_number_beyond_the_limits_of_any_option_is_refused_with_them(
    words: str, option: str, least: int, most: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    beyond = [str(least - 1), "9" * 30, "x", "1.5", "", "٣"]
    beyond += [str(most + 1)] if most is not None else []
    for value in beyond:
        arguments = ["X"] if words == "projections show" else []
        assert main([*words.split(), *arguments, option, value]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        error, hint = err.splitlines()
        assert error.startswith(f"error: {option} {value[:20]}")
        assert f"takes a whole number from {least} to " in error
        assert most is None or error.endswith(f" to {most}")
        assert hint.startswith(f"hint: give one, or leave {option} out")
        assert hint.endswith(f"see dolittle {words} --help")


def test_a_number_within_the_limits_is_taken_without_pydantic(tmp_path: Path) -> None:
    script = (
        "import sys; from dolittle_cli.main import main\n"
        "main(['events', 'list', '-n', '+5']); main(['run', '--port', '65535'])\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=START_S_MAX,
        check=True,
    )
    assert done.stdout == "False\n"
    assert done.stderr.count("error: no dolittle.toml in ") == 2
