"""Comments that silence findings, ``# dolittle: ignore[DLT201]``, and those that silence none."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dolittle_cli.checking.findings import IDLE_COMMENT, Finding, find
from dolittle_cli.checking.source_fixes import Edit, Places, places_of
from dolittle_cli.sources import Module, Sources

_IGNORE: Final = re.compile(r"#\s*dolittle:\s*ignore\[([\w\s,-]+)\]")


@dataclass
class Silencer:
    """A comment that silences codes in its line.

    Attributes:
        start: Its first byte in the line, with the spaces before it; from 0.
        end: The byte behind it.
        codes: As they are written.
        used: Those of them that have silenced something.
    """

    module: Module
    line: int
    start: int
    end: int
    codes: tuple[str, ...]
    used: set[str] = field(default_factory=set)

    @property
    def idle(self) -> list[str]:
        """The codes that silence nothing."""
        return [code for code in dict.fromkeys(self.codes) if code not in self.used]


def silencers(sources: Sources) -> list[Silencer]:
    """Return the comments that silence, of every module."""
    return [found for module in sources.modules.values() for found in _of_module(module)]


def heard(findings: Iterable[Finding], comments: Iterable[Silencer]) -> list[Finding]:
    """Return the findings that no comment silences, and note which comments did silence.

    Only findings of the source (DLT2xx, DLT3xx) can be silenced.
    """
    by_place: dict[tuple[Path, int], Silencer] = {
        (comment.module.path, comment.line): comment for comment in comments
    }
    kept: list[Finding] = []
    for finding in findings:
        comment = by_place.get((finding.path, finding.line))
        code = finding.rule.code
        if comment is not None and finding.rule.is_of_source and code in comment.codes:
            comment.used.add(code)
        else:
            kept.append(finding)
    return kept


def idle_comments(comments: Iterable[Silencer]) -> Iterator[Finding]:
    """Yield a finding for each comment in which a code silences nothing."""
    for comment in comments:
        if comment.idle:
            yield find(
                IDLE_COMMENT,
                comment.module.path,
                comment.line,
                f"nothing in this line is silenced by {', '.join(comment.idle)}",
                "take it out of the comment: dolittle check --fix",
            )


def comment_edits(comments: Iterable[Silencer]) -> Iterator[Edit]:
    """Yield the edits that take out of comments what silences nothing."""
    for comment in comments:
        places = places_of(comment.module) if comment.idle else None
        if places is None:
            continue
        start, end = places.at(comment.line, comment.start), places.at(comment.line, comment.end)
        kept = [code for code in comment.codes if code in comment.used]
        text = ""
        if kept:
            text = _IGNORE.sub(
                lambda found, kept=kept: found[0].replace(found[1], ", ".join(kept)),  # type: ignore[misc]
                places.data[start:end].decode(),
            )
        elif _is_alone(places, comment):
            start, end = places.at(comment.line), places.at(comment.line + 1)
        what = f"{', '.join(comment.idle)} silenced nothing in this line"
        yield Edit(IDLE_COMMENT, comment.module.path, comment.line, start, end, text, what)


def _is_alone(places: Places, comment: Silencer) -> bool:
    """Tell whether there is nothing else in the comment's line, and a line behind it."""
    before = places.data[places.at(comment.line) : places.at(comment.line, comment.start)]
    behind = re.compile(rb"[ \t]*\r?\n").match(places.data, places.at(comment.line, comment.end))
    return not before.strip() and behind is not None


def _of_module(module: Module) -> Iterator[Silencer]:
    text = "\n".join(module.lines) + "\n"
    if not _IGNORE.search(text):
        return
    try:
        tokens = [*tokenize.generate_tokens(io.StringIO(text).readline)]
    except (tokenize.TokenError, SyntaxError):
        return
    for token in tokens:
        found = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
        if found is None:
            continue
        line, column = token.start
        written = module.lines[line - 1]
        begin = column + found.start()
        spaces = len(written[:begin]) - len(written[:begin].rstrip())
        codes = tuple(re.split(r"[\s,]+", found[1].strip()))
        yield Silencer(
            module,
            line,
            len(written[: begin - spaces].encode()),
            len(written[: column + found.end()].encode()),
            codes,
        )
