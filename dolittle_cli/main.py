"""Mounts the commands, each imported when it is used; maps errors to messages and exit codes."""

from __future__ import annotations

import copy
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

from dolittle_cli.completion import completion_script, current_shell, install_completion, prepare
from dolittle_cli.console import Console
from dolittle_cli.handover import COMPLETING
from dolittle_cli.parameters import quicken_help, take_words

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
"""128 + SIGINT. Source: the shell's convention, POSIX.1-2017 Shell Command Language, 2.8.2."""


class Mount(NamedTuple):
    """Where a command is, and what the list of commands says about it.

    Attributes:
        module: Exposes ``app`` (a ``typer.Typer``: a group) or a function of the command's name.
        help: The first line of the command's own help, so that nothing is imported to show it.
    """

    module: str
    help: str


COMMANDS: Final[dict[str, Mount]] = {
    "new": Mount("dolittle_cli.commands.new", "Make a new microservice or application."),
    "add": Mount("dolittle_cli.commands.add", "Add a thing to a microservice."),
    "remove": Mount("dolittle_cli.commands.remove", "Remove a thing that was added."),
    "rename": Mount("dolittle_cli.commands.rename", "Rename a thing and every reference to it."),
    "update": Mount("dolittle_cli.commands.update", "Move a project to this version's templates."),
    "templates": Mount(
        "dolittle_cli.commands.templates", "See the templates, or take one over to change it."
    ),
    "undo": Mount("dolittle_cli.commands.undo", "Take back a command that changed the project."),
    "run": Mount("dolittle_cli.commands.run", "Run a microservice, or all of an application."),
    "ps": Mount(
        "dolittle_cli.commands.ps",
        "Show which microservices run: their processes, addresses and logs.",
    ),
    "logs": Mount(
        "dolittle_cli.commands.logs", "Show the logs of dolittle run, also of runs that have ended."
    ),
    "restart": Mount(
        "dolittle_cli.commands.restart",
        "Restart a microservice that dolittle run keeps running; the others go on.",
    ),
    "perform": Mount("dolittle_cli.commands.perform", "Perform a command on an aggregate."),
    "events": Mount(
        "dolittle_cli.commands.events", "See, trace, export, record, append and replay events."
    ),
    "types": Mount("dolittle_cli.commands.types", "See the event types."),
    "aggregates": Mount("dolittle_cli.commands.aggregates", "See the aggregates."),
    "handlers": Mount("dolittle_cli.commands.handlers", "See the event handlers; retry or skip."),
    "projections": Mount(
        "dolittle_cli.commands.projections", "See the projections; retry or skip."
    ),
    "explain": Mount(
        "dolittle_cli.commands.explain", "Say who gets an event, and why others do not."
    ),
    "graph": Mount(
        "dolittle_cli.commands.graph",
        "Draw what leads to what: commands, aggregates, events, handlers, projections.",
    ),
    "check": Mount(
        "dolittle_cli.commands.check",
        "Check names, folds, commands, upcasters and schemas; the exit code is 1 with an error.",
    ),
    "doctor": Mount("dolittle_cli.commands.doctor", "Check what a microservice needs to run."),
}


class QuickGroup(TyperGroup):
    """A group of commands that is completed without loading pydantic (60 ms)."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return ``--help`` with a default that typer need not convert, as its own is."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


class LazyGroup(QuickGroup):
    """The group of all commands; a command's module is imported when the command is used."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, mount in COMMANDS.items():
            self.commands[name] = self._placeholder(name, mount.help)

    @staticmethod
    def _placeholder(name: str, help: str) -> Any:
        stand_in = typer.Typer(add_completion=False, rich_markup_mode=None)
        stand_in.command(name, help=help)(lambda: None)
        return typer.main.get_command(stand_in)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is used, imported; refuse an unknown one with a suggestion."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, load(name, rest) if name and found else None, rest


def load(name: str, words: Sequence[str] = ()) -> Any:
    """Import a command of ``COMMANDS`` and return it, ready to be invoked.

    Args:
        name: Of the command.
        words: What is typed behind it; of a group, only the command that is used is made then.
    """
    module = importlib.import_module(COMMANDS[name].module)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(getattr(module, name))
        command = typer.main.get_command(app)
    else:
        app.info.cls = QuickGroup
        command = typer.main.get_group(_narrowed(app, words))
    command.name = name
    return _plain(command)


