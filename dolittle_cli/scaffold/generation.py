"""Plans the next generation of an event type: its new fields, its upcaster and a test."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.editing import ModuleEdit, NotSure, first_line
from dolittle_cli.scaffold.event import check_enums_free
from dolittle_cli.scaffold.fields import parse_fields
from dolittle_cli.scaffold.layout import Group, Node, assignment, call, keyword, statement
from dolittle_cli.scaffold.plan import Action, FileAction, Plan, read_text
from dolittle_cli.scaffold.project import Project, field_lines
from dolittle_cli.scaffold.render import render
from dolittle_cli.scaffold.samples import entry
from dolittle_cli.scaffold.source import DeclaredClass
from dolittle_cli.scaffold.steps import Step, expect_new_fields, reading_test, stored_default
from dolittle_cli.scaffold.types import (
    Code,
    definitions,
    member,
    needs_of,
    python_text,
)

_EMPTY: Final = "; that is all there is to say."
"""How the docstring of a generated event type without fields ends."""


def plan_generation(project: Project, name: str, fields: Sequence[str]) -> Plan:
    """Plan the next generation of an event type.

    A field has a default, which is what older events are read with.

    Args:
        project: What it is in.
        name: The class name of an event type.
        fields: What is new, as they are typed: ``currency:str=EUR``.

    Raises:
        WrongUsage: There is no such event type, or a field cannot be used or has no default.
        NotSure: A file is written in a way that an edit could spoil.
        CommandLineError: A file cannot be read, or no stored example can be made up.
    """
    event = project.source.event(name)
    there = _as_it_is(project, event, fields)
    if there is not None:
        return there
    taken = [field.name for field in event.fields]
    parsed = parse_fields(fields, name, taken=taken, values=project.source.values())
    for field in parsed:
        if field.default is None:
            raise WrongUsage(
                f"field {field.name!r}: the events that are stored already have no {field.name}, "
                "and nothing says what is read in its place",
                hint=f"give it a default, or let it be absent: '{field.name}:…?'",
            )
    check_enums_free(project.source, name, parsed)
    path = event.path.relative_to(project.root).as_posix()
    edit = ModuleEdit(path, read_text(project.root, path) or "")
    node = edit.class_named(name)
    decorator = _decorator_of(edit, node)
    step = Step(event, _generation(edit, decorator), tuple(parsed))
    files = [_edit_class(project, edit, node, decorator, step), _edit_test(project, step)]
    return Plan(project.root, tuple(sorted(files, key=lambda item: item.path)))


def _decorator_of(edit: ModuleEdit, node: ast.ClassDef) -> ast.expr:
    for item in node.decorator_list:
        target = item.func if isinstance(item, ast.Call) else item
        if ast.unparse(target).rpartition(".")[2] == "event_type":
            if not edit.stands_alone(item, before="@"):
                raise NotSure(edit.path, "the decorator of the event type is laid out by hand")
            return item
    raise NotSure(edit.path, f"the decorator of {node.name} is none that is known here")


def _generation(edit: ModuleEdit, decorator: ast.expr) -> int:
    given = decorator.keywords if isinstance(decorator, ast.Call) else []
    for item in given:
        if item.arg == "generation":
            if isinstance(item.value, ast.Constant) and isinstance(item.value.value, int):
                return item.value.value
            raise NotSure(edit.path, "the generation of the event type is no plain number")
    return 1


def _edit_class(
    project: Project, edit: ModuleEdit, node: ast.ClassDef, decorator: ast.expr, step: Step
) -> FileAction:
    text = read_text(project.root, edit.path) or ""
    edit.replace(decorator.lineno, decorator.end_lineno or 0, _decorated(edit, decorator, step))
    _define(edit, node, step)
    _insert_fields(edit, node, step)
    edit.append(_upcaster(project, step))
    needs = [("typing", "Any"), ("dolittle", "upcaster")]
    for part in needs_of(step.fields):
        needs += sorted(part.imports) if isinstance(part, Code) else [part]
    edit.need(needs, project.package)
    return FileAction(Action.EDIT, edit.path, edit.text(), text)


def _upcaster(project: Project, step: Step) -> str:
    entries = tuple(entry(field.name, stored_default(field)) for field in step.fields)
    values: dict[str, Any] = {
        "name": step.event.name,
        "before": step.before,
        "after": step.before + 1,
        "function": step.function,
        "content": Group("{", ("**content", *entries), "}", "collection") if entries else "",
    }
    return render("generation/upcaster.py.jinja", values, project.root).rstrip("\n")


def _as_it_is(project: Project, event: DeclaredClass, fields: Sequence[str]) -> Plan | None:
    """Return that nothing is to be done, if the last generation is what these fields would give.

    Without fields it is ``None``: then, one generation more is meant.
    """
    parsed = parse_fields(fields, event.name, values=project.source.values())
    if not parsed or {field.name for field in parsed} - {field.name for field in event.fields}:
        return None
    path = event.path.relative_to(project.root).as_posix()
    text = read_text(project.root, path) or ""
    edit = ModuleEdit(path, text)
    node = edit.class_named(event.name)
    before = _generation(edit, _decorator_of(edit, node)) - 1
    if not before or any(field.default is None for field in parsed):
        return None
    made = ast.parse(_upcaster(project, Step(event, before, tuple(parsed)))).body[0]
    if ast.dump(made) not in [ast.dump(item) for item in edit.tree.body]:
        return None
    return Plan(project.root, (FileAction(Action.IDENTICAL, path, text, text),))


def _decorated(edit: ModuleEdit, decorator: ast.expr, step: Step) -> str:
    number = keyword("generation", str(step.before + 1))
    if not isinstance(decorator, ast.Call):
        return statement("", call(f"@{edit.source_of(decorator)}", [number]))
    items: list[Node] = [edit.source_of(item) for item in decorator.args]
    others = [item for item in decorator.keywords if item.arg != "generation"]
    items += [number, *(keyword(str(i.arg), edit.source_of(i.value)) for i in others)]
    return statement("", call(f"@{edit.source_of(decorator.func)}", items))


def _define(edit: ModuleEdit, node: ast.ClassDef, step: Step) -> None:
    """Put the enums and aliases of the new fields in front of the class."""
    made = definitions(step.fields)
    blocks = []
    for name, values in made["enums"]:
        lines = [f"    {member(value)} = {python_text(value)}" for value in values]
        blocks.append("\n".join([f"class {name}(StrEnum):", *lines]))
    blocks += [assignment(f"{alias} = ", written) for alias, written in made["aliases"]]
    for block in blocks:
        edit.insert_after(first_line(node) - 1, f"{block}\n\n")


def _insert_fields(edit: ModuleEdit, node: ast.ClassDef, step: Step) -> None:
    if not step.fields:
        return
    text = "\n".join(
        assignment(f"    {head} = ", default)
        for head, default in field_lines(step.fields)
        if default is not None
    )
    there = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    docstring = ast.get_docstring(node) or ""
    if there:
        if not edit.stands_alone(there[-1]):
            raise NotSure(edit.path, "the fields of the event type are laid out by hand")
        edit.insert_after(there[-1].end_lineno or 0, text)
    elif docstring and len(node.body) == 1 and docstring.endswith(_EMPTY):
        edit.replace(node.body[0].lineno, node.body[0].end_lineno or 0, text)
    elif docstring:
        edit.insert_after(node.body[0].end_lineno or 0, f"\n{text}")
    elif len(node.body) == 1 and isinstance(node.body[0], ast.Pass):
        edit.replace(node.body[0].lineno, node.body[0].end_lineno or 0, text)
    else:
        raise NotSure(edit.path, "the event type has no fields, and something else in their place")


def _edit_test(project: Project, step: Step) -> FileAction:
    path = step.test_path
    text = read_text(project.root, path)
    test = reading_test(project, step)
    if text is None:
        docstring = f'"""What is stored of the event type {step.event.name}."""'
        made = f"{docstring}\n\n{project.imports(*test.imports)}\n\n\n{test.text}\n"
        return FileAction(Action.CREATE, path, made)
    try:
        edit = ModuleEdit(path, text)
        expect_new_fields(edit, step)
        edit.append(test.text)
        edit.need(test.imports, project.package)
        return FileAction(Action.EDIT, path, edit.text(), text)
    except NotSure as error:
        raise NotSure(path, error.reason, test.text.split("\n")) from error
