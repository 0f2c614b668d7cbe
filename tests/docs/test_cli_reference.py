"""``docs/reference/cli.md`` says what the commands say, and what they do."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES_MIN = 2


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The program that makes the page."""
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "docs/cli_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_is_made_of_the_commands_and_its_source(reference: ModuleType) -> None:
    is_current = reference.PAGE.read_text() == reference.page(reference.SOURCE.read_text())

    assert is_current, "docs/reference/cli.md is stale: run `make reference`"


def test_the_page_has_every_option_of_every_command(reference: ModuleType) -> None:
    sections = sections_of(reference.PAGE.read_text())
    for words, command in reference.commands():
        usage = sections[words].split("```")[1]
        for parameter in command.params:
            for option in {*parameter.opts, *parameter.secondary_opts}:
                if parameter.param_type_name == "option":
                    assert re.search(rf"(?<![\w-]){option}(?![\w-])", usage), (words, option)


def test_a_command_without_a_section_is_said(reference: ModuleType) -> None:
    source = reference.SOURCE.read_text().replace("## dolittle explain\n", "## dolittle explian\n")

    with pytest.raises(ValueError, match=r"no section of .*'dolittle explain'.*explian"):
        reference.page(source)


def test_hidden_blocks_do_not_stand_in_the_page(reference: ModuleType) -> None:
    assert "hidden" in reference.SOURCE.read_text()
    assert not re.search(r"^```.*hidden", reference.PAGE.read_text(), flags=re.MULTILINE)


def test_every_command_has_two_examples_that_say_what_they_print(reference: ModuleType) -> None:
    sections = sections_of(reference.PAGE.read_text())
    for words, _ in reference.commands():
        blocks = re.findall(r"^```console[^\n]*\n(.*?)^```", sections[words], re.M | re.S)
        typed = [each for block in blocks for each in re.split(r"^\$ ", block, flags=re.M)[1:]]
        examples = [each for each in typed if each.startswith(words)]
        silent = [each for each in examples if not each.partition("\n")[2].strip(" \n…")]
        assert len(examples) >= EXAMPLES_MIN, words
        assert not silent, words


@pytest.mark.slow
def test_every_example_prints_and_ends_as_the_page_says(
    type_document: Callable[..., None],
) -> None:
    type_document("docs/reference/cli.source.md", checks_exit_codes=True)


def sections_of(page: str) -> dict[str, str]:
    """The sections of the page, by title."""
    parts = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part for part in parts}
