"""The same command again: identical, merged, or a conflict that is resolved as its owner says."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dolittle_cli.main import main

DISH = ["add", "event", "DishPrepared", "dish:str", "chef:str"]
EVENT = "shop/events/dish_prepared.py"
TEST = "tests/events/test_dish_prepared.py"


class Terminal(io.StringIO):
    """A terminal on which a person has typed something already."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A microservice with an event, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    assert main(DISH) == 0
    capsys.readouterr()
    return tmp_path / "shop"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def type_on_a_terminal(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(words))
    monkeypatch.setattr(sys, "stderr", Terminal())


def test_the_same_command_again_is_identical_also_when_the_owner_has_edited(shop: Path) -> None:
    change(shop / EVENT, "    dish: str", '    """A dish."""\n\n    dish: str')
    before = everything_in(shop)
    assert main(DISH) == 0
    assert everything_in(shop) == before


def test_one_more_field_is_merged_into_what_the_owner_has_edited(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(shop / EVENT, "    dish: str", '    """A dish."""\n\n    dish: str')
    with (shop / EVENT).open("a") as file:
        file.write("\n    def label(self) -> str:\n        return self.dish.upper()\n")
    assert main([*DISH, "price:Decimal=0"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"edit       {EVENT}", f"edit       {TEST}"]
    assert (shop / EVENT).read_text() == (
        '"""The event type DishPrepared."""\n\n'
        "from decimal import Decimal\n\n"
        "from dolittle import event_type\n\n\n"
        "@event_type\n"
        "class DishPrepared:\n"
        '    """A dish."""\n\n'
        "    dish: str\n"
        "    chef: str\n"
        '    price: Decimal = Decimal("0")\n\n'
        "    def label(self) -> str:\n"
        "        return self.dish.upper()\n"
    )


def test_a_file_that_its_owner_deleted_is_created_again(shop: Path) -> None:
    (shop / TEST).unlink()
    assert main(DISH) == 0
    assert (shop / TEST).is_file()


def test_a_command_that_leaves_out_a_field_takes_nothing_away(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything_in(shop)
    assert main(DISH[:-1]) == 2
    assert "this command leaves out what it has: chef" in capsys.readouterr().err
    assert everything_in(shop) == before


@pytest.fixture
def conflict(shop: Path) -> list[str]:
    """A command that wants another type for a field whose type its owner has changed."""
    change(shop / EVENT, "chef: str", "chef: int")
    return ["add", "event", "DishPrepared", "dish:str", "chef:UUID"]


def test_a_conflict_is_refused_where_nobody_can_be_asked(
    shop: Path, conflict: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything_in(shop)
    for more in ([], ["--json"], ["--dry-run"]):
        assert main([*conflict, *more]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert f"error: {EVENT} was changed in the same place" in err
        assert "--on-conflict overwrite, skip or merge" in err
    assert everything_in(shop) == before


def test_a_conflict_can_be_overwritten(shop: Path, conflict: list[str]) -> None:
    assert main([*conflict, "--on-conflict", "overwrite"]) == 0
    assert "chef: UUID" in (shop / EVENT).read_text()


def test_a_conflict_can_be_skipped_and_does_not_come_again(
    shop: Path, conflict: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (shop / EVENT).read_text()
    assert main([*conflict, "--on-conflict", "skip"]) == 0
    assert f"{EVENT} stays as it is" in capsys.readouterr().err
    assert (shop / EVENT).read_text() == before
    assert main(conflict) == 0


def test_a_conflict_that_is_merged_is_left_in_the_file_and_is_exit_3(
    shop: Path, conflict: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*conflict, "--on-conflict", "merge"]) == 3
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"conflict   {EVENT}", f"edit       {TEST}"]
    assert f"{EVENT} has conflicts: look for <<<<<<< in it" in err
    assert (
        "<<<<<<< yours\n    chef: int\n=======\n    chef: UUID\n>>>>>>> generated\n"
        in (shop / EVENT).read_text()
    )
    assert main([*conflict, "price:int=0"]) == 1
    assert "has a conflict of an earlier command in it" in capsys.readouterr().err


def test_conflicts_are_named_in_json_too(
    shop: Path, conflict: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*conflict, "--on-conflict", "merge", "--json", "--diff"]) == 3
    value = json.loads(capsys.readouterr().out)
    assert value["conflicts"] == [EVENT]
    assert "+<<<<<<< yours\n" in value["diff"]


def test_an_unknown_way_to_resolve_is_refused(
    shop: Path, conflict: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*conflict, "--on-conflict", "win"]) == 2
    assert "hint: one of: overwrite, skip, merge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "code", "expected"),
    [
        ("o\n", 0, "chef: UUID"),
        ("s\n", 0, "chef: int"),
        ("d\nx\nm\n", 3, "<<<<<<< yours"),
        ("a\no\n", 0, "chef: UUID"),
        ("q\n", 1, "chef: int"),
        ("", 1, "chef: int"),
    ],
)
def test_a_menu_asks_on_a_terminal(
    shop: Path,
    conflict: list[str],
    typed: str,
    code: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    type_on_a_terminal(monkeypatch, typed)
    assert main(conflict) == code
    told = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert f"conflict in {EVENT} [o/s/d/m/a/q, ? for help]" in told
    assert expected in (shop / EVENT).read_text()
    if "d" in typed:
        assert "-    chef: int\n+    chef: UUID" in told
        assert "q  quit; nothing is written" in told


def test_a_file_that_was_not_generated_is_not_overwritten_nor_remembered_when_it_is_skipped(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "shop/handlers/clerk.py").write_text("mine = 1\n")
    words = ["add", "handler", "Clerk", "--on", "DishPrepared"]
    assert main(words) == 2
    assert "clerk.py exists, with other text; nothing was written" in capsys.readouterr().err
    assert main([*words, "--on-conflict", "skip"]) == 0
    assert (shop / "shop/handlers/clerk.py").read_text() == "mine = 1\n"
    record = (shop / ".dolittle-manifest/0003-add-handler-Clerk.json").read_text()
    assert "shop/handlers/clerk.py" not in json.loads(record)["files"]


def test_a_difference_is_shown_and_coloured_on_a_terminal_only(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*DISH, "price:int=0", "--diff", "--dry-run"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "+    price: int = 0\n" in out
    assert "\033" not in out


def test_a_difference_is_coloured_on_a_terminal(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main([*DISH, "price:int=0", "--diff", "--dry-run"]) == 0
    assert "\033[32m+    price: int = 0\033[0m\n" in sys.stdout.getvalue()  # type: ignore[attr-defined]


COMMANDS = st.sampled_from(
    [
        DISH,
        [*DISH, "price:int=0"],
        ["add", "event", "DishPrepared", "dish:str", "chef:UUID", "--on-conflict", "merge"],
        ["add", "event", "ShopClosed"],
        ["add", "handler", "Clerk", "--on", "DishPrepared"],
        ["add", "projection", "Dishes", "--on", "DishPrepared"],
        ["new", "microservice", "bar", "--into", ".."],
        ["undo"],
        ["undo", "2", "--force"],
        ["remove", "event", "DishPrepared", "--force"],
        ["rename", "event", "DishPrepared", "DishServed"],
        ["update"],
        ["update", "--check"],
        ["update", "--abort"],
        ["templates", "eject", "event"],
    ]
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(command=COMMANDS, options=st.sets(st.sampled_from(["--diff", "--json"])), edit=st.booleans())
def test_a_dry_run_never_writes(
    shop: Path, command: list[str], options: set[str], edit: bool
) -> None:
    event = shop / EVENT
    event.write_text(event.read_text().replace("chef: str", "chef: int" if edit else "chef: str"))
    before = everything_in(shop.parent)
    main([*command, "--dry-run", *sorted(options)])
    assert everything_in(shop.parent) == before


def test_a_dry_run_does_not_mend_what_was_killed(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / ".dolittle").mkdir()
    (shop / ".dolittle/scaffold-journal.json").write_text("{")
    before = everything_in(shop)
    assert main([*DISH, "--dry-run"]) == 1
    assert "a dry run mends nothing" in capsys.readouterr().err
    assert everything_in(shop) == before
    assert main(DISH) == 0
    assert "what it had begun was taken back" in capsys.readouterr().err
