"""The console script: answers ``--version`` at once, hands over to the project's own dolittle."""

from __future__ import annotations

import os
import sys


def run() -> None:
    """Run the command line and end the process with its exit code.

    ``--version`` is answered before anything heavy is imported.
    """
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        # While the command line itself is being imported; later, main answers it.
        code = 130
    sys.exit(code)


def _run(argv: list[str]) -> int:
    if argv == ["--version"]:
        from importlib.metadata import version

        print(f"dolittle {version('dolittle-cli')}")  # noqa: T201 - console.py is not needed yet
        return 0
    from dolittle_cli.handover import hand_over

    hand_over(argv, os.environ)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # It was closed (2>&-): what would go there goes nowhere.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 shows an escape where it lacks a character.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    from dolittle_cli.main import main

    code = main(argv)
    try:
        sys.stdout.flush()
    except OSError:
        # The reader is gone, or the disk is full, which main has said; without this the
        # interpreter would complain while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    run()
