from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKS = [
    ["ruff", "check", "--no-cache"],
    ["ruff", "format", "--check", "--diff", "--no-cache"],
    ["mypy"],
    ["pytest", "-q", "-p", "no:cacheprovider", "-W", "error",
     "-o", "asyncio_default_fixture_loop_scope=function"],
]  # fmt: skip
CHECK_S_MAX = 300


@pytest.fixture(scope="session")
def check(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Run everything that a generated project is checked with by its owner, on one mypy cache."""
    cache = tmp_path_factory.mktemp("mypy")

    def run(project: Path) -> None:
        environment = {**os.environ, "MYPY_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
        for words in CHECKS:
            done = subprocess.run(
                [sys.executable, "-m", *words],
                cwd=project,
                env=environment,
                capture_output=True,
                text=True,
                timeout=CHECK_S_MAX,
                check=False,
            )
            assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"

    return run
