"""Renders templates; copier renders a whole project and is imported only for that."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dolittle_cli
from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.layout import assignment, call, definition, statement


def templates_folder() -> Path:
    """Return the folder of all templates: in an installed package, or in a checkout.

    Raises:
        CommandLineError: There is none; the installation is broken.
    """
    package = Path(dolittle_cli.__file__).parent
    for folder in (package / "_templates", package.parent / "templates"):
        if folder.is_dir():
            return folder
    raise CommandLineError(
        f"the templates are missing: neither {package / '_templates'} nor "
        f"{package.parent / 'templates'} is there",
        hint="install dolittle-cli again",
    )


def render(template: str, values: Mapping[str, Any]) -> str:
    """Render one template, e.g. ``event/event.py.jinja``; a value that is missing is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        assignment=assignment, call=call, definition=definition, statement=statement
    )
    return environment.get_template(template).render(values)


def render_project(template: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Render a project's template with copier; return the texts of its files by path.

    Tasks, migrations and extensions of the template are not run, and nothing is asked.

    Raises:
        CommandLineError: There is no temporary folder to write to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import copier
    # Nothing of a person's own settings for copier may change what is generated.
    settings = copier.Settings() if hasattr(copier, "Settings") else copier.settings.Settings()
    try:
        with tempfile.TemporaryDirectory(prefix="dolittle-") as temporary:
            target = Path(temporary) / "project"
            copier.run_copy(
                str(templates_folder() / template),
                target,
                data=dict(values),
                defaults=True,
                quiet=True,
                unsafe=False,
                skip_tasks=True,
                settings=settings,
            )
            return {
                path.relative_to(target).as_posix(): path.read_bytes().decode()
                for path in sorted(target.rglob("*"))
                if path.is_file()
            }
    except OSError as error:
        raise CommandLineError(
            f"cannot write to the temporary folder: {(error.strerror or str(error)).lower()}",
            hint="free some space, or name another folder in TMPDIR",
        ) from error
