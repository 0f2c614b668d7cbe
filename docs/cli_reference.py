"""Makes ``docs/reference/cli.md`` of the commands and of ``cli.source.md``, which is its prose.

``python docs/cli_reference.py`` writes the page; ``--check`` writes nothing, and ends with 1 if
the page is not what would be written.

Of each command come its help, its usage, and what its arguments and options mean. The source
brings what a help text is too short for, and the examples, which a test types in their order. A
block that is marked ``hidden`` there is typed too, and does not stand in the page.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from dolittle_cli.main import COMMANDS, load

FOLDER: Final = Path(__file__).parent / "reference"
SOURCE: Final = FOLDER / "cli.source.md"
PAGE: Final = FOLDER / "cli.md"

NOTICE: Final = (
    "<!-- Made by `make reference` of the commands and of cli.source.md: change those. -->"
)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command that can be typed, with its words."""
    for name in COMMANDS:
        command = load(name)
        children = getattr(command, "commands", None)
        if children is None:
            yield f"dolittle {name}", command
        for child_name, child in (children or {}).items():
            yield f"dolittle {name} {child_name}", child


def page(source: str) -> str:
    """Return the page.

    Args:
        source: The text of ``cli.source.md``: a section ``## dolittle …`` for each command, and
            whatever else the page says.

    Raises:
        ValueError: A command has no section, or a section no command.
    """
    known = dict(commands())
    prelude, *sections = re.split(r"^(?=## )", without_hidden(source), flags=re.MULTILINE)
    titled = [(section.partition("\n")[0].removeprefix("## "), section) for section in sections]
    named = [title for title, _ in titled if title.startswith("dolittle ")]
    if sorted(named) != sorted(known):
        lacking = sorted(set(known) - set(named))
        gone = sorted((Counter(named) - Counter([*known])).elements())
        raise ValueError(f"{SOURCE.name}: no section of {lacking}; no command of {gone}")
    general = [prelude, *(text for title, text in titled if title not in known)]
    shared = _shared(known, "\n".join(general))
    made = [
        _section(title, text, known[title], shared) if title in known else text
        for title, text in titled
    ]
    return f"{NOTICE}\n\n{prelude}{''.join(made)}"


def without_hidden(text: str) -> str:
    """Return a text without its hidden blocks."""
    return re.sub(r"^```\w+ hidden\b.*?^```\n\n?", "", text, flags=re.MULTILINE | re.DOTALL)


def _shared(known: dict[str, Any], general: str) -> set[tuple[str, str]]:
    """Return the options that the page explains once, each with the help that it then has."""
    rows = re.findall(r"^\| (`-.*?) \|", general, flags=re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"--?[a-z][\w-]*", row)}
    used = Counter(
        (parameter.opts[-1], parameter.help)
        for command in known.values()
        for parameter in command.params
        if parameter.opts[-1] in explained
    )
    usual: dict[str, str] = {}
    for (name, help), _ in used.most_common():
        usual.setdefault(name, help)
    return set(usual.items())


def _section(title: str, text: str, command: Any, shared: set[tuple[str, str]]) -> str:
    """Return the section of a command: what is made of it, then what the source says."""
    own = [p for p in command.params if (p.opts[-1], p.help) not in shared]
    parts = [f"## {title}", f"```\n{usage(title, command)}\n```", _prose(command.help)]
    if own:
        rows = "\n".join(f"| `{_cell(_name(p))}` | {_cell(_meaning(p))} |" for p in own)
        parts.append(f"| argument or option | meaning |\n| --- | --- |\n{rows}")
    rest = text.partition("\n")[2].strip("\n")
    return "\n\n".join([*parts, rest] if rest else parts) + "\n\n"


def usage(title: str, command: Any) -> str:
    """Return how a command is typed: arguments first, then options."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    return " ".join([title, *map(_argument_usage, arguments), *map(_option_usage, options)])


def _argument_usage(parameter: Any) -> str:
    name = _value(parameter) + (" ..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _option_usage(parameter: Any) -> str:
    name = _name(parameter, "|") + (" ..." if parameter.multiple else "")
    return name if parameter.required else f"[{name}]"


def _name(parameter: Any, between: str = "`, `") -> str:
    """Return what is typed: ``--from R``, or the name of an argument."""
    if parameter.param_type_name == "argument":
        return _value(parameter)
    names = between.join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {_value(parameter)}"


def _value(parameter: Any) -> str:
    """Return the word that stands for the value of a parameter."""
    if parameter.metavar:
        return str(re.sub(r"[\[\]]|\.\.\.", "", parameter.metavar))
    annotation = parameter.type_descriptor.annotation
    choices = _choices(annotation)
    if choices:
        return "|".join(choices)
    return "N" if annotation is int else str(parameter.name).upper()


def _choices(annotation: Any) -> list[str]:
    """Return what may be chosen, of a ``Literal``, an enumeration, or an optional one."""
    if get_origin(annotation) is Literal:
        return [str(each) for each in get_args(annotation)]
    if hasattr(annotation, "__members__"):
        return [str(each.value) for each in annotation]
    return [choice for part in get_args(annotation) for choice in _choices(part)]


def _meaning(parameter: Any) -> str:
    """Return the help of a parameter, with its default and whether it may be repeated."""
    text = " ".join(parameter.help.split())
    if getattr(parameter, "multiple", False) and not re.search("repeat|several", text):
        text += " May be given several times."
    if parameter.show_default and parameter.default not in (None, False, "", "."):
        text += f" Default: {parameter.default}."
    return text


def _cell(text: str) -> str:
    """Return a text as it stands in a cell of a table."""
    return text.replace("|", "\\|")


def _prose(help: str) -> str:
    """Return a command's help, a sentence a line, without its example."""
    paragraphs = [" ".join(each.split()) for each in help.split("\n\n")]
    kept = [each for each in paragraphs if not each.startswith("Example: ")]
    return "\n\n".join(re.sub(r"(?<=[.?]) (?=[A-Z-])", "\n", each) for each in kept)


def main() -> int:
    """Write the page, or say whether it is up to date; return the exit code."""
    made = page(SOURCE.read_text())
    is_current = PAGE.exists() and PAGE.read_text() == made
    if "--check" in sys.argv[1:]:
        return 0 if is_current else 1
    if not is_current:
        PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
