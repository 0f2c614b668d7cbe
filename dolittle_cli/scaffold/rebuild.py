"""Finds the text again that a damaged record has lost: on disk, or by generating it once more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dolittle.errors import DolittleError
from dolittle_cli.scaffold.plan import read_text
from dolittle_cli.scaffold.request import PROJECTS, Request, plan_once


def rebuilt(root: Path, path: str, made: Request | None, is_it: Mapping[str, str]) -> str | None:
    """Return the text that a template once made for a file; ``None``: it is lost.

    Args:
        root: The project's folder.
        path: The file.
        made: What the file belongs to, as its record says; ``None``: it does not say.
        is_it: The digests of what is looked for, by path.
    """
    from dolittle_cli.scaffold.record import digest_of

    for text in (_on_disk(root, path), _generated(root, path, made)):
        if text is not None and digest_of(text) == is_it[path]:
            return text
    return None


def _on_disk(root: Path, path: str) -> str | None:
    try:
        return read_text(root, path)
    except DolittleError:
        return None  # what cannot be read is not what is looked for


def _generated(root: Path, path: str, made: Request | None) -> str | None:
    if made is None:
        return None
    try:
        if made.kind in PROJECTS:
            from dolittle_cli.scaffold.microservice import plan_project_again

            plan = plan_project_again(root, made)
        else:
            from dolittle_cli.scaffold.project import open_project

            plan = plan_once(open_project(root), made)
    except DolittleError:
        return None  # it can no longer be generated
    texts = {item.path: item.generated.text for item in plan.files if item.generated is not None}
    return texts.get(path)
