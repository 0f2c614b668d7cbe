"""Templates, and what renders them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jinja2
import pytest

from dolittle_cli.scaffold.render import render, render_project, templates_folder
from dolittle_cli.scaffold.source import FOLDERS

VALUES = {"name": "order-desk", "package": "order_desk", "dolittle_version": "0.1.0"}


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("application/README.md.jinja", {})


def test_code_is_not_escaped() -> None:
    assert "<&>" in render("application/README.md.jinja", {"name": "<&>"})


@pytest.mark.parametrize("example", ["", "kitchen"])
def test_a_rendered_project_has_nothing_of_its_template_left(example: str) -> None:
    texts = render_project("microservice", {**VALUES, "example": example})
    for path, text in texts.items():
        for left in ("{{", "}}", "{%", "%}", "jinja", "copier", "package }"):
            assert left not in path, path
            assert left not in text, path
        assert str(templates_folder()) not in text
        assert text.endswith("\n") or not text, path
        assert not text.endswith("\n\n"), path
    assert ("order_desk/aggregates/kitchen.py" in texts) is bool(example)


def test_a_package_called_like_the_example_loses_nothing() -> None:
    values = {"name": "dish-kitchen", "package": "dish_kitchen", "dolittle_version": "0.1.0"}
    plain = render_project("microservice", {**VALUES, "example": ""})
    other = render_project("microservice", {**values, "example": ""})
    assert {path.replace("order_desk/", "dish_kitchen/", 1) for path in plain} == set(other)


@pytest.mark.parametrize(
    ("kind", "folder"), [(kind, folder) for kind, folder in FOLDERS.items() if kind != "value"]
)
def test_a_package_is_described_alike_wherever_it_comes_from(kind: str, folder: str) -> None:
    text = (
        templates_folder() / "microservice" / "{{ package }}" / folder / "__init__.py.jinja"
    ).read_text()
    assert render(f"{kind}/package.py.jinja", {}) == text


def test_rendering_one_thing_does_not_import_copier() -> None:
    code = (
        "import sys; from dolittle_cli.scaffold.render import render; "
        "render('application/README.md.jinja', {'name': 'x'}); sys.exit('copier' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_a_project_says_that_its_manifest_is_committed() -> None:
    texts = render_project("microservice", {**VALUES, "example": ""})
    assert ".dolittle-manifest/" in texts["README.md"]
    assert ".dolittle-manifest" not in texts[".gitignore"]


def test_no_template_is_compiled_by_what_installs_it() -> None:
    """Pip puts a ``__pycache__`` beside each ``.py``, also where that is a template."""
    assert not list(templates_folder().rglob("*.py"))


def test_no_template_mentions_a_path_of_this_machine() -> None:
    for path in templates_folder().rglob("*"):
        if path.is_file():
            assert str(Path.home()) not in path.read_text(), path


def test_settings_that_a_person_has_for_copier_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = render_project("microservice", {**VALUES, "example": ""})
    (tmp_path / "settings.yml").write_text("defaults: [this is no mapping")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(tmp_path / "settings.yml"))
    assert render_project("microservice", {**VALUES, "example": ""}) == plain
