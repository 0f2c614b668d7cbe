"""What is remembered of commands, and how it is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main
from dolittle_cli.scaffold.manifest import read_manifest
from dolittle_cli.scaffold.record import FOLDER, ManifestDamaged, read_record

DISH = ["add", "event", "DishPrepared", "dish:str", "chef:str"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A microservice with an event, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    assert main(DISH) == 0
    return tmp_path / "shop"


def second(shop: Path) -> Path:
    return shop / FOLDER / "0002-add-event-DishPrepared.json"


def test_each_command_is_a_file_that_tells_what_it_made_of_what(shop: Path) -> None:
    assert sorted(path.name for path in (shop / FOLDER).iterdir()) == [
        "0001-new-microservice-shop.json",
        "0002-add-event-DishPrepared.json",
    ]
    value = json.loads(second(shop).read_text())
    assert value["command"] == "dolittle add event DishPrepared dish:str chef:str"
    assert value["things"] == {"event DishPrepared": {"fields": ["dish:str", "chef:str"]}}
    file = value["files"]["shop/events/dish_prepared.py"]
    assert "\n".join(file["base"]) == (shop / "shop/events/dish_prepared.py").read_text()
    assert file["template"] == "event/event.py.jinja"


def test_a_record_is_read_as_it_was_written(shop: Path) -> None:
    for record in read_manifest(shop).records:
        path = shop / record.path
        assert record.as_text() == path.read_text()
        assert read_record(path) == record


def test_no_record_names_a_folder_of_this_machine(shop: Path, tmp_path: Path) -> None:
    for path in (shop / FOLDER).iterdir():
        assert str(tmp_path) not in path.read_text()
        assert str(Path.home()) + "/" not in path.read_text()


def test_records_of_two_branches_with_one_number_are_both_read(shop: Path) -> None:
    other = second(shop).with_name("0002-add-event-ShopClosed.json")
    value = json.loads(second(shop).read_text())
    other.write_text(json.dumps({**value, "things": {"event ShopClosed": {}}, "files": {}}))
    things = read_manifest(shop).things()
    assert {"event DishPrepared", "event ShopClosed"} <= set(things)
    assert read_manifest(shop).next_number() == 3


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('{\n  "format"', '{\n  format"', "in line 2, column 3"),
        ('"format": 1', '"format": 9', "its format is 9, this dolittle reads 1"),
        ('"version": "0.1.0",', "", "'version' is missing"),
        ('"files": {', '"files": [', "in line"),
        ('"base": [', '"base": "x", "b": [', "a text is a list of lines"),
        ('"shop/events/dish_prepared.py"', '"../../outside.py"', "leaves the project"),
        ('"shop/events/dish_prepared.py"', '"/etc/passwd"', "leaves the project"),
        ('"fields": [', '"fields": 3, "more": [', "is neither text, list nor true"),
    ],
)
def test_a_record_that_was_edited_by_hand_is_named_with_what_is_wrong(
    shop: Path, old: str, new: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = second(shop).read_text()
    assert old in text
    second(shop).write_text(text.replace(old, new, 1))
    capsys.readouterr()
    assert main(DISH) == 1
    out, err = capsys.readouterr()
    assert out == ""
    error, hint = err.splitlines()
    assert error.startswith("error: .dolittle-manifest/0002-add-event-DishPrepared.json: ")
    assert reason in error
    assert hint.startswith("hint: take the file back from version control, or delete it")


@pytest.mark.parametrize("content", [b"", b"\xff", b"null", b"[]", b"3", b'"text"'])
def test_what_is_no_record_at_all_is_an_error_that_names_it(shop: Path, content: bytes) -> None:
    second(shop).write_bytes(content)
    with pytest.raises(ManifestDamaged, match=r"0002-add-event-DishPrepared\.json"):
        read_manifest(shop)


def test_a_record_with_another_name_is_an_error(shop: Path) -> None:
    second(shop).rename(shop / FOLDER / "notes.json")
    with pytest.raises(ManifestDamaged, match=r"notes\.json: no record is called so"):
        read_manifest(shop)


def damage(shop: Path) -> None:
    """Edit the base in a record by hand."""
    text = second(shop).read_text()
    assert '"    chef: str",' in text
    second(shop).write_text(text.replace('"    chef: str",', '"    cook: str",'))


def test_a_base_that_was_edited_by_hand_is_found_again_on_disk(shop: Path) -> None:
    whole = read_manifest(shop)
    damage(shop)
    assert read_manifest(shop) == whole


def test_a_base_that_was_edited_by_hand_is_generated_again(shop: Path) -> None:
    whole = read_manifest(shop)
    damage(shop)
    event = shop / "shop/events/dish_prepared.py"
    event.write_text(
        event.read_text().replace("    dish: str", '    """A dish."""\n\n    dish: str')
    )
    assert read_manifest(shop) == whole
    assert main([*DISH, "price:int=0"]) == 0
    assert '"""A dish."""' in event.read_text()
    assert "price: int = 0" in event.read_text()


def test_a_base_that_is_lost_is_an_error_that_names_the_file(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(shop)
    second(shop).write_text(second(shop).read_text().replace('"dish:str"', '"meal:str"'))
    (shop / "shop/events/dish_prepared.py").unlink()
    assert main(DISH) == 1
    assert "the base of shop/events/dish_prepared.py is not the text" in capsys.readouterr().err


def test_the_manifest_may_be_deleted_and_is_remembered_again(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_text() for path in (shop / FOLDER).iterdir()}
    for path in (shop / FOLDER).iterdir():
        path.unlink()
    capsys.readouterr()
    assert main(DISH) == 0
    assert "remembered again" in capsys.readouterr().err
    (record,) = read_manifest(shop).records
    old = json.loads(before["0002-add-event-DishPrepared.json"])
    new = json.loads((shop / record.path).read_text())
    for name, file in old["files"].items():
        assert new["files"][name]["base"] == file["base"]
    assert main([*DISH, "price:int=0"]) == 0
    assert "price: int = 0" in (shop / "shop/events/dish_prepared.py").read_text()