def _narrowed(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Return a group with nothing but the command that is used: making all of them takes time."""
    used = [
        item
        for item in app.registered_commands
        if item.callback and words[:1] == [item.name or item.callback.__name__.replace("_", "-")]
    ]
    if not used:
        return app
    narrowed = copy.copy(app)
    narrowed.registered_commands = used
    return narrowed


def _plain(command: Any) -> Any:
    """Show help as plain text: the painted one costs as much again as all of the start.

    And take words as they are, where they need no converter.
    """
    command.rich_markup_mode = None
    for parameter in command.params:
        take_words(parameter)
    quicken_help(command)
    for child in getattr(command, "commands", {}).values():
        _plain(child)
    return command


def build() -> Any:
    """Return the whole command line."""
    app = typer.Typer(
        name="dolittle",
        cls=LazyGroup,
        rich_markup_mode=None,
        add_completion=False,  # typer's own options load pydantic at every start
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def dolittle(  # the values are read from the context, where errors are told too
        debug: Annotated[
            bool, typer.Option("--debug", help="Show where errors come from.")
        ] = False,
        version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
        install_completion: Annotated[
            bool, typer.Option("--install-completion", help="Install completion for this shell.")
        ] = False,
        show_completion: Annotated[
            bool, typer.Option("--show-completion", help="Show the completion script.")
        ] = False,
    ) -> None:
        """Build, run and look into event-driven microservices.

        Data goes to stdout, everything else to stderr.
        Exit codes: 0 done, 1 failed, 2 wrong usage or "would change", 3 conflicts left,
        130 interrupted.
        """

    return typer.main.get_command(app)


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The words after ``dolittle``; ``None`` takes those of the process.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage or "would change", 3 conflicts left,
        130 interrupted. A closed pipe is 0: the reader has what it wanted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = build()
    debug = False
    try:
        _check_text(words)
        if os.environ.get(COMPLETING):
            prepare()
            command.main(args=[], prog_name="dolittle", standalone_mode=False)
        with command.make_context("dolittle", words) as top:
            debug = top.params["debug"]
            if not _answer(top.params):
                command.invoke(top)
        return 0
    except typer.Exit as end:
        return int(end.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - the edge of the program: everything is told here
        return _tell(error, debug)


def _answer(options: dict[str, Any]) -> bool:
    """Do what an option of ``dolittle`` itself asks for; tell whether one did."""
    if options["version"]:
        from importlib.metadata import version

        Console().data(f"dolittle {version('dolittle-cli')}")
    elif options["show_completion"]:
        Console().data(completion_script(current_shell()))
    elif options["install_completion"]:
        shell = current_shell()
        path = install_completion(shell)
        Console().note(f"completion for {shell} is in {path}; it works in new shells")
    else:
        return False
    return True


def _check_text(words: list[str]) -> None:
    """Refuse what is no UTF-8: it could be neither stored nor shown.

    Raises:
        WrongUsage: A word is none.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            from dolittle_cli.errors import WrongUsage

            raise WrongUsage(f"{word!a} is not UTF-8") from error


def _tell(error: Exception, debug: bool) -> int:
    """Write an error for people; return the exit code."""
    from dolittle.errors import DolittleError
    from dolittle_cli.errors import CommandLineError

    console = Console()
    if _is_usage_error(error):
        return _tell_usage(console, error)
    if debug:
        console.note("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, DolittleError):
        console.error(str(error), error.hint)
        return error.exit_code if isinstance(error, CommandLineError) else EXIT_FAILED
    where = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    hint = "" if debug else "repeat with `dolittle --debug …` to see where it comes from"
    console.error(" ".join(where.split()), hint)
    return EXIT_FAILED


# typer carries its own copy of click since 0.26 or so; both have these classes above BadParameter.
_USAGE_ERROR, _CLICK_EXCEPTION = typer.BadParameter.__mro__[1:3]


def _is_usage_error(error: Exception) -> bool:
    return isinstance(error, _CLICK_EXCEPTION)


def _tell_usage(console: Console, error: Any) -> int:
    """Write what was wrong with the words that were typed."""
    context = getattr(error, "ctx", None)
    if context is not None and _wants_a_command(error):
        console.note(context.get_help())
        return EXIT_USAGE
    message, _, suggestion = error.format_message().rstrip(".?").partition(". Did you mean ")
    near = getattr(error, "possibilities", None)
    if near:
        message = error.message.rstrip(".")
        suggestion = sorted(near)[0]
    path = context.command_path if context is not None else "dolittle"
    hint = f"did you mean {suggestion.strip(chr(39))}?" if suggestion else f"see {path} --help"
    console.error(message[:1].lower() + message[1:], hint)
    return EXIT_USAGE


def _wants_a_command(error: Any) -> bool:
    """Tell whether a group was named without saying which of its commands."""
    is_bare = type(error).__name__ == "NoArgsIsHelpError"
    return is_bare or error.format_message().startswith("Missing command")
