"""``dolittle update``: from older templates to those of today, for everything there is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dolittle_cli.main import main
from dolittle_cli.scaffold import render
from dolittle_cli.scaffold.manifest import read_manifest

ADDED = {
    "value": ["value", "Line", "sku:str", "quantity:int"],
    "event": ["event", "DishPrepared", "dish:str", "size:enum(big,small)"],
    "aggregate": ["aggregate", "Kitchen", "--command", "prepare_dish=DishPrepared"],
    "handler": ["handler", "Clerk", "--on", "DishPrepared"],
    "projection": ["projection", "Dishes", "--on", "DishPrepared", "--key", "dish"],
    "api": ["api"],
    "compose": ["compose"],
    "ci": ["ci"],
}
OLD = "outdated"


def grow_older(folder: Path) -> None:
    """Change the first line of what each template makes, and what stands in it."""
    for path in folder.rglob("*"):
        if not path.is_file() or path.name == "copier.yml":
            continue
        text = path.read_text()
        if ".py" in path.name and text.startswith('"""'):
            path.write_text(f'"""{OLD}: {text[3:]}')
        elif text and ".py" not in path.name and ".md" not in path.name:
            path.write_text(f"# {OLD}\n{text}")
        elif ".md" in path.name:
            path.write_text(f"({OLD})\n\n{text}")


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".dolittle-manifest" not in path.parts
    }


def make(folder: Path) -> Path:
    """Make a microservice with one thing of each kind."""
    assert main(["new", "microservice", "shop", "--into", str(folder)]) == 0
    for words in ADDED.values():
        assert main(["add", *words, "--project", str(folder / "shop")]) == 0
    return folder / "shop"


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same project, made with older templates and with those of today."""
    folder = tmp_path_factory.mktemp("made")
    today = render.templates_folder()
    shutil.copytree(today, folder / "templates")
    grow_older(folder / "templates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "templates_folder", lambda: folder / "templates")
        old = make(folder / "old")
    return old, make(folder / "new")


@pytest.fixture
def shop(
    projects: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    """A fresh copy of the project that was made with older templates, the current folder."""
    shutil.copytree(projects[0], tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    capsys.readouterr()
    return tmp_path / "shop"


def test_what_nobody_changed_becomes_what_is_generated_today(
    shop: Path, projects: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert everything_in(shop) != everything_in(projects[1])
    assert main(["update"]) == 0
    out = capsys.readouterr().out
    assert everything_in(shop) == everything_in(projects[1])
    for kind in ("events/dish_prepared", "values/line", "aggregates/kitchen", "handlers/clerk"):
        assert f"edit       shop/{kind}.py" in out
    assert main(["update"]) == 0
    assert "is as this version generates it" in capsys.readouterr().err
    assert main(["update", "--check"]) == 0


def test_every_generated_file_is_brought_up_to_date_beneath_what_its_owner_wrote(
    shop: Path, projects: tuple[Path, Path]
) -> None:
    mine = b"\n\n# mine\n"
    edited = {
        path
        for thing in read_manifest(shop).things().values()
        for path in thing.files
        if (shop / path).read_text().count("\n") > 3
    }
    assert len(edited) > 15
    for path in edited:
        (shop / path).write_bytes((shop / path).read_bytes() + mine)
    assert main(["update"]) == 0
    expected = {
        path: text + mine if path in edited else text
        for path, text in everything_in(projects[1]).items()
    }
    assert everything_in(shop) == expected


def test_a_check_says_what_would_change_and_is_exit_2(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything_in(shop)
    assert main(["update", "--check"]) == 2
    out, err = capsys.readouterr()
    assert "edit       shop/events/dish_prepared.py" in out
    assert err == "nothing was written (--check)\n"
    assert main(["update", "--check", "--json"]) == 2
    value = json.loads(capsys.readouterr().out)
    assert (value["written"], value["would_change"]) == (False, True)
    assert main(["update", "--dry-run", "--diff"]) == 0
    assert f'-"""{OLD}: The event type DishPrepared."""' in capsys.readouterr().out
    assert everything_in(shop) == before


CONFLICT = "shop/events/dish_prepared.py"


@pytest.fixture
def conflict(shop: Path) -> Path:
    """The project, with an edit where the template changed too, and one elsewhere."""
    path = shop / CONFLICT
    path.write_text(path.read_text().replace(f"{OLD}: The event type", "My"))
    clerk = shop / "shop/handlers/clerk.py"
    clerk.write_text(clerk.read_text() + "\n# mine\n")
    return shop


def test_a_conflict_is_left_in_its_file_and_is_exit_3(
    conflict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["update"]) == 3
    out, err = capsys.readouterr()
    assert f"conflict   {CONFLICT}" in out
    assert f"{CONFLICT} has conflicts" in err
    assert (
        (conflict / CONFLICT)
        .read_text()
        .startswith('<<<<<<< yours\n"""My DishPrepared."""\n=======\n"""The event type')
    )


def test_an_update_over_an_unfinished_one_is_refused(
    conflict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["update"]) == 3
    before = everything_in(conflict)
    for words in (["update"], ["update", "--check"], ["update", "--dry-run"]):
        capsys.readouterr()
        assert main(words) == 1
        err = capsys.readouterr().err
        assert f"an update is not finished yet, these have conflicts in them: {CONFLICT}" in err
        assert "dolittle update --abort" in err
    assert everything_in(conflict) == before


