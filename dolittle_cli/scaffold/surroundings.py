"""Plans what stands around a microservice's code: routes of its own, containers, CI."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.plan import Action, FileAction, Plan, read_text
from dolittle_cli.scaffold.project import Project

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
