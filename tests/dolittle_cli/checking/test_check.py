from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dolittle.engines.file import FileStore
from dolittle.execution import ExecutionContext, new_id
from dolittle.store import Commit, EventToCommit
from dolittle_cli.main import main

Forget = Callable[[], None]
LOCK = "event-types.lock"

BROKEN_FOLD = """

@projection
class Clock:
    at: float = 0.0

    @on(DishPrepared)
    def on_prepared(self, event: DishPrepared) -> None:
        import time
        self.at = time.time()
"""


def change(kitchen: Path, forget: Forget, old: str, new: str) -> None:
    path = kitchen / "kitchen" / "__init__.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    forget()


def store(kitchen: Path, *contents: bytes, tenant: str = "development", **event: Any) -> None:
    async def run() -> None:
        opened = await FileStore.open(kitchen / ".dolittle" / tenant / "events")
        for content in contents:
            stored = EventToCommit(event.pop("type_id", "dish-prepared"), "Bar", content, **event)
            await opened.commit(Commit(new_id(), (stored,), ExecutionContext()))
        await opened.close()

    asyncio.run(run())


def mail_line(kitchen: Path) -> int:
    """The line of the method that takes an event which nothing emits."""
    lines = (kitchen / "kitchen" / "__init__.py").read_text().splitlines()
    return lines.index("    def mail(self, event: OrderTaken) -> None:") + 1


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    code = main(["check", "--json", *words])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["is_ok"] == (code == 0)
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [item["code"] for item in found["findings"]]


