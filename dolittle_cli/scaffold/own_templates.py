"""The templates of each kind, shipped and a project's own: lists them, and plans to eject them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from dolittle.errors import suggest
from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.manifest import Manifest
from dolittle_cli.scaffold.plan import Plan, plan_files
from dolittle_cli.scaffold.render import (
    OWN_TEMPLATES,
    template_digest,
    template_text,
    templates_folder,
)
from dolittle_cli.scaffold.request import PROJECTS, TEMPLATES

Status = Literal["shipped", "own", "stale"]


@dataclass(frozen=True)
class TemplateStatus:
    """One template, and whose it is.

    Attributes:
        name: ``event/event.py.jinja``.
        status: ``own``: the project has its own one, which wins. ``stale``: the shipped one has
            changed since the project's own one was made of it.
    """

    name: str
    status: Status


def kinds() -> list[str]:
    """Return the kinds that have templates which a project can have of its own."""
    folders = (path for path in templates_folder().iterdir() if path.is_dir())
    return sorted(path.name for path in folders if path.name not in PROJECTS)


def statuses(root: Path | None, manifest: Manifest, kind: str) -> list[TemplateStatus]:
    """Return the templates of a kind, sorted.

    Args:
        root: The project's folder; ``None``: outside of one.
        manifest: What is remembered there.
        kind: ``event`` …
    """
    known = manifest.thing(f"{TEMPLATES} {kind}")
    found = []
    for name in _shipped(kind):
        path = f"{OWN_TEMPLATES}/{name}"
        status: Status = "shipped"
        if root is not None and (root / path).is_file():
            status = "own"
            if known is not None and path in known.files:
                is_same = known.files[path].base == template_text(name)
                status = "own" if is_same else "stale"
        found.append(TemplateStatus(name, status))
    return found


def stale(root: Path, manifest: Manifest, kind: str) -> list[str]:
    """Return the project's own templates of a kind that are older than the shipped ones."""
    return [item.name for item in statuses(root, manifest, kind) if item.status == "stale"]


def plan_eject(root: Path, kind: str) -> Plan:
    """Plan to copy the shipped templates of a kind into a project, where they win.

    Raises:
        WrongUsage: There is no such kind, or a project cannot have templates of it.
        CommandLineError: A file cannot be read.
    """
    if kind in PROJECTS:
        raise WrongUsage(
            f"a {kind} is made before there is a project to hold templates",
            hint="make a copier template of your own: dolittle new microservice NAME --template",
        )
    if kind not in kinds():
        raise WrongUsage(f"there is no kind {kind!r}", hint=suggest(kind, kinds()))
    names = _shipped(kind)
    return plan_files(
        root,
        {f"{OWN_TEMPLATES}/{name}": template_text(name) for name in names},
        templates={f"{OWN_TEMPLATES}/{name}": (name, template_digest(name)) for name in names},
    )


def _shipped(kind: str) -> list[str]:
    folder: Final = templates_folder()
    return sorted(
        path.relative_to(folder).as_posix()
        for path in (folder / kind).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
