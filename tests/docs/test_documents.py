from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "docs/tutorial.md", "docs/reference/http.md"])
def test_a_document_is_true_when_it_is_typed(
    document: str, type_document: Callable[..., None]
) -> None:
    type_document(document)


def test_the_code_in_the_readme_runs(blocks_of: Callable[[str], list[Any]]) -> None:
    code = [block for block in blocks_of("README.md") if block.info == "python"]
    assert len(code) >= 2
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in code:
        source = "\n" * block.line + block.text
        exec(compile(source, "README.md", "exec"), namespace)
