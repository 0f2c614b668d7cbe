from __future__ import annotations

from pathlib import Path

import pytest

from dolittle_cli.main import main


@pytest.fixture
def application(kitchen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application of two microservices, each with events of its own, by turns."""
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "restaurant"\n')
    bar = tmp_path / "bar"
    (bar / "bar").mkdir(parents=True)
    (bar / "dolittle.toml").write_text('[microservice]\nname = "bar"\n')
    (bar / "bar" / "__init__.py").write_text(
        "from dolittle import event_type\n\n\n@event_type\nclass DrinkServed:\n    drink: str\n"
    )
    for number in range(2):
        assert main(["events", "append", "OrderTaken", "--source", "T", f"guests={number}"]) == 0
        assert main(["events", "append", "DrinkServed", "--source", "T", f"drink={number}",
                     "--project", str(bar)]) == 0  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path
