"""Renders templates; copier renders a whole project and is imported only for that."""

from __future__ import annotations

import functools
import hashlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dolittle_cli
from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.layout import assignment, call, definition, statement

if TYPE_CHECKING:
    import jinja2

OWN_TEMPLATES: Final = "dolittle-templates"
"""The folder of a project's own templates; what is there wins over what is shipped."""

DIGEST_CHARACTERS: Final = 16
"""Of a template's digest: enough to tell its versions apart."""

COMPILED_MAX: Final = 64
"""Of the templates that are kept compiled: more than are shipped."""

ENVIRONMENTS_MAX: Final = 4
"""Of the sets of folders whose templates are kept compiled; a command needs one or two."""


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


def template_text(template: str, project: Path | None = None) -> str:
    """Return a template's text: the project's own one where it has one, else the shipped one.

    Args:
        template: E.g. ``event/event.py.jinja``.
        project: The project's folder; ``None``: the shipped one.

    Raises:
        CommandLineError: It cannot be read.
    """
    own = project / OWN_TEMPLATES / template if project else None
    path = own if own is not None and own.is_file() else templates_folder() / template
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandLineError(
            f"the template {path} cannot be read",
            hint="mend it, or delete it to use the shipped one",
        ) from error


def template_digest(template: str, project: Path | None = None) -> str:
    """Return a short digest of a template's text; of a folder, that of all its files."""
    folder = templates_folder() / template
    if folder.is_dir():
        # An installer may compile what looks like Python; that is no text of the template.
        paths = sorted(
            path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )
        parts = [f"{path.relative_to(folder)}\0{path.read_text()}" for path in paths]
        text = "\0".join(parts)
    else:
        text = template_text(template, project)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]


def render(template: str, values: Mapping[str, Any], project: Path | None = None) -> str:
    """Render one template, e.g. ``event/event.py.jinja``; a value that is missing is an error.

    Args:
        template: Which one.
        values: What it is given.
        project: A folder whose own template wins.

    Raises:
        CommandLineError: The project's own template cannot be read, or not be rendered.
    """
    import jinja2

    text = template_text(template, project)
    own = [project / OWN_TEMPLATES] if project else []
    folders = tuple(folder for folder in (*own, templates_folder()) if folder.is_dir())
    try:
        return _compiled(text, folders).render(values)
    except jinja2.TemplateError as error:
        if text == template_text(template):
            raise  # a shipped one: a bug of ours
        line = getattr(error, "lineno", None)
        place = f"{OWN_TEMPLATES}/{template}" + (f":{line}" if line else "")
        raise CommandLineError(
            f"{place}: {error.message}",
            hint="mend the template, or delete it to use the shipped one",
        ) from error


@functools.lru_cache(maxsize=COMPILED_MAX)
def _compiled(text: str, folders: tuple[Path, ...]) -> jinja2.Template:
    """Return a template compiled; a renaming or an update renders one for many things.

    Raises:
        jinja2.TemplateError: It is none.
    """
    return _environment(folders).from_string(text)


@functools.lru_cache(maxsize=ENVIRONMENTS_MAX)
def _environment(folders: tuple[Path, ...]) -> jinja2.Environment:
    """Return what templates are compiled in; it notices when one that is included changes."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        assignment=assignment, call=call, definition=definition, statement=statement
    )
    return environment


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
        with _without_git(), tempfile.TemporaryDirectory(prefix="dolittle-") as temporary:
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


@contextmanager
def _without_git() -> Iterator[None]:
    """Let copier find no git: it would be started for each file, which is in no repository.

    copier runs programs through plumbum, which has an environment of its own for that.
    """
    from plumbum import local

    with local.env(PATH=""):
        yield
