"""``dolittle check --fix``: what is safe is mended, all else stays as it is, byte for byte."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dolittle_cli.checking.silencing import comment_edits, heard, silencers
from dolittle_cli.checking.source_fixes import declaration_edits, edited
from dolittle_cli.checking.usage import check_usage
from dolittle_cli.main import main
from dolittle_cli.sources import read_sources

HEAD = """
from dolittle import {names}

@event_type
class DishPrepared:
    dish: str
"""
Mend = Callable[[str], str]
LOCK = "event-types.lock"


@pytest.fixture
def mend(tmp_path: Path) -> Mend:
    """``mend(source)``: what a module becomes."""

    def mended(source: str) -> str:
        path = tmp_path / "shop" / "__init__.py"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.encode())
        sources = read_sources(tmp_path, "shop")
        comments = silencers(sources)
        heard(check_usage(sources), comments)
        texts = edited([*declaration_edits(sources), *comment_edits(comments)])
        return texts[path][1] if path in texts else source

    return mended


def module(body: str, names: str = "aggregate_root, event_type, on") -> str:
    return HEAD.format(names=names) + "\n" + textwrap.dedent(body)


ROOT = "AggregateRoot, aggregate_root, event_type, on"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("async def on_it(self, event: DishPrepared) -> None:", "def on_it"),
        ("async  def on_it(self, event: DishPrepared) -> None:", "def on_it"),
    ],
)
def test_a_fold_that_waits_for_nothing_is_no_longer_async(
    mend: Mend, before: str, after: str
) -> None:
    body = f"""\
        @aggregate_root
        class Kitchen(AggregateRoot):
            @on(DishPrepared)  # ä
            {before}
                pass
        """
    assert mend(module(body, ROOT)) == module(body, ROOT).replace(
        before[: before.index("(")], after
    )


@pytest.mark.parametrize(
    "inside",
    ["await event", "yield 1", "[x async for x in event]", "async with event: pass"],
)
def test_a_fold_that_waits_stays_async(mend: Mend, inside: str) -> None:
    source = module(
        f"""\
        @aggregate_root
        class Kitchen(AggregateRoot):
            @on(DishPrepared)
            async def on_it(self, event: DishPrepared) -> None:
                {inside}
        """,
        ROOT,
    )
    assert mend(source) == source


def test_a_fold_that_is_awaited_somewhere_stays_async(mend: Mend) -> None:
    source = module(
        """\
        @aggregate_root
        class Kitchen(AggregateRoot):
            @on(DishPrepared)
            async def on_it(self, event: DishPrepared) -> None:
                pass

        async def use(kitchen, event):
            await kitchen.on_it(event)
        """,
        ROOT,
    )
    assert mend(source) == source


def test_an_async_handler_stays_async(mend: Mend) -> None:
    source = module(
        """\
        @event_handler
        class Waiter:
            @handles(DishPrepared)
            async def serve(self, event: DishPrepared) -> None:
                pass
        """,
        "event_handler, event_type, handles",
    )
    assert mend(source) == source


def test_the_key_of_a_fold_of_an_aggregate_goes(mend: Mend) -> None:
    source = module(
        """\
        @aggregate_root
        class Kitchen(AggregateRoot):
            @on(DishPrepared, key="dish")
            def on_it(self, event: DishPrepared) -> None:
                pass
        """,
        ROOT,
    )
    assert mend(source) == source.replace(', key="dish"', "")


def test_the_key_of_a_projection_stays(mend: Mend) -> None:
    source = module(
        """\
        @projection
        class Counter:
            dish: str
            @on(DishPrepared, key="dish")
            def on_it(self, event: DishPrepared) -> None:
                pass
        """,
        "event_type, on, projection",
    )
    assert mend(source) == source


def test_of_two_marks_that_are_alike_one_stays(mend: Mend) -> None:
    source = module(
        """\
        @event_handler
        class Waiter:
            @handles(DishPrepared)
            @handles( DishPrepared )
            def serve(self, event: DishPrepared) -> None:
                pass
        """,
        "event_handler, event_type, handles",
    )
    assert mend(source) == source.replace("    @handles( DishPrepared )\n", "")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_an_aggregate_root_gets_its_base_and_the_import_of_it(mend: Mend, ends: str) -> None:
    source = module(
        """\
        @aggregate_root
        class Kitchen:
            size: int = 2
        """
    ).replace("\n", ends)
    assert mend(source) == source.replace(
        "class Kitchen:", "class Kitchen(AggregateRoot):"
    ).replace("import aggregate_root", "import AggregateRoot, aggregate_root")


def test_two_aggregate_roots_import_their_base_once(mend: Mend) -> None:
    source = module(
        "@aggregate_root\nclass Kitchen:\n    a: int = 2\n"
        "@aggregate_root\nclass Bar:\n    a: int = 2\n"
    )
    mended = mend(source)
    assert mended.count("(AggregateRoot)") == 2
    assert "import AggregateRoot, aggregate_root, event_type, on\n" in mended


def test_a_base_is_named_as_the_module_names_it(mend: Mend) -> None:
    source = (
        module("@d.aggregate_root\nclass Kitchen():\n    size: int = 2\n")
        + "import dolittle as d\n"
    )
    assert "class Kitchen(d.AggregateRoot):" in mend(source)


def test_an_aggregate_root_with_a_base_of_its_own_is_left(mend: Mend) -> None:
    source = module("class Own: ...\n\n@aggregate_root\nclass Kitchen(Own):\n    size: int = 2\n")
    assert mend(source) == source


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("size = 2  # dolittle: ignore[DLT201]", "size = 2"),
        ("size = 2  # noqa: F841  # dolittle: ignore[DLT201, DLT301]", "size = 2  # noqa: F841"),
        ("größe = 2  # dolittle: ignore[DLT304]  # said", "größe = 2  # said"),
        ("# dolittle: ignore[DLT201]", None),
        ('text = "# dolittle: ignore[DLT201]"', 'text = "# dolittle: ignore[DLT201]"'),
    ],
)
def test_a_comment_that_silences_nothing_goes(mend: Mend, before: str, after: str | None) -> None:
    source = module(f"{before}\nlast = 1\n")
    assert mend(source) == source.replace(f"{before}\n", "" if after is None else f"{after}\n")


def test_a_comment_keeps_the_codes_that_silence_something(mend: Mend) -> None:
    source = module(
        "@event_type(public=True)\n"
        "class PrepareDish:  # dolittle: ignore[DLT201, DLT304]\n    dish: str\n"
    )
    assert mend(source) == source.replace("[DLT201, DLT304]", "[DLT201]")


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    capsys.readouterr()
    main(["check", "--json", *words])
    printed = capsys.readouterr()
    return json.loads(printed.out), printed.err


def break_it(kitchen: Path) -> str:
    path = kitchen / "kitchen" / "__init__.py"
    source = path.read_text().replace(
        "    @on(DishPrepared)\n    def", "    @on(DishPrepared, key='dish')\n    async def", 1
    )
    path.write_text(source)
    return source


def test_a_dry_run_shows_what_would_change_and_changes_nothing(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = break_it(kitchen)

    found, told = checked(capsys, "--fix", "--dry-run")

    assert (kitchen / "kitchen" / "__init__.py").read_text() == source
    assert not (kitchen / LOCK).exists()
    assert "-    async def on_dish_prepared" in told
    assert "+    def on_dish_prepared" in told
    assert [item["code"] for item in found["fixed"]] == ["DLT101", "DLT101"]
    assert {item["code"] for item in found["findings"]} >= {"DLT101"}


def test_what_is_fixed_is_told_and_found_no_more(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_it(kitchen)

    found, told = checked(capsys, "--fix")

    assert "fixed DLT101 kitchen/__init__.py:" in told
    assert [item["what"] for item in found["fixed"]] == [
        "Kitchen.on_dish_prepared has no key= any more: only projections have keys",
        "Kitchen.on_dish_prepared is no longer async: it waits for nothing",
    ]
    assert "DLT101" not in {item["code"] for item in found["findings"]}
    assert found["microservices"][0]["lock"] == "created"
    assert checked(capsys, "--fix")[0]["fixed"] == []


def test_without_fix_nothing_is_mended(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = break_it(kitchen)
    assert checked(capsys)[0]["fixed"] == []
    assert (kitchen / "kitchen" / "__init__.py").read_text() == source


def test_a_dry_run_needs_something_to_fix(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--dry-run"]) == 2
    assert "it needs --fix" in capsys.readouterr().err


@pytest.mark.parametrize("base", ["", "||||||| base\n"])
def test_a_conflict_in_the_lock_is_mended_with_the_entries_of_both_sides(
    kitchen: Path, capsys: pytest.CaptureFixture[str], base: str
) -> None:
    main(["check"])
    lock = kitchen / LOCK
    whole = lock.read_text()
    begin = whole.index('    "OrderTaken"')
    end = whole.index('    "dish-prepared"')
    ours, theirs = whole[begin:end], whole[end : whole.index("\n    }\n  }") + 7]
    assert ours.endswith(",\n")
    lock.write_text(
        whole[:begin]
        + f"<<<<<<< ours\n{ours[:-2]}\n{base}=======\n{theirs}>>>>>>> theirs\n"
        + whole[begin + len(ours) + len(theirs) :]
    )

    found, _ = checked(capsys)
    assert of_the_lock(found) == ["DLT402"]
    assert found["findings"][0]["fix"].endswith("dolittle check --fix")
    found, _ = checked(capsys, "--fix")

    assert of_the_lock(found) == []
    assert lock.read_text() == whole


def test_a_conflict_about_one_schema_is_left_to_its_owner(
    kitchen: Path, capsys: pytest.CaptureFixture[str], forget: Callable[[], None]
) -> None:
    lock, path = kitchen / LOCK, kitchen / "kitchen" / "__init__.py"
    main(["check"])
    ours = lock.read_text()
    path.write_text(
        path.read_text().replace("    dish: str\n", "    dish: str\n    size: int\n", 1)
    )
    forget()
    main(["check", "--update-lock"])
    theirs = lock.read_text()
    assert ours != theirs
    conflict = f"<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n"
    lock.write_text(conflict)

    found, _ = checked(capsys, "--fix")

    assert of_the_lock(found) == ["DLT402"]
    assert lock.read_text() == conflict


def of_the_lock(found: dict[str, Any]) -> list[str]:
    return [item["code"] for item in found["findings"] if item["code"].startswith("DLT4")]
