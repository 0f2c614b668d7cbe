"""Where in a project's own code an error comes from."""

from __future__ import annotations

import traceback
from pathlib import Path


def place_of(error: BaseException, root: Path) -> tuple[str, int] | None:
    """Return the file and line below ``root`` where an error was raised, or passed last.

    Args:
        error: With its traceback. Of a syntax error, the line it speaks of is returned.
        root: The project's folder.

    Returns:
        ``None`` where no line of the project has to do with it.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    return (own[-1].filename, own[-1].lineno or 0) if own else None
