"""A new microservice from somebody else's template."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dolittle_cli.main import main

TOML = '[microservice]\nname = "{{ name }}"\npackage = "{{ package }}"\n'


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A folder with a template in it, the current one; copier has no settings of a person."""
    template = tmp_path / "template"
    (template / "{{ package }}").mkdir(parents=True)
    (template / "copier.yml").write_text(
        "name:\n  type: str\ncolour:\n  type: str\n  default: red\n"
    )
    (template / "dolittle.toml.jinja").write_text(TOML)
    (template / "{{ package }}" / "__init__.py").write_text("")
    (template / "colour.txt.jinja").write_text("{{ colour }}\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(tmp_path / "none.yml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*words: str) -> int:
    return main(["new", "microservice", "order-desk", *words])


def configure(here: Path, text: str) -> None:
    path = here / "template" / "copier.yml"
    path.write_text(path.read_text() + text)


def test_a_template_is_told_the_name_and_answers(here: Path) -> None:
    assert new("--template", "template", "--data", "colour=blue") == 0
    assert (here / "order-desk/colour.txt").read_text() == "blue\n"
    assert 'package = "order_desk"' in (here / "order-desk/dolittle.toml").read_text()
    assert (here / "order-desk/order_desk/__init__.py").is_file()


def test_nothing_of_this_machine_is_remembered_of_where_it_was(here: Path) -> None:
    assert new("--template", str(here / "template")) == 0
    record = here / "order-desk/.dolittle-manifest/0001-new-microservice-order-desk.json"
    assert str(here) not in record.read_text()
    value = json.loads(record.read_text())
    assert value["things"] == {"microservice order-desk": {"template": "template"}}


def test_the_same_again_is_identical_and_an_update_leaves_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new("--template", "template") == 0
    capsys.readouterr()
    assert new("--template", "template") == 0
    assert "create" not in capsys.readouterr().out
    assert main(["update", "--project", "order-desk"]) == 0


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_git_repository_can_be_a_template(here: Path) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "-C", str(here / "template")]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1"]):
        subprocess.run([*git, *words], check=True)
    assert new("--template", f"git+file://{here}/template") == 0
    assert (here / "order-desk/colour.txt").read_text() == "red\n"


def test_a_template_that_asks_to_run_code_is_refused_unless_it_is_trusted(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(here, f'_tasks:\n  - "touch {here}/ran; echo mine > task.txt"\n')
    assert new("--template", "template") == 1
    err = capsys.readouterr().err
    assert "the template template wants to run code: " in err
    assert "tasks" in err
    assert "--trust" in err
    assert not (here / "ran").exists()
    assert not (here / "order-desk").exists()
    assert new("--template", "template", "--trust") == 0
    assert (here / "order-desk/task.txt").read_text() == "mine\n"


def test_a_template_that_copiers_settings_trust_may_run_code(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(here, '_tasks:\n  - "echo mine > task.txt"\n')
    (here / "settings.yml").write_text(f"trust:\n  - {here}/\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(here / "settings.yml"))
    assert new("--template", str(here / "template")) == 0
    assert (here / "order-desk/task.txt").is_file()


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (["--template", "none"], 2, "there is no such folder", "copier.yml"),
        (["--template", "empty"], 2, "this is no template: there is no copier.yml", "copier"),
        (["--template", "file.txt"], 2, "this is no template", "copier"),
        (["--template", "git+file:///none.git"], 1, "cannot be rendered", "copier copy"),
        (["--template", "template", "--data", "red"], 2, "this is no answer", "NAME=VALUE"),
        (["--template", "template", "--example", "kitchen"], 2, "dolittle's own", "leave it"),
        (["--trust"], 2, "are for a --template", "name one"),
        (["--data", "a=b"], 2, "are for a --template", "name one"),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_written(
    here: Path,
    words: list[str],
    code: int,
    message: str,
    hint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "empty").mkdir()
    (here / "file.txt").write_text("")
    assert new(*words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert hint in err
    assert not (here / "order-desk").exists()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("size:\n  type: int\n", 2, "size"),
        ("_min_copier_version: '99'\n", 1, "cannot be rendered"),
        ("x: [\n", 1, "cannot be rendered"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_an_error(
    here: Path, change: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(here, change)
    assert new("--template", "template") == code
    assert message in capsys.readouterr().err
    assert not (here / "order-desk").exists()


def test_a_file_that_is_no_text_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "template/image.png").write_bytes(b"\x89PNG\xff")
    assert new("--template", "template") == 1
    assert "image.png, which is no text" in capsys.readouterr().err


def test_a_result_that_is_no_microservice_is_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "template/dolittle.toml.jinja").unlink()
    assert new("--template", "template") == 0
    assert "makes no dolittle.toml" in capsys.readouterr().err
