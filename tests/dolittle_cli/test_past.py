from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main

FAR = "@2999-01-01"


@pytest.fixture
def cooked(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A kitchen in which a taco and a burrito were prepared, and nothing was delivered."""
    for dish in ("Taco", "Burrito"):
        words = ["perform", "Kitchen", "Bar", "prepare_dish", f"dish={dish}", "chef=Ann"]
        assert main(words) == 0
    capsys.readouterr()
    return kitchen


def test_an_instance_is_shown_as_it_was(cooked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aggregates", "show", "Kitchen", "Bar", "--at", "1"]) == 0
    printed = capsys.readouterr().out
    assert "version      1 (now 2)\ningredients  1\n" in printed
    assert "Kitchen@1" in printed
    assert "Kitchen@2" not in printed
    assert main(["aggregates", "show", "Kitchen", "Bar", "--at", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["at"], shown["state"]) == (1, 1, {"ingredients": 1})
    assert shown["event"]["content"]["dish"] == "Taco"


def test_an_instance_is_shown_as_it_was_before_its_first_event(
    cooked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in ("0", "@-1h", "@2020-01-01"):
        assert main(["aggregates", "show", "Kitchen", "Bar", "--at", at]) == 0
        printed = capsys.readouterr()
        assert "ingredients  2\n" in printed.out
        assert "Kitchen 'Bar' had no events then" in printed.err


def test_the_changes_of_an_instance_name_event_and_field(
    cooked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["aggregates", "show", "Kitchen", "Bar", "--diff", "1:2"]) == 0
    title, row = capsys.readouterr().out.splitlines()
    assert title.split() == ["VERSION", "POSITION", "TIME", "EVENT", "FIELD", "BEFORE", "AFTER"]
    assert [row.split()[i] for i in (0, 1, 4, 5, 6, 7)] == [
        *("2", "1", "DishPrepared", "ingredients", "1", "0")
    ]
    for diff in (":2", "0:", "@-1h:@-0s"):
        assert main(["aggregates", "show", "Kitchen", "Bar", "--diff", diff, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["from"], shown["to"]) == (0, 2)
        assert [change["fields"] for change in shown["changes"]] == [
            [{"path": "ingredients", "before": 2, "after": 1}],
            [{"path": "ingredients", "before": 1, "after": 0}],
        ]


def test_no_changes_are_said(cooked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aggregates", "show", "Kitchen", "Bar", "--diff", "2:"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no events between version 2 and 2" in printed.err


def test_a_read_model_is_shown_as_it_was_and_none_is_stored(
    cooked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in ("0", "start", "-2"):
        assert main(["projections", "show", "DishCounter", "Taco", "--at", at]) == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out) == {"dish": "Taco", "count": 1}
        assert "as it was after position 0, " in printed.err
    assert main(["projections", "show", "DishCounter", "Taco", "--at", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["position"], shown["last_changed_at"]) == (1, 0)
    assert main(["projections", "show", "DishCounter", "Taco"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["--at", "x"], 2, "--at 'x' is neither a version nor a time"),
        (["--at", "start"], 2, "--at 'start' is neither a version nor a time"),
        (["--at", "@2026-99-01"], 2, "--at '@2026-99-01' is neither a version nor a time"),
        (["--at", "3"], 1, "version 3 of Kitchen 'Bar' is yet to come: the last is version 2"),
        (["--at", FAR], 1, "the time 2999-01-01T00:00:00Z is yet to come: it is "),
        (["--diff", "x"], 2, "--diff 'x' is no A:B"),
        (["--diff", ":"], 2, "--diff ':' is no A:B"),
        (["--diff", "1:@-1h"], 2, "--diff '1:@-1h' is no A:B"),
        (["--diff", "2:1"], 2, "--diff 2:1: version 2 comes after version 1"),
        (["--diff", "0:3"], 1, "version 3 of Kitchen 'Bar' is yet to come"),
        (["--diff", "3:"], 1, "version 3 of Kitchen 'Bar' is yet to come"),
        (["--diff", "@-1h:@-2h"], 2, "--diff: 20"),
        (
            ["--diff", "@2026-02-01:@2026-01-01"],
            2,
            "--diff: 2026-02-01T00:00:00.000000Z comes after 2026-01-01T00:00:00.000000Z",
        ),
        (["--diff", f"@-1h:{FAR}"], 1, "is yet to come: it is "),
        (["--diff", "0:1", "--at", "1"], 2, "--at and --diff exclude each other"),
    ],
)
def test_what_is_no_moment_of_an_instance_is_refused(
    cooked: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main(["aggregates", "show", "Kitchen", "Bar", *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert error in printed.err.partition("error: ")[2]


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["Taco", "--at", "x"], 2, "--at 'x' is neither the place of an event nor a time"),
        (["Taco", "--at", "end"], 2, "--at 'end' is neither the place of an event nor a time"),
        (["Taco", "--at", "2"], 1, "position 2 of the event log is yet to come: the last is "),
        (["Taco", "--at", FAR], 1, "is yet to come: it is "),
        (["Taco", "--at", "evt:none"], 1, "there is no event with the id 'none'"),
        (["Burrito", "--at", "0"], 1, "there is no read model of DishCounter after position 0, "),
        (["--at", "0"], 2, "--at is about one read model: name its KEY"),
    ],
)
def test_what_is_no_moment_of_a_read_model_is_refused(
    cooked: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main(["projections", "show", "DishCounter", *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert error in printed.err.partition("error: ")[2]


@pytest.mark.parametrize("option", ["--at=1", "--diff=0:1"])
@pytest.mark.parametrize(
    ("names", "hint"), [(("Kitchn", "Bar"), "mean Kitchen?"), (("Kitchen", "Bra"), "mean Bar?")]
)
def test_unknown_names_get_a_suggestion_in_the_past_too(
    cooked: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    names: tuple[str, str],
    hint: str,
) -> None:
    assert main(["aggregates", "show", *names, option]) == 1
    assert hint in capsys.readouterr().err


def test_the_past_needs_one_instance(cooked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aggregates", "show", "Kitchen", "--at", "1"]) == 2
    assert "--at and --diff are about one instance: name its SOURCE" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["aggregates", "show", "Kitchen", "Bar", "--at", "1"],
        ["aggregates", "show", "Kitchen", "Bar", "--diff", "0:1"],
        ["projections", "show", "DishCounter", "Taco", "--at", "0"],
    ],
)
def test_the_past_needs_code_that_imports(
    kitchen: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (kitchen / "kitchen" / "__init__.py").write_text("import nothing_of_the_kind\n")
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "kitchen does not import: ModuleNotFoundError" in printed.err
