"""Renders a template of somebody else's with copier, for ``new microservice --template``."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dolittle_cli.errors import CommandLineError, WrongUsage

CONFIGURATIONS: Final = ("copier.yml", "copier.yaml")
_LEFT_OUT: Final = frozenset({".git", ".hg", "__pycache__"})
"""Folders that a template's tasks may make and that are nothing of the project's text."""


class UntrustedTemplate(CommandLineError):
    """A template wants to run code, and was not trusted.

    Attributes:
        template: As it was named.
        wants: What it wants, as copier says it.
    """

    code = "untrusted-template"

    def __init__(self, template: str, wants: str) -> None:
        self.template, self.wants = template, wants
        super().__init__(
            f"the template {template} wants to run code: {wants}; nothing was run or written",
            hint="look at it first; if you trust it, say --trust, "
            "or let copier's own settings trust it",
        )


@dataclass(frozen=True)
class Foreign:
    """A template of somebody else's.

    Attributes:
        source: A folder, or what copier takes for a git repository.
        data: Answers to its questions, besides those about every microservice.
        trust: Whether it may run code: tasks, migrations, extensions.
        asks: Whether a person can be asked its other questions.
    """

    source: str
    data: Mapping[str, str]
    trust: bool
    asks: bool

    @property
    def name(self) -> str:
        """What is remembered of where it is: no folder of this machine."""
        return Path(self.source).name if Path(self.source).is_dir() else self.source


def render_foreign(template: Foreign, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that a template makes, by path; it is rendered in a temporary folder.

    Args:
        template: Which one.
        values: What every microservice's template is told: ``name``, ``package`` …

    Raises:
        WrongUsage: There is no such template, or an answer to one of its questions is missing.
        UntrustedTemplate: It wants to run code.
        CommandLineError: It cannot be rendered, or makes what is no text.
    """
    _check_source(template.source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import copier
        from copier.errors import CopierError, UnsafeTemplateError

        with tempfile.TemporaryDirectory(prefix="dolittle-") as temporary:
            target = Path(temporary) / "project"
            try:
                copier.run_copy(
                    template.source,
                    target,
                    data={**values, **template.data},
                    defaults=not template.asks,
                    quiet=True,
                    unsafe=template.trust,
                )
            except UnsafeTemplateError as error:
                raise UntrustedTemplate(template.source, _wants(str(error))) from error
            except CopierError as error:
                raise _failed(template.source, error) from error
            except ValueError as error:
                # copier says so of a question without a default that nobody can be asked.
                raise WrongUsage(
                    f"the template {template.source}: {_line(error)}",
                    hint="answer with --data NAME=VALUE, or type this on a terminal",
                ) from error
            except Exception as error:  # whatever git, or a template's own code, raises
                raise _failed(template.source, error) from error
            return _texts(target)


def _check_source(source: str) -> None:
    path = Path(source)
    if path.exists() or not _is_git(source):
        if not path.exists():
            raise WrongUsage(
                f"--template {source}: there is no such folder, and it names no git repository",
                hint="give a folder with a copier.yml in it, or e.g. https://…/x.git or gh:owner/x",
            )
        is_repository = (path / ".git").exists()
        if not path.is_dir() or not (
            is_repository or any((path / name).is_file() for name in CONFIGURATIONS)
        ):
            raise WrongUsage(
                f"--template {source}: this is no template: there is no copier.yml in it",
                hint="a template is a folder that copier can render, see its documentation",
            )


def _is_git(source: str) -> bool:
    return "://" in source or source.startswith(("git+", "git@", "gh:", "gl:"))


def _texts(folder: Path) -> dict[str, str]:
    texts = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or _LEFT_OUT & set(relative.parts):
            continue
        try:
            texts[relative.as_posix()] = path.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise CommandLineError(
                f"the template makes {relative}, which is no text; nothing was written",
                hint="use the template with copier itself: copier copy",
            ) from error
    if not texts:
        raise CommandLineError("the template makes no file at all; nothing was written")
    return texts


def _failed(source: str, error: Exception) -> CommandLineError:
    return CommandLineError(
        f"the template {source} cannot be rendered: {_line(error)}",
        hint="try it with copier itself: copier copy",
    )


def _wants(text: str) -> str:
    """Return what copier says that a template uses, without its own advice."""
    return " ".join(text.partition("Template uses potentially unsafe feature")[2].split()) or text


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
