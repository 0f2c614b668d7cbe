"""Runs the code of docs/reference/testing.md from top to bottom."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "testing.md"


def test_the_code_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text()
    # Each block keeps the line numbers it has on the page, for a failure to point there.
    blocks = [
        "\n" * text.count("\n", 0, found.start(1)) + found[1]
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
    assert len(blocks) == 5
    module = types.ModuleType("kitchen_of_the_testing_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), vars(module))
