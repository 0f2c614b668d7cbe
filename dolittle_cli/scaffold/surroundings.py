"""Plans what stands around a microservice's code: routes of its own, containers, CI."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.manifest import Manifest
from dolittle_cli.scaffold.plan import Action, FileAction, Kept, Plan, read_text
from dolittle_cli.scaffold.project import Project
from dolittle_cli.scaffold.references import imported_modules

API_NEEDS: Final = "fastapi>=0.115"
API_TEST_NEEDS: Final = "httpx>=0.28"
_PYPROJECT: Final = "pyproject.toml"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def plan_api(project: Project) -> Plan:
    """Plan a FastAPI application of the microservice's own, and what the project needs for it.

    Raises:
        CommandLineError: A file cannot be read, or ``pyproject.toml`` cannot be used.
    """
    base = project.source.folder.relative_to(project.root).as_posix()
    values = _values(project)
    plan = project.plan_rendered(
        {
            f"{base}/api.py": ("api/api.py.jinja", values),
            "tests/test_api.py": ("api/test.py.jinja", values),
        }
    )
    files = sorted([*plan.files, _with_needs(project)], key=lambda item: item.path)
    return replace(plan, files=tuple(files))


def plan_compose(project: Project) -> Plan:
    """Plan a compose file, and what it builds from, where that is missing.

    Raises:
        CommandLineError: A file or a template cannot be read.
    """
    values = _values(project)
    rendered = {"compose.yaml": ("compose/compose.yaml.jinja", values)}
    for path, template in (
        ("Dockerfile", "microservice/Dockerfile.jinja"),
        (".dockerignore", "microservice/.dockerignore"),
    ):
        if not (project.root / path).exists():
            rendered[path] = (template, values)
    return project.plan_rendered(rendered)


def plan_ci(project: Project) -> Plan:
    """Plan a workflow that lints, checks types and runs the tests, as GitHub Actions reads it.

    Raises:
        CommandLineError: A file or a template cannot be read.
    """
    template = ("ci/checks.yml.jinja", _values(project))
    return project.plan_rendered({".github/workflows/checks.yml": template})


def _values(project: Project) -> dict[str, Any]:
    return {"name": project.name, "package": project.package}


def without_needs(
    project: Project, manifest: Manifest, deleted: Collection[str]
) -> tuple[list[FileAction], list[Kept]]:
    """Return ``pyproject.toml`` without what ``add api`` put there, and what stays in it.

    What was there before, what its owner has changed since and what another file imports stays.

    Args:
        project: What the application is removed from.
        manifest: What is remembered.
        deleted: The files that go with it.

    Raises:
        CommandLineError: ``pyproject.toml`` cannot be read.
    """
    made = next((r for r in reversed(manifest.records) if r.things.get("api") is not None), None)
    file = made.files.get(_PYPROJECT) if made else None
    found = read_text(project.root, _PYPROJECT)
    if file is None or found is None or file.before is None or file.after is None:
        return [], []
    added = _requirements(file.after) - _requirements(file.before)
    modules = imported_modules(project.root, deleted)
    kept: list[Kept] = []
    there = _requirements(found)
    for gone in sorted(added - there):
        changed = [item for item in there if _name(item) == _name(gone)]
        kept += [Kept(_PYPROJECT, f"keeps {item}: you have changed it") for item in changed]
    for wanted in sorted(added & there):
        user = next((r for name, r in sorted(modules.items()) if _is_of(name, wanted)), None)
        if user is not None:
            kept.append(Kept(_PYPROJECT, f"keeps {wanted}: {user} imports it"))
            added = added - {wanted}
    if found == file.after and not kept:
        return [FileAction(Action.EDIT, _PYPROJECT, file.before, found)], []
    text = _dropped(found, added)
    return ([FileAction(Action.EDIT, _PYPROJECT, text, found)] if text != found else []), kept


def _is_of(module: str, requirement: str) -> bool:
    """Tell whether who imports a module needs a requirement."""
    if requirement == API_TEST_NEEDS and module.endswith(".testclient"):
        return True
    return module.partition(".")[0] == _name(requirement)


def _lists(document: Any) -> list[Any]:
    """Return the lists of requirements of a ``pyproject.toml`` that ``add api`` adds to."""
    groups = document.get("dependency-groups", {}).get("dev")
    lists = [document.get("project", {}).get("dependencies"), groups]
    return [found for found in lists if isinstance(found, list)]


def _requirements(text: str) -> set[str]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return set()
    return {item for found in _lists(document) for item in found if isinstance(item, str)}


def _dropped(text: str, requirements: Collection[str]) -> str:
    """Return a ``pyproject.toml`` without some requirements; its comments and layout stay."""
    import tomlkit

    if not _requirements(text) & set(requirements):
        return text
    document = tomlkit.parse(text)
    for found in _lists(document):
        for item in [item for item in found if item in requirements]:
            found.remove(item)
    return tomlkit.dumps(document)


def _with_needs(project: Project) -> FileAction:
    """Return ``pyproject.toml`` with what the application and its test need."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    before = read_text(project.root, _PYPROJECT)
    if before is None:
        raise CommandLineError(
            f"there is no {_PYPROJECT} in {project.root}",
            hint=f"make one, with a [project] that depends on {API_NEEDS}",
        )
    try:
        document = tomlkit.parse(before)
    except TOMLKitError as error:
        raise CommandLineError(f"{_PYPROJECT}: {error}", hint="mend it first") from error
    table: Any = document.get("project")
    if not isinstance(table, dict):
        raise CommandLineError(
            f"{_PYPROJECT} has no [project]", hint=f"add one that depends on {API_NEEDS}"
        )
    _add(table.setdefault("dependencies", tomlkit.array()), API_NEEDS)
    groups: Any = document.get("dependency-groups")
    if isinstance(groups, dict) and "dev" in groups:
        _add(groups["dev"], API_TEST_NEEDS)
    text = tomlkit.dumps(document)
    action = Action.IDENTICAL if text == before else Action.EDIT
    return FileAction(action, _PYPROJECT, text, before)


def _add(requirements: Any, wanted: str) -> None:
    """Add a requirement, unless one of that name is there."""
    name = _name(wanted)
    if name not in [_name(item) for item in requirements if isinstance(item, str)]:
        requirements.append(wanted)


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""
