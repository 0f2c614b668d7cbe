"""Plans a command of an aggregate root that is there, with its event and its test."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.aggregate import CommandMethod, check_command_name, code_of, test_of
from dolittle_cli.scaffold.editing import ModuleEdit, NotSure, first_line
from dolittle_cli.scaffold.event import plan_event
from dolittle_cli.scaffold.names import pascal, snake
from dolittle_cli.scaffold.plan import Action, FileAction, Plan, read_text
from dolittle_cli.scaffold.project import Project, event_import, open_project
from dolittle_cli.scaffold.render import render
from dolittle_cli.scaffold.source import DeclaredClass
from dolittle_cli.scaffold.steps import Function

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_PAST: Final = {
    "be": "been", "begin": "begun", "bring": "brought", "build": "built", "buy": "bought",
    "catch": "caught", "choose": "chosen", "cut": "cut", "do": "done", "draw": "drawn",
    "find": "found", "get": "got", "give": "given", "go": "gone", "hide": "hidden",
    "hold": "held", "keep": "kept", "leave": "left", "let": "let", "lose": "lost",
    "make": "made", "meet": "met", "overwrite": "overwritten", "pay": "paid", "put": "put",
    "read": "read", "run": "run", "say": "said", "see": "seen", "sell": "sold", "send": "sent",
    "set": "set", "show": "shown", "shut": "shut", "spend": "spent", "split": "split",
    "take": "taken", "teach": "taught", "tell": "told", "think": "thought",
    "throw": "thrown", "undo": "undone", "win": "won", "withdraw": "withdrawn", "write": "written",
}  # fmt: skip


@dataclass(frozen=True)
class PlannedCommand:
    """A plan for a command, and the event type that it applies.

    Attributes:
        is_new: Whether the plan makes the event type.
    """

    plan: Plan
    event: DeclaredClass
    is_new: bool


def plan_command(
    project: Project, aggregate: str, method: str, fields: Sequence[str], event: str
) -> PlannedCommand:
    """Plan a command method, its fold and its test; and its event type, if there is none yet.

    Args:
        project: What it is added to.
        aggregate: The class name of an aggregate root.
        method: Like ``prepare_dish``.
        fields: Of the event, as they are typed; none, if the event type is there.
        event: The event type's name; empty: made of the method's.

    Raises:
        WrongUsage: A name or a field cannot be used, or there is no such aggregate root.
        NotSure: A file is written in a way that an edit could spoil.
        CommandLineError: A file cannot be read, or no test value can be made up.
    """
    root = project.source.thing("aggregate", aggregate)
    check_command_name(method, [])
    name = event or event_name(method, aggregate)
    has_event = any(item.kind == "event" and item.name == name for item in project.source.classes)
    made = Plan(project.root, ())
    if not has_event:
        made = plan_event(project, name, fields, public=False)
        project = open_project(project.root, {item.path: item.text for item in made.files})
    found = CommandMethod(method, project.source.event(name))
    if has_event and fields and not _has(project, root, found):
        raise WrongUsage(
            f"there is an event {name} already, with fields of its own",
            hint="leave the fields out, or name another event with --event",
        )
    code, fold, test = written_by(project, root, found)
    edited = [_edit_class(project, root, found, code, fold), _edit_test(project, root, test)]
    files = sorted([*made.files, *edited], key=lambda item: item.path)
    return PlannedCommand(replace(made, files=tuple(files)), found.event, not has_event)


def event_name(method: str, aggregate: str) -> str:
    """Return the name of what has happened: ``prepare_dish`` of a Kitchen gives DishPrepared.

    What a command does follows from its first word, and to what from the others; where there are
    none, it is the aggregate root.
    """
    verb, _, object_words = method.partition("_")
    return (pascal(object_words) or aggregate) + pascal(_past(verb))


def _past(verb: str) -> str:
    """Return the participle of an English verb, regular unless it is one of a few."""
    if verb in _PAST:
        return _PAST[verb]
    if verb.endswith("e"):
        return f"{verb}d"
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return f"{verb[:-1]}ied"
    # ship, plan, stop: one syllable that ends in consonant, vowel, consonant.
    is_short = len(verb) <= 4 and sum(sign in "aeiou" for sign in verb) == 1
    if is_short and verb[-1] not in "aeiouwxy" and verb[-2:-1] in "aeiou":
        return f"{verb}{verb[-1]}ed"
    return f"{verb}ed"


def _has(project: Project, root: DeclaredClass, found: CommandMethod) -> bool:
    path = root.path.relative_to(project.root).as_posix()
    edit = ModuleEdit(path, read_text(project.root, path) or "")
    return found.name in _members(edit.class_named(root.name))


def written_by(
    project: Project, root: DeclaredClass, found: CommandMethod
) -> tuple[Function, Function, Function]:
    """Return the method, the fold and the test that a command is written as.

    Args:
        project: What it is added to.
        root: The aggregate root.
        found: The command.

    Raises:
        CommandLineError: No test value can be made up.
    """
    values = code_of(found, root.fields)
    values["head"] = values.pop("definition")
    method = render("command/method.py.jinja", values, project.root).rstrip("\n")
    fold = render("command/fold.py.jinja", values, project.root).rstrip("\n")
    wanted = sorted({("dolittle", "on"), event_import(found.event), *found.imports})
    tested, expected = test_of(root.name, found, root.fields)
    test = render("command/test.py.jinja", tested, project.root).rstrip("\n")
    needs = sorted({("dolittle.testing", "given"), (root.module, root.name), *expected.imports})
    return (
        Function(found.name, method, tuple(wanted)),
        Function(found.fold, fold, tuple(wanted)),
        Function(f"test_{tested['title']}", test, tuple(needs)),
    )


def _edit_class(
    project: Project, root: DeclaredClass, found: CommandMethod, code: Function, folded_by: Function
) -> FileAction:
    path = root.path.relative_to(project.root).as_posix()
    text = read_text(project.root, path) or ""
    method, fold, wanted = code.text, folded_by.text, code.imports
    imports = project.imports(*wanted).split("\n")
    lines = [*imports, "", *method.split("\n"), "", *fold.split("\n")]
    try:
        edit = ModuleEdit(path, text)
        node = edit.class_named(root.name)
        members = _members(node)
        if found.name in members:
            return _unchanged(
                FileAction(Action.IDENTICAL, path, text, text), members, found.name, method
            )
        folded = [item for item in node.body if found.event.name in _folds(item)]
        if folded or found.fold in members:
            there = getattr(folded[0], "name", "") if folded else found.fold
            raise WrongUsage(
                f"{root.name} has a method {there!r} already: another command of it applies "
                f"{found.event.name}",
                hint="give each event to one command, with --event, or write this one by hand",
            )
        _insert(edit, node, method, fold)
        edit.need(wanted, project.package)
        made = edit.text()
    except NotSure as error:
        raise NotSure(path, error.reason, lines) from error
    return FileAction(Action.EDIT, path, made, text)


def _insert(edit: ModuleEdit, node: ast.ClassDef, method: str, fold: str) -> None:
    """Put a command behind the other ones, and its fold behind the other folds."""
    body = node.body
    if len(body) == 1 and (isinstance(body[0], ast.Pass) or _is_ellipsis(body[0])):
        if not edit.stands_alone(body[0]):
            raise NotSure(edit.path, f"the class {node.name} is laid out by hand")
        edit.replace(body[0].lineno, body[0].end_lineno or 0, f"{method}\n\n{fold}")
        return
    if not edit.stands_alone(body[-1]):
        raise NotSure(edit.path, f"the end of the class {node.name} is laid out by hand")
    folds = [i for i, item in enumerate(body) if _is_fold(item)]
    at = folds[0] if folds else len(body)
    if at:
        edit.insert_after(body[at - 1].end_lineno or 0, f"\n{method}")
    else:
        fold_node = body[0]
        assert isinstance(fold_node, _FUNCTIONS)  # since it is the first of the folds
        edit.insert_after(first_line(fold_node) - 1, f"{method}\n")
    edit.insert_after(body[-1].end_lineno or 0, f"\n{fold}")


def _is_ellipsis(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and node.value.value is ...
    )


def _is_fold(node: ast.stmt) -> bool:
    return bool(_folds(node))


def _folds(node: ast.stmt) -> list[str]:
    """Return the names of the event types that a method is an ``@on`` of."""
    if not isinstance(node, _FUNCTIONS):
        return []
    calls = [item for item in node.decorator_list if isinstance(item, ast.Call) and item.args]
    return [
        ast.unparse(item.args[0]).rpartition(".")[2]
        for item in calls
        if ast.unparse(item.func).rpartition(".")[2] == "on"
    ]


def _members(node: ast.ClassDef) -> dict[str, ast.stmt]:
    """Return what a class's body gives a name to."""
    found: dict[str, ast.stmt] = {}
    for item in node.body:
        if isinstance(item, _FUNCTIONS):
            found[item.name] = item
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            found[item.target.id] = item
        elif isinstance(item, ast.Assign):
            found |= {t.id: item for t in item.targets if isinstance(t, ast.Name)}
    return found


