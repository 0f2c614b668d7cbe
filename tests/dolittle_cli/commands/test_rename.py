"""``dolittle rename``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dolittle.runtime.definition import load_definition
from dolittle_cli.main import main

ADDED = [
    ["add", "event", "DishPrepared", "dish:str", "size:enum(big,small)"],
    ["add", "aggregate", "Kitchen", "--command", "prepare_dish=DishPrepared"],
    ["add", "handler", "Clerk", "--on", "DishPrepared"],
    ["add", "projection", "Dishes", "--on", "DishPrepared", "--key", "dish"],
]
RENAMES = [
    ["event", "DishPrepared", "DishServed"],
    ["aggregate", "Kitchen", "Bakery"],
    ["handler", "Clerk", "Waiter"],
    ["projection", "Dishes", "ServedDishes"],
]


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def passes(project: Path, check: list[str]) -> None:
    """Run one of a project's own checks."""
    done = subprocess.run(
        [sys.executable, "-m", *check],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{check}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A microservice with one thing of each kind, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    for words in ADDED:
        assert main(words) == 0
    capsys.readouterr()
    return tmp_path / "shop"


def test_files_classes_references_and_tests_are_renamed(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rename", *RENAMES[0]]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "delete     shop/events/dish_prepared.py" in out
    assert "create     shop/events/dish_served.py" in out
    assert "create     tests/events/test_dish_served.py" in out
    assert "edit       shop/aggregates/kitchen.py" in out
    left = [
        path
        for path in [*shop.glob("shop/**/*.py"), *shop.glob("tests/**/*.py")]
        if "DishPrepared" in path.read_text().replace('@event_type("DishPrepared")', "")
        or "dish_prepared" in path.read_text()
    ]
    assert left == []


@pytest.mark.slow
def test_a_renamed_project_passes_its_own_checks(shop: Path) -> None:
    change(shop / "shop/handlers/clerk.py", "class Clerk:", 'class Clerk:\n    """Writes."""\n')
    change(
        shop / "tests/projections/test_dishes.py",
        "\n\ndef",
        '\nKITCHEN: "type[DishPrepared]" = DishPrepared\n\n\ndef',
    )
    for words in RENAMES:
        assert main(["rename", *words]) == 0
        passes(shop, ["ruff", "check", "--no-cache"])
        passes(shop, ["ruff", "format", "--check", "--no-cache"])
    passes(shop, ["mypy"])
    scope = "asyncio_default_fixture_loop_scope=function"
    passes(shop, ["pytest", "-q", "-p", "no:cacheprovider", "-o", scope])


def test_what_is_stored_keeps_its_ids(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in RENAMES:
        assert main(["rename", *words]) == 0
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    try:
        found = load_definition("shop", shop)
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]
    assert [item.id for item in found.event_types] == ["DishPrepared"]
    texts = "".join(path.read_text() for path in (shop / "shop").rglob("*.py"))
    for decorator in (
        '@event_type("DishPrepared")\nclass DishServed:',
        '@aggregate_root("Kitchen")\nclass Bakery(AggregateRoot):',
        '@event_handler("Clerk")\nclass Waiter:',
        '@projection("Dishes")\nclass ServedDishes:',
    ):
        assert decorator in texts


def test_a_second_renaming_keeps_the_first_id(shop: Path) -> None:
    assert main(["rename", *RENAMES[0]]) == 0
    assert main(["rename", "event", "DishServed", "DishEaten"]) == 0
    text = (shop / "shop/events/dish_eaten.py").read_text()
    assert '@event_type("DishPrepared")\nclass DishEaten:' in text


def test_the_old_name_is_not_given_to_another_thing_as_long_as_it_is_an_id(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rename", "handler", "Clerk", "Waiter"]) == 0
    capsys.readouterr()
    assert main(["add", "handler", "Clerk", "--on", "DishPrepared"]) == 2
    assert (
        "the name 'Clerk' is taken: the handler Waiter in shop/handlers/waiter.py is stored "
        "under it" in capsys.readouterr().err
    )
    assert main(["add", "projection", "Clerk", "--on", "DishPrepared"]) == 2
    assert main(["rename", "projection", "Dishes", "Clerk"]) == 2
    assert main(["rename", "handler", "Waiter", "Clerk"]) == 0


def test_an_id_that_the_owner_gave_stays(shop: Path) -> None:
    change(shop / "shop/events/dish_prepared.py", "@event_type", '@event_type("d-1", public=True)')
    assert main(["rename", *RENAMES[0]]) == 0
    assert (
        '@event_type("d-1", public=True)\nclass DishServed:'
        in (shop / "shop/events/dish_served.py").read_text()
    )


def test_the_same_add_with_the_new_names_is_identical(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(shop / "shop/handlers/clerk.py", "class Clerk:", 'class Clerk:\n    """Writes."""\n')
    for words in RENAMES:
        assert main(["rename", *words]) == 0
    before = everything_in(shop)
    for words in ADDED:
        now = [*words]
        for _, old, new in RENAMES:
            now = [word.replace(old, new) for word in now]
        assert main(now) == 0
    assert everything_in(shop) == before


def test_a_test_that_was_deleted_comes_back_as_what_it_tests_is_called(shop: Path) -> None:
    (shop / "tests/handlers/test_clerk.py").unlink()
    assert main(["rename", *RENAMES[0]]) == 0
    assert not (shop / "tests/handlers/test_clerk.py").exists()
    assert "def on_dish_served(" in (shop / "shop/handlers/clerk.py").read_text()
    assert main(["add", "handler", "Clerk", "--on", "DishServed"]) == 0
    test = (shop / "tests/handlers/test_clerk.py").read_text()
    assert 'assert called == ["on_dish_served"]' in test


def test_what_was_still_to_come_before_a_renaming_comes_after_it(shop: Path) -> None:
    kitchen = shop / "shop/aggregates/kitchen.py"
    change(
        kitchen, "class Kitchen(AggregateRoot):", 'class Kitchen(AggregateRoot):\n    """Mine."""\n'
    )
    change(shop / "shop/events/dish_prepared.py", "    dish: str", "    dish: str\n    day: date")
    change(
        shop / "shop/events/dish_prepared.py", "from enum", "from datetime import date\nfrom enum"
    )
    assert main(["rename", *RENAMES[0]]) == 0
    words = ["add", "aggregate", "Kitchen", "day:date?", "--command", "prepare_dish=DishServed"]
    assert main(words) == 0
    text = kitchen.read_text()
    assert "from datetime import date\n" in text
    assert "    day: date | None = None\n" in text
    assert "def prepare_dish(self, dish: str, day: date, size: DishServedSize)" in text


def test_a_renamed_thing_can_be_removed_and_the_renaming_taken_back(shop: Path) -> None:
    before = everything_in(shop)
    assert main(["rename", *RENAMES[2]]) == 0
    assert main(["remove", "handler", "Waiter"]) == 0
    assert not (shop / "shop/handlers/waiter.py").exists()
    assert main(["undo"]) == 0
    assert main(["undo"]) == 0
    assert everything_in(shop) == before


def test_an_event_type_renamed_is_renamed_back_by_undo(shop: Path) -> None:
    change(shop / "shop/handlers/clerk.py", "class Clerk:", 'class Clerk:\n    """Writes."""\n')
    before = everything_in(shop)
    assert main(["rename", *RENAMES[0]]) == 0
    assert main(["undo"]) == 0
    assert everything_in(shop) == before


def test_what_was_written_by_hand_is_renamed_too(shop: Path) -> None:
    text = 'from dolittle import event_type\n\n\n@event_type\nclass Mine:\n    """Mine."""\n'
    (shop / "shop/events/other.py").write_text(text)
    (shop / "serve.py").write_text("from shop.events.other import Mine\nMine()\n")
    assert main(["rename", "event", "Mine", "Ours"]) == 0
    assert '@event_type("Mine")\nclass Ours:' in (shop / "shop/events/other.py").read_text()
    assert (shop / "serve.py").read_text() == "from shop.events.other import Ours\nOurs()\n"


def test_strings_comments_and_prose_are_left_and_named(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "serve.py").write_text('print("DishPrepared")\n# DishPrepared\n')
    assert main(["rename", *RENAMES[0]]) == 0
    err = capsys.readouterr().err
    assert "serve.py:1 still says DishPrepared: a string, a comment or prose" in err
    assert "serve.py:2 still says DishPrepared" in err
    assert "README.md:" in err
    assert (shop / "serve.py").read_text() == 'print("DishPrepared")\n# DishPrepared\n'


def test_a_file_that_is_no_python_is_left_and_named(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "broken.py").write_text("from shop.events.dish_prepared import DishPrepared\nx = (\n")
    assert main(["rename", *RENAMES[0]]) == 0
    assert "broken.py was not looked into" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["event", "DishPrepard", "X"], "there is no event 'DishPrepard'", "DishPrepared?"),
        (["event", "DishPrepared", "Kitchen"], "is taken by the aggregate Kitchen", "another"),
        (["event", "DishPrepared", "Dishprepared"], "is taken by the event DishPrepared", ""),
        (["event", "DishPrepared", "DishPrepared"], "is called DishPrepared already", "another"),
        (["event", "DishPrepared", "class"], "is no name for an event", "like a class"),
        (["event", "DishPrepared", "../X"], "is no name for an event", "like a class"),
        (["event", "DishPrepared", "Taken"], "events/taken.py exists already", "move that file"),
        (["meal", "DishPrepared", "X"], "there is no meal 'DishPrepared'", "no meal at all"),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_written(
    shop: Path, words: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "shop/events/taken.py").write_text("x = 1\n")
    before = everything_in(shop)
    assert main(["rename", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[0]
    assert hint in err.splitlines()[1]
    assert everything_in(shop) == before


def test_a_new_name_that_a_file_uses_for_something_else_is_refused(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "serve.py").write_text(
        "from shop.events.dish_prepared import DishPrepared\n\n"
        "class DishServed:\n    x = DishPrepared\n"
    )
    before = everything_in(shop)
    assert main(["rename", *RENAMES[0]]) == 1
    assert "'DishServed' means something else in serve.py" in capsys.readouterr().err
    assert everything_in(shop) == before


def test_a_dry_run_shows_what_would_change(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything_in(shop)
    assert main(["rename", *RENAMES[0], "--dry-run", "--diff"]) == 0
    assert '+@event_type("DishPrepared")' in capsys.readouterr().out
    assert main(["rename", *RENAMES[0], "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] is False
    assert everything_in(shop) == before