def test_the_first_check_makes_the_lock_and_says_so(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    assert main(["check"]) == 0
    printed = capsys.readouterr()
    assert f"{LOCK} created: 2 event types; commit it" in printed.err
    assert set(json.loads((kitchen / LOCK).read_text())["event_types"]) == {
        *("dish-prepared", "OrderTaken")
    }
    forget()
    assert main(["check"]) == 0
    assert "created" not in capsys.readouterr().err


def test_a_kitchen_has_a_warning_that_only_strict_fails_for(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    found = checked(capsys)
    assert codes(found) == ["DLT203"]
    assert (found["errors"], found["warnings"], found["notes"]) == (0, 1, 0)
    [finding] = found["findings"]
    assert finding["message"] == (
        "DishHandler.mail takes OrderTaken, which nothing in the package emits"
    )
    assert (finding["path"], finding["line"]) == ("kitchen/__init__.py", mail_line(kitchen))
    forget()
    assert checked(capsys, "--strict")["is_ok"] is False


def test_an_error_is_told_with_place_reason_and_fix(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    path = kitchen / "kitchen" / "__init__.py"
    path.write_text(path.read_text() + BROKEN_FOLD)
    assert main(["check"]) == 1
    printed = capsys.readouterr()
    line = path.read_text().splitlines().index("        self.at = time.time()") + 1
    assert printed.out.startswith(
        f"kitchen/__init__.py:{line}: error DLT301: Clock.on_prepared reads the clock: time.time\n"
        "    why  folding the same events again must give the same"
    )
    assert "    fix  put the value into the event" in printed.out
    assert "1 error, 1 warning" in printed.err


def test_locked_writes_nothing_and_fails_without_a_lock(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    found = checked(capsys, "--locked")
    assert codes(found)[0] == "DLT401"
    assert found["microservices"][0]["lock"] == "missing"
    assert not (kitchen / LOCK).exists()


def test_a_compatible_change_is_a_warning_an_error_if_locked_and_written_by_fix(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    assert main(["check"]) == 0
    before = (kitchen / LOCK).read_text()
    change(kitchen, forget, "    dish: str\n    chef: str\n", "    dish: str\n    chef: str = ''\n")
    found = checked(capsys)
    first = found["findings"][0]
    assert (first["code"], first["level"]) == ("DLT404", "warning")
    assert found["microservices"][0]["lock"] == "outdated"
    forget()
    found = checked(capsys, "--locked")
    assert ("DLT404", "error") in [(item["code"], item["level"]) for item in found["findings"]]
    assert (kitchen / LOCK).read_text() == before
    forget()
    found = checked(capsys, "--fix")
    assert codes(found) == ["DLT203"]
    assert found["microservices"][0]["lock"] == "updated"
    forget()
    assert checked(capsys, "--locked")["microservices"][0]["lock"] == "current"


def test_a_breaking_change_is_an_error_until_there_is_a_generation_with_an_upcaster(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    assert main(["check"]) == 0
    change(
        kitchen, forget, '@event_type("dish-prepared")\nclass DishPrepared:\n    dish: str\n',
        '@event_type("dish-prepared")\nclass DishPrepared:\n    dish: str\n    amount: int\n',
    )  # fmt: skip
    for option in ((), ("--fix",), ("--locked",)):
        found = checked(capsys, *option)
        assert codes(found)[0] == "DLT403"
        assert found["findings"][0]["message"] == (
            "event type DishPrepared: amount is new and has no default: stored events lack it"
        )
        forget()
    change(
        kitchen,
        forget,
        '@event_type("dish-prepared")',
        '@event_type("dish-prepared", generation=2)',
    )
    found = checked(capsys)
    assert "DLT104" in codes(found)
    assert found["microservices"][0]["lock"] == "not looked at"
    path = kitchen / "kitchen" / "__init__.py"
    path.write_text(
        path.read_text().replace("    side_effect,\n", "    side_effect,\n    upcaster,\n")
        + "\n\n@upcaster(DishPrepared, from_generation=1)\ndef add_amount(content):\n"
        "    return {**content, 'amount': 1}\n"
    )
    forget()
    found = checked(capsys, "--fix")
    assert codes(found) == ["DLT203"]
    generations = json.loads((kitchen / LOCK).read_text())["event_types"]["dish-prepared"]
    assert list(generations) == ["1", "2"]


def test_update_lock_writes_whatever_it_breaks(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    assert main(["check"]) == 0
    change(kitchen, forget, "    guests: int\n", "    guests: str\n")
    assert main(["check"]) == 1
    forget()
    assert main(["check", "--update-lock"]) == 0
    forget()
    assert main(["check", "--locked"]) == 0


@pytest.mark.parametrize("damage", ["by hand", "merge"])
def test_a_damaged_lock_is_an_error_that_says_how_to_mend_it(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget, damage: str
) -> None:
    assert main(["check"]) == 0
    lock = kitchen / LOCK
    text = lock.read_text()
    changed = text.replace("integer", "string") if damage == "by hand" else f"<<<<<<<\n{text}"
    lock.write_text(changed)
    for option in ((), ("--fix",), ("--locked",)):
        forget()
        found = checked(capsys, *option)
        assert codes(found)[0] == "DLT402"
        assert found["findings"][0]["path"] == LOCK
        assert "--update-lock" in found["findings"][0]["fix"]
        assert lock.read_text() == changed
    forget()
    assert main(["check", "--update-lock"]) == 0
    assert lock.read_text() == text


def test_a_microservice_that_does_not_load_is_checked_as_far_as_its_source_goes(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    path = kitchen / "kitchen" / "__init__.py"
    path.write_text(path.read_text() + BROKEN_FOLD)
    (kitchen / "kitchen" / "more.py").write_text("import nothing_of_the_kind\n")
    (kitchen / "kitchen" / "odd.py").write_text("def odd(:\n")
    (kitchen / "kitchen" / "twice.py").write_text(
        "from dolittle import event_type\n\n\n"
        "@event_type('dish-prepared')\nclass DishEaten:\n    dish: str\n\n\n"
        "@event_type\nclass ChefHired:\n    chef: complex\n"
    )
    found = checked(capsys)
    told = {(item["code"], item["path"], item["line"]) for item in found["findings"]}
    assert {
        ("DLT102", "kitchen/more.py", 1),
        ("DLT102", "kitchen/odd.py", 1),
        ("DLT103", "kitchen/twice.py", 4),
        ("DLT101", "kitchen/twice.py", 9),
    } <= told
    assert "DLT301" in codes(found)
    assert not (kitchen / LOCK).exists()


def test_a_file_that_is_not_imported_must_parse_too(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kitchen / "kitchen" / "api.py").write_text("def app(:\n")
    found = checked(capsys)
    assert codes(found)[0] == "DLT102"
    assert found["findings"][0]["path"] == "kitchen/api.py"


def test_stored_events_that_cannot_be_read_are_counted_and_the_first_ones_named(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(kitchen, b'{"dish": "Taco", "chef": "Ann"}', *[b'{"dish": "Taco"}'] * 5)
    store(kitchen, b"{}", tenant="north", generation=4)
    store(kitchen, b"{}", type_id="menu-changed")
    found = checked(capsys, "--against-store")
    assert codes(found) == ["DLT501", "DLT501", "DLT502", "DLT203"]
    first, second, third, _ = (item["message"] for item in found["findings"])
    assert first == (
        "1 event of DishPrepared, generation 4, cannot be read (tenant north, position 0): "
        "the class DishPrepared is generation 1"
    )
    assert second.startswith(
        "5 events of DishPrepared, generation 1, cannot be read (tenant development, "
        "positions 1, 2, 3, …): "
    )
    assert third.startswith("1 event of the event type id 'menu-changed', which no class has")
    assert found["findings"][0]["path"] == "kitchen/__init__.py"
    [kitchen_facts] = found["microservices"]
    assert (kitchen_facts["events"], kitchen_facts["unreadable"]) == (8, 6)


def test_only_the_events_of_a_tenant_are_tried_if_asked(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(kitchen, b"{}", tenant="north")
    assert codes(checked(capsys, "--against-store", "--tenant", "development")) == ["DLT203"]
    assert codes(checked(capsys, "--against-store", "--tenant", "north"))[0] == "DLT501"


def test_trying_the_stored_events_of_no_store_makes_none(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--against-store"]) == 0
    assert "0 stored events tried" in capsys.readouterr().err
    assert not (kitchen / ".dolittle").exists()


def test_a_damaged_store_is_a_finding(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(kitchen, *[b'{"dish": "Taco", "chef": "Ann"}'] * 3)
    [segment] = (kitchen / ".dolittle" / "development" / "events" / "log").glob("*")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"Taco", b"Tuna")
    segment.write_bytes(b"".join(lines))
    found = checked(capsys, "--against-store")
    assert codes(found)[0] == "DLT503"


def test_sarif_names_rules_and_places(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--format", "sarif"]) == 0
    log = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    [result] = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "DLT203"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "kitchen/__init__.py"}
    assert place["region"] == {"startLine": mail_line(kitchen)}
    assert result["level"] == "warning"


def test_github_annotations_are_escaped(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Forget
) -> None:
    assert main(["check", "--format", "github"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"::warning file=kitchen/__init__.py,line={mail_line(kitchen)},"
        "title=DLT203 event nobody emits::DishHandler."
    )
    assert "%0Afix: " in line


def test_paths_are_told_from_the_current_folder(
    kitchen: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kitchen.parent)
    found = checked(capsys, "--project", "kitchen")
    assert found["findings"][0]["path"] == "kitchen/kitchen/__init__.py"


def test_all_members_of_an_application_are_checked(
    kitchen: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (kitchen.parent / "dolittle.toml").write_text('[application]\nname = "restaurant"\n')
    monkeypatch.chdir(kitchen.parent)
    found = checked(capsys)
    assert [item["microservice"] for item in found["microservices"]] == ["kitchen"]
    assert (kitchen / LOCK).exists()


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (["--format", "xml"], 2, "--format 'xml' is not known", "text, json, sarif, github"),
        (["--json", "--format", "sarif"], 2, "--json and --format sarif exclude each other", ""),
        (["--fix", "--locked"], 2, "--locked and --fix exclude each other", ""),
        (["--fix", "--update-lock"], 2, "--fix and --update-lock exclude each other", ""),
        (["--tenant", "north"], 2, "it needs --against-store", ""),
        (["--against-store", "--tenant", "nort"], 1, "there is no tenant 'nort'", "mean north?"),
        (["--project", "nowhere"], 2, "there is no such folder", ""),
    ],
)
def test_what_cannot_be_checked_is_refused(
    kitchen: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    error: str,
    hint: str,
) -> None:
    assert main(["check", *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert error in printed.err
    assert hint in printed.err
    assert not (kitchen / LOCK).exists()


def test_every_rule_is_documented_with_its_level() -> None:
    from dolittle_cli.checking.findings import RULES

    path = Path(__file__).parents[3] / "docs" / "reference" / "checks.md"
    text = path.read_text()
    for rule in RULES:
        assert f"| `{rule.code}` | {rule.name} | {rule.level} |" in text
    assert len({rule.code for rule in RULES}) == len(RULES)