def _unchanged(
    as_it_is: FileAction, members: dict[str, ast.stmt], name: str, method: str
) -> FileAction:
    """Return that the class has the command already, if it is the very same.

    Raises:
        WrongUsage: It is another one.
    """
    there = members[name]
    made = ast.parse(f"class _:\n{method}\n").body[0]
    assert isinstance(made, ast.ClassDef)
    if ast.dump(there) == ast.dump(made.body[0]):
        return as_it_is
    kind = "method" if isinstance(there, _FUNCTIONS) else "field"
    raise WrongUsage(
        f"the class has a {kind} {name!r} already, in {as_it_is.path}:{there.lineno}",
        hint="take another name, or change that one by hand",
    )


def _edit_test(project: Project, root: DeclaredClass, test: Function) -> FileAction:
    path = f"tests/aggregates/test_{snake(root.name)}.py"
    text = read_text(project.root, path)
    imports = project.imports(*test.imports)
    if text is None:
        docstring = f'"""The rules of the aggregate root {root.name}."""'
        return FileAction(Action.CREATE, path, f"{docstring}\n\n{imports}\n\n\n{test.text}\n")
    try:
        edit = ModuleEdit(path, text)
        if test.name in edit.functions():
            return FileAction(Action.IDENTICAL, path, text, text)
        edit.append(test.text)
        edit.need(test.imports, project.package)
        return FileAction(Action.EDIT, path, edit.text(), text)
    except NotSure as error:
        pasted = [*imports.split("\n"), "", *test.text.split("\n")]
        raise NotSure(path, error.reason, pasted) from error
