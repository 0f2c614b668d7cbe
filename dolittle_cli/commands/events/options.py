"""Options by which several commands on events choose them and say how to show them."""

from __future__ import annotations

from typing import Annotated

import typer

from dolittle_cli.errors import WrongUsage

FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="R",
        help="From here on: start, end, 12, -10, +5, @2026-01-31T10:00Z, @-15m, evt:ID, "
        "cursor:FILE.",
    ),
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to", metavar="R", help="Up to here, exclusive; +10 is ten events behind --from."
    ),
]
TypesOption = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="T", help="Only this event type; * and ? go; repeatable."),
]
SourcesOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="S", help="Only this event source; * and ? go; repeatable."),
]
CorrelationOption = Annotated[
    str,
    typer.Option(
        "--correlation", metavar="C", help="Only what belongs together.", show_default=False
    ),
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--where", metavar="CONDITION", help="Only what meets it: 'content.amount > 100'."
    ),
]
GrepOption = Annotated[
    str | None,
    typer.Option(
        "--grep", metavar="REGEX", help="Only where it is in type, source, content or ids."
    ),
]
OutputOption = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FORM",
        help="short, wide, columns, json, jsonl, cloudevents, or '{position} {content.dish}'.",
    ),
]


def output_form(output: str, *, as_json: bool) -> str:
    """Return the form of output that was asked for; ``--json`` is ``-o jsonl``.

    Raises:
        WrongUsage: Both were, and differ.
    """
    if not as_json:
        return output
    if output not in ("short", "json", "jsonl"):
        raise WrongUsage(f"--json and -o {output} do not go together")
    return "jsonl"
