from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dolittle import Microservice, event_handler, event_type, handles
from dolittle.errors import DeclarationErrors, Unknown
from dolittle.runtime.definition import Definition, define, load_definition

EVENTS = """
    from dolittle import event_type

    @event_type
    class DishPrepared:
        dish: str
"""

Load = Callable[[dict[str, str]], Definition]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """``load({"kitchen/events.py": "…"})``: write the files and load the package ``kitchen``."""
    modules, path = set(sys.modules), list(sys.path)

    def loaded(files: dict[str, str]) -> Definition:
        for name, text in files.items():
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
        return load_definition("kitchen", tmp_path)

    yield loaded
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("kitchen", "shared"):
            del sys.modules[name]


def problems(caught: pytest.ExceptionInfo[DeclarationErrors], root: Path) -> list[str]:
    return [
        f"{Path(path).relative_to(root)}:{line}: {message}"
        for path, line, message, _ in caught.value.problems
    ]


def test_all_problems_of_all_modules_are_reported_at_once(load: Load, tmp_path: Path) -> None:
    with pytest.raises(DeclarationErrors) as caught:
        load(
            {
                "kitchen/__init__.py": "",
                "kitchen/events.py": EVENTS
                + """
    @event_type("DishPrepared")
    class DishPreparedToo:
        dish: str

    @event_type
    class Strange:
        number: complex
""",
                "kitchen/more/__init__.py": "",
                "kitchen/more/again.py": """
                    from dolittle import event_type

                    @event_type("another id")
                    class DishPrepared:
                        dish: str
                    """,
                "kitchen/handlers.py": """
                    from dolittle import event_handler, handles
                    from kitchen.events import DishPrepared

                    @event_handler
                    class Announcer:
                        @handles(str)
                        def announce(self, event: str) -> None: ...

                        @handles(DishPrepared)
                        def tell(self) -> None: ...
                    """,
                "kitchen/projections.py": """
                    from dolittle import on, projection
                    from kitchen.events import DishPrepared

                    @projection
                    class DishCounter:
                        count: int = 0

                        @on(DishPrepared, key="dihs")
                        def count_it(self, event: DishPrepared) -> None: ...

                    @projection("Announcer")
                    class Other:
                        @on(DishPrepared)
                        def count_it(self, event: DishPrepared) -> None: ...
                    """,
                "kitchen/syntax.py": "def broken(:\n    pass\n",
                "kitchen/raises.py": "ok = 1\nraise ValueError('not today')\n",
                "kitchen/uses.py": "from kitchen import raises\n",
                "kitchen/uses_too.py": "from kitchen import syntax\n",
                "kitchen/leaves.py": "import sys\n\nsys.exit(3)\n",
                "kitchen/misses.py": "import no_such_module\n",
            }
        )
    assert problems(caught, tmp_path) == [
        "kitchen/events.py:7: event type DishPreparedToo has the id 'DishPrepared', which "
        f"DishPrepared ({tmp_path}/kitchen/events.py:3) has",
        "kitchen/events.py:11: event type Strange: field 'number': complex cannot be stored "
        "as JSON",
        "kitchen/handlers.py:6: Announcer.announce: @handles(str) is for no event type",
        "kitchen/handlers.py:9: Announcer.tell must take (self, event) or "
        "(self, event, context), it takes (self)",
        "kitchen/leaves.py:3: kitchen.leaves does not import: SystemExit: 3",
        "kitchen/misses.py:1: kitchen.misses does not import: ModuleNotFoundError: "
        "No module named 'no_such_module'",
        "kitchen/more/again.py:3: event type DishPrepared: DishPreparedToo has this name as its id "
        f"({tmp_path}/kitchen/events.py:7)",
        "kitchen/more/again.py:3: event type DishPrepared: another one has this class name "
        f"({tmp_path}/kitchen/events.py:3)",
        "kitchen/projections.py:8: DishCounter.count_it: DishPrepared has no field 'dihs' "
        "to key by",
        "kitchen/projections.py:11: handler or projection Other has the id 'Announcer', which "
        f"Announcer ({tmp_path}/kitchen/handlers.py:4) has",
        "kitchen/raises.py:2: kitchen.raises does not import: ValueError: not today",
        "kitchen/syntax.py:1: syntax error: invalid syntax",
    ]


def test_a_folder_without_an_init_file_is_loaded_too(load: Load) -> None:
    definition = load({"kitchen/__init__.py": "", "kitchen/events/dishes.py": EVENTS})
    assert [item.alias for item in definition.event_types] == ["DishPrepared"]


def test_a_package_below_src_is_found(load: Load) -> None:
    definition = load({"src/kitchen/__init__.py": "", "src/kitchen/events.py": EVENTS})
    assert "DishPrepared" in definition.event_types


def test_the_api_and_main_modules_are_not_imported(load: Load) -> None:
    files = {"__init__": "", "api": "1 / 0", "__main__": "1 / 0", "events": EVENTS}
    definition = load({f"kitchen/{name}.py": text for name, text in files.items()})
    assert "DishPrepared" in definition.event_types


def test_a_package_that_is_not_there_is_one_problem(load: Load, tmp_path: Path) -> None:
    with pytest.raises(DeclarationErrors) as caught:
        load({})
    [(path, line, message, hint)] = caught.value.problems
    assert (path, line) == (str(tmp_path), 0)
    assert message == "there is no package 'kitchen' in this folder"
    assert "dolittle.toml" in hint


def test_an_event_type_from_another_package_can_be_read(load: Load) -> None:
    definition = load(
        {
            "shared.py": EVENTS,
            "kitchen/__init__.py": """
                from dolittle import event_handler, handles
                from shared import DishPrepared

                @event_handler
                class Announcer:
                    @handles(DishPrepared)
                    def announce(self, event: DishPrepared) -> None: ...
                """,
        }
    )
    assert "DishPrepared" in definition.event_types


def test_a_name_that_nothing_has_is_unknown_with_a_suggestion() -> None:
    @event_handler("an-id")
    class Announcer:
        @handles(DishPrepared)
        def announce(self, event: DishPrepared) -> None: ...

    definition = define("kitchen", [Announcer, DishPrepared])
    assert definition.handler("an-id") is definition.handler("Announcer")
    with pytest.raises(Unknown) as caught:
        definition.handler("Anouncer")
    assert caught.value.hint == "did you mean Announcer?"
    with pytest.raises(Unknown):
        definition.projection("Announcer")


@event_type
class DishPrepared:
    dish: str


class Asking:
    def __init__(
        self, kitchen: Microservice, address: str, retries: int = 3, *, key: str, **more: object
    ) -> None: ...

    @handles(DishPrepared)
    def announce(self, event: DishPrepared) -> None: ...


def test_an_argument_that_nobody_fills_in_is_a_problem_of_the_handler() -> None:
    with pytest.raises(DeclarationErrors) as caught:
        define("kitchen", [event_handler(Asking), DishPrepared])
    assert sorted(message for _, _, message, _ in caught.value.problems) == [
        "event handler Asking: nobody fills in address of its __init__",
        "event handler Asking: nobody fills in key of its __init__",
    ]
