"""``dolittle add api``, ``compose`` and ``ci``."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from dolittle_cli.main import main


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    assert main(["new", "microservice", "order-desk", "--into", str(folder)]) == 0
    return folder / "order-desk"


@pytest.fixture
def desk(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    """A microservice's folder, the current one, with nothing printed yet."""
    shutil.copytree(template, tmp_path / "repository" / "order-desk")
    monkeypatch.chdir(tmp_path / "repository" / "order-desk")
    capsys.readouterr()
    return tmp_path / "repository" / "order-desk"


def test_an_api_comes_with_its_test_and_what_it_depends_on(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (desk / "pyproject.toml").read_text()
    assert main(["add", "api"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "create     order_desk/api.py",
        "edit       pyproject.toml",
        "create     tests/test_api.py",
    ]
    after = (desk / "pyproject.toml").read_text()
    project = tomllib.loads(after)
    assert "fastapi>=0.115" in project["project"]["dependencies"]
    assert "httpx>=0.28" in project["dependency-groups"]["dev"]
    assert len(after.splitlines()) == len(before.splitlines())
    assert "# dolittle-cli is not on a package index yet" in after


def test_the_same_api_again_is_identical(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", "api"]) == 0
    capsys.readouterr()
    assert main(["add", "api"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"identical"}


def test_a_requirement_that_is_there_stays_as_it_is(desk: Path) -> None:
    path = desk / "pyproject.toml"
    path.write_text(
        path.read_text().replace('"dolittle-cli', '"FastAPI[all]==0.115", "dolittle-cli')
    )
    assert main(["add", "api"]) == 0
    dependencies = tomllib.loads(path.read_text())["project"]["dependencies"]
    assert [item for item in dependencies if "api" in item.lower()] == ["FastAPI[all]==0.115"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no pyproject.toml"),
        ("[project\n", "pyproject.toml: "),
        ("[tool.ruff]\n", "pyproject.toml has no [project]"),
    ],
)
def test_a_project_file_that_cannot_be_used_is_told(
    desk: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    path = desk / "pyproject.toml"
    path.unlink() if text is None else path.write_text(text)
    assert main(["add", "api"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {message}")
    assert "\nhint: " in err
    assert not (desk / "order_desk" / "api.py").exists()


def test_an_api_that_somebody_wrote_is_not_overwritten(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "order_desk" / "api.py").write_text("app = None\n")
    before = (desk / "pyproject.toml").read_text()
    assert main(["add", "api"]) == 2
    assert "order_desk/api.py exists, with other text" in capsys.readouterr().err
    assert (desk / "pyproject.toml").read_text() == before


def test_a_compose_file_builds_what_the_dockerfile_says(desk: Path) -> None:
    assert main(["add", "compose"]) == 0
    service = yaml.safe_load((desk / "compose.yaml").read_text())["services"]["order-desk"]
    docker = (desk / "Dockerfile").read_text()
    (port,) = service["ports"]
    (volume,) = service["volumes"]
    assert port.startswith("127.0.0.1:")
    assert f"EXPOSE {port.rpartition(':')[2]}\n" in docker
    assert f'VOLUME ["{volume.partition(":")[2]}"]' in docker


def test_a_dockerfile_is_made_where_there_is_none(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = (desk / "Dockerfile").read_text()
    (desk / "Dockerfile").unlink()
    assert main(["add", "compose"]) == 0
    assert "create     Dockerfile" in capsys.readouterr().out
    assert (desk / "Dockerfile").read_text() == made


def test_a_workflow_runs_every_check_of_the_project(desk: Path) -> None:
    assert main(["add", "ci"]) == 0
    text = (desk / ".github/workflows/checks.yml").read_text()
    steps = yaml.safe_load(text)["jobs"]["checks"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[-4:] == ["ruff check", "ruff format --check", "mypy", "pytest"]
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


def test_where_the_workflow_has_to_go_in_a_repository_of_several_is_said(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk.parent / ".git").mkdir()
    assert main(["add", "ci"]) == 0
    assert "with working-directory: order-desk" in capsys.readouterr().err
    (desk / ".git").mkdir()
    assert main(["add", "ci"]) == 0
    assert "working-directory" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["api", "compose", "ci"])
def test_what_was_added_can_be_taken_back(desk: Path, kind: str) -> None:
    def everything() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in desk.rglob("*") if p.is_file()}

    before = everything()
    assert main(["add", kind]) == 0
    assert main(["undo"]) == 0
    assert everything() == before


@pytest.mark.parametrize("kind", ["api", "compose", "ci"])
def test_a_word_too_much_is_refused(
    desk: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert main(["add", kind, "name"]) == 2
    assert "unexpected extra argument" in capsys.readouterr().err