def test_an_abort_restores_what_was_before(conflict: Path) -> None:
    before = everything_in(conflict)
    records = read_manifest(conflict)
    assert main(["update"]) == 3
    path = conflict / CONFLICT
    path.write_text(path.read_text().replace("    dish: str", "    dish: int"))
    assert main(["update", "--abort"]) == 0
    assert everything_in(conflict) == before
    assert read_manifest(conflict) == records


def test_there_is_nothing_to_abort_once_conflicts_are_resolved(
    conflict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["update", "--abort"]) == 2
    assert "there is no unfinished update" in capsys.readouterr().err
    assert main(["update"]) == 3
    path = conflict / CONFLICT
    path.write_text('"""Mine."""\n')
    capsys.readouterr()
    assert main(["update", "--abort"]) == 2
    assert "taken back with dolittle undo" in capsys.readouterr().err
    assert main(["update"]) == 0


def test_an_update_is_taken_back_by_undo(shop: Path) -> None:
    before = everything_in(shop)
    assert main(["update"]) == 0
    assert main(["undo"]) == 0
    assert everything_in(shop) == before


@pytest.mark.parametrize(("way", "expected"), [("skip", "My"), ("overwrite", "The event type")])
def test_conflicts_can_be_resolved_one_way(conflict: Path, way: str, expected: str) -> None:
    assert main(["update", "--on-conflict", way]) == 0
    assert f'"""{expected} DishPrepared."""' in (conflict / CONFLICT).read_text()
    assert main(["update", "--check"]) == 0


def test_a_file_that_its_owner_deleted_stays_deleted(shop: Path) -> None:
    (shop / "shop/handlers/clerk.py").unlink()
    assert main(["update"]) == 0
    assert not (shop / "shop/handlers/clerk.py").exists()


def test_a_thing_that_cannot_be_generated_any_more_is_left_and_named(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (shop / "shop/handlers/clerk.py").read_text()
    assert main(["remove", "event", "DishPrepared", "--force"]) == 0
    assert main(["update"]) == 0
    err = capsys.readouterr().err
    assert "handler Clerk is left as it is: there is no event 'DishPrepared'" in err
    assert (shop / "shop/handlers/clerk.py").read_text() == before


def test_a_renamed_thing_is_updated_under_its_new_name(shop: Path) -> None:
    assert main(["rename", "event", "DishPrepared", "DishServed"]) == 0
    assert main(["update"]) == 0
    text = (shop / "shop/events/dish_served.py").read_text()
    assert text.startswith('"""The event type DishServed."""')
    assert '@event_type("DishPrepared")' in text
    assert not (shop / CONFLICT).exists()


def test_a_renamed_thing_of_the_example_is_updated_under_its_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(render.templates_folder(), tmp_path / "templates")
    grow_older(tmp_path / "templates")
    with monkeypatch.context() as patch:
        patch.setattr(render, "templates_folder", lambda: tmp_path / "templates")
        words = ["new", "microservice", "bar", "--example", "kitchen", "--into", str(tmp_path)]
        assert main(words) == 0
    project = tmp_path / "bar"
    monkeypatch.chdir(project)
    assert main(["rename", "event", "DishPrepared", "DishServed"]) == 0
    assert main(["rename", "event", "DishServed", "DishBrought"]) == 0
    assert main(["remove", "projection", "DishCounter"]) == 0
    before = everything_in(project)
    assert main(["update"]) == 0
    after = everything_in(project)
    assert after.keys() == before.keys()
    for path, text in before.items():
        old = f"{OLD}: ".encode()
        if path.endswith(".py"):
            assert after[path] == text.replace(old, b""), path
    assert OLD not in (project / "README.md").read_text()
    assert '@event_type("DishPrepared"' in (project / "bar/events/dish_brought.py").read_text()


def test_what_is_no_longer_generated_goes_unless_its_owner_changed_it(
    shop: Path, projects: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(render.templates_folder(), tmp_path / "templates")
    for name in (".gitignore.jinja", "README.md.jinja"):
        (tmp_path / "templates/microservice" / name).unlink()
    monkeypatch.setattr(render, "templates_folder", lambda: tmp_path / "templates")
    (shop / "README.md").write_text("mine\n")
    assert main(["update"]) == 0
    assert not (shop / ".gitignore").exists()
    assert (shop / "README.md").read_text() == "mine\n"
    assert "README.md is no longer generated, and stays" in capsys.readouterr().err


def test_a_removed_thing_does_not_come_back(shop: Path) -> None:
    assert main(["remove", "projection", "Dishes"]) == 0
    (shop / "Dockerfile").unlink()
    assert main(["update"]) == 0
    assert not (shop / "shop/projections/dishes.py").exists()
    assert not (shop / "Dockerfile").exists()


def test_where_nothing_is_remembered_nothing_is_updated(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(shop / ".dolittle-manifest")
    assert main(["update"]) == 2
    assert "nothing is remembered here" in capsys.readouterr().err


def test_check_and_abort_exclude_each_other(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update", "--check", "--abort"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_an_application_is_updated_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(render.templates_folder(), tmp_path / "templates")
    grow_older(tmp_path / "templates")
    with monkeypatch.context() as patch:
        patch.setattr(render, "templates_folder", lambda: tmp_path / "templates")
        assert main(["new", "application", "mall", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "mall")
    assert OLD in (tmp_path / "mall/README.md").read_text()
    assert main(["update"]) == 0
    assert OLD not in (tmp_path / "mall/README.md").read_text()
