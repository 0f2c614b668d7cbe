"""The console script: answers ``--version`` at once, hands over to the project's own dolittle."""

from __future__ import annotations

import os
import sys


def run() -> None:
    """Run the command line and end the process with its exit code.

    ``--version`` is answered before anything heavy is imported.
    """
    argv = sys.argv[1:]
    if argv == ["--version"]:
        from importlib.metadata import version

        print(f"dolittle {version('dolittle-cli')}")  # noqa: T201 - console.py is not needed yet
        sys.exit(0)
    from dolittle_cli.handover import hand_over

    hand_over(argv, os.environ)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 shows an escape where it lacks a character.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    from dolittle_cli.main import main

    code = main(argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader is gone; without this the interpreter would complain while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


if __name__ == "__main__":
    run()
