"""Plans a new microservice, or a new application for several of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from dolittle.errors import ProjectNotFound
from dolittle.runtime.configuration import find_project, is_application
from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.foreign import Foreign, render_foreign
from dolittle_cli.scaffold.manifest import read_manifest
from dolittle_cli.scaffold.names import check_service_name, package_of
from dolittle_cli.scaffold.plan import Plan, plan_files
from dolittle_cli.scaffold.record import check_path
from dolittle_cli.scaffold.render import render, render_project, template_digest
from dolittle_cli.scaffold.request import PROJECTS, Request


def plan_microservice(name: str, into: Path, *, example: str = "") -> Plan:
    """Plan a microservice's folder.

    Args:
        name: Like ``order-desk``; the folder is called so.
        into: The folder to put it in; it need not exist.
        example: ``kitchen``: begin with the kitchen of the tutorial. Empty: with nothing.

    Raises:
        WrongUsage: The name cannot be used, the folder exists with something else in it, or
            ``into`` is inside a microservice or below an application's own folder.
        ConfigurationError: The ``dolittle.toml`` of a folder above cannot be used.
    """
    check_service_name("microservice", name)
    package_of(name)
    _check_place(into, name)
    texts = microservice_texts(name, example=example)
    return _plan(into, name, texts, dict.fromkeys(texts, _template_of_microservice()))


def plan_foreign(name: str, into: Path, template: Foreign) -> Plan:
    """Plan a microservice's folder from a template of somebody else's.

    Args:
        name: Like ``order-desk``; the folder is called so.
        into: The folder to put it in; it need not exist.
        template: Which one, and what it may do.

    Raises:
        WrongUsage: The name or the place cannot be used, or there is no such template.
        CommandLineError: The template cannot be rendered, or is not trusted.
    """
    check_service_name("microservice", name)
    package_of(name)
    _check_place(into, name)
    texts = render_foreign(template, _values(name, example=""))
    for path in texts:
        check_path(path)
    digests = dict.fromkeys(texts, (template.name, ""))
    return _plan(into, name, texts, digests)


def plan_project_again(root: Path, made: Request) -> Plan:
    """Plan what would be generated today for a project that is there.

    Args:
        root: The project's folder, whatever it is called now.
        made: What it was made by.

    Raises:
        CommandLineError: A file or a template cannot be read.
    """
    if made.kind == "application":
        texts, templates = _application_texts(made.name)
    else:
        texts = microservice_texts(made.name, example=made.text("example"))
        templates = dict.fromkeys(texts, _template_of_microservice())
    return plan_files(root, texts, templates=templates)


def microservice_texts(name: str, *, example: str) -> Mapping[str, str]:
    """Return the texts of a new microservice, by path below its folder."""
    return render_project("microservice", _values(name, example=example))


def _values(name: str, *, example: str) -> dict[str, str]:
    """Return what the template of a microservice is told."""
    found = re.match(r"\d+(\.\d+)*", version("dolittle-cli"))
    return {
        "name": name,
        "package": name.replace("-", "_"),
        "example": example,
        "dolittle_version": found[0] if found else "0.1",
    }


def _template_of_microservice() -> tuple[str, str]:
    return "microservice", template_digest("microservice")


def plan_application(name: str, into: Path) -> Plan:
    """Plan an application's folder; its microservices are added to it later.

    Raises:
        WrongUsage: The name cannot be used, the folder exists with something else in it, or
            ``into`` is inside a project.
        ConfigurationError: The ``dolittle.toml`` of a folder above cannot be used.
    """
    check_service_name("application", name)
    above = _project_above(into)
    if above is not None:
        raise WrongUsage(
            f"{into} is inside the project {above}",
            hint="an application holds microservices, and nothing holds an application: "
            "choose another folder with --into",
        )
    return _plan(into, name, *_application_texts(name))


def _application_texts(name: str) -> tuple[Mapping[str, str], Mapping[str, tuple[str, str]]]:
    """Return an application's texts, and their templates with digests, by path."""
    templates = {
        "dolittle.toml": "application/dolittle.toml.jinja",
        "README.md": "application/README.md.jinja",
        ".gitignore": "application/gitignore.jinja",
    }
    texts = {path: render(template, {"name": name}) for path, template in templates.items()}
    digests = {path: (template, template_digest(template)) for path, template in templates.items()}
    return texts, digests


def _check_place(into: Path, name: str) -> None:
    above = _project_above(into)
    if above is None:
        return
    if not is_application(above):
        raise WrongUsage(
            f"{into} is inside the microservice {above}",
            hint="go out of it first, or choose another folder with --into",
        )
    if above != into.resolve():
        raise WrongUsage(
            f"a microservice of the application {above} stands directly in its folder",
            hint=f"dolittle new microservice {name} --into {above}",
        )


def _project_above(into: Path) -> Path | None:
    try:
        return find_project(into)
    except ProjectNotFound:
        return None


def _plan(
    into: Path, name: str, texts: Mapping[str, str], templates: Mapping[str, tuple[str, str]]
) -> Plan:
    """Plan a new folder; one that is there is empty, has all of it already, or was made so."""
    if into.exists() and not into.is_dir():
        raise WrongUsage(f"--into {into}: this is no folder", hint="name a folder")
    root = into / name
    namesakes = [path.name for path in into.iterdir()] if into.is_dir() else []
    for found in namesakes:
        if found != name and found.lower() == name.lower():
            raise WrongUsage(
                f"{into / found} exists, and its name differs only in upper and lower case",
                hint="take another name",
            )
    if root.exists() and not root.is_dir():
        raise WrongUsage(f"{root} exists, and is no folder", hint="take another name")
    is_free = not root.exists() or not any(root.iterdir())
    if not is_free and not _is_the_same(root, name, texts):
        raise WrongUsage(
            f"the folder {root} exists already; nothing was written",
            hint="take another name, or another place with --into DIR",
        )
    return plan_files(root, texts, title=name, templates=templates)


def _is_the_same(root: Path, name: str, texts: Mapping[str, str]) -> bool:
    """Tell whether a folder has all of the texts, or remembers that it was made so."""
    if all(_has(root / path, text) for path, text in texts.items()):
        return True
    things = read_manifest(root).things()
    return any(f"{kind} {name}" in things for kind in PROJECTS)


def _has(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()
