"""The tables: every contestant's figures, and every target with what was measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.measuring import Figures, Results, Row, Target


@dataclass
class Report:
    """One run.

    Attributes:
        loads: The machine's load at the beginning and at the end, and after each round.
        failures: Contestants that gave no figures, and why.
    """

    command: str
    date: str
    machine: str
    code: str
    rounds: int
    rows: Sequence[Row]
    results: dict[str, Results] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    taken_s: float = 0.0

    def add(self, row: Row, contestant: str, number: int, figures: Figures) -> None:
        """Take in what one contestant did in one round, by the round's number."""
        self.results.setdefault(row.id, {}).setdefault(contestant, {})[number] = figures

    def markdown(self) -> str:
        """Return both tables with where they come from."""
        return "\n".join([*self._heading(), "", *self._targets(), "", *self._figures(), ""])

    def _heading(self) -> Iterator[str]:
        yield f"- Command: `{self.command}`, {self.rounds} interleaved rounds, medians."
        yield f"- Date: {self.date}; it took {self.taken_s:.0f} s."
        yield f"- Machine: {self.machine}."
        yield f"- Code: {self.code}."
        yield f"- Load at the beginning and after each round: {', '.join(self.loads)}."
        for name, reason in self.failures.items():
            yield f"- Left out: {name}: {reason}."

    def _targets(self) -> Iterator[str]:
        yield "| row | what | measured | target | |"
        yield "| --- | --- | --: | --: | --- |"
        for row in self.rows:
            for target in row.targets:
                value = target.measured(self.results.get(row.id, {}))
                said = "not measured" if value is None else number(value)
                verdict = "" if value is None else "met" if target.is_met(value) else "**missed**"
                cells = (f"`{row.id}`", target.what, said, _bound(target), verdict)
                yield f"| {' | '.join(cells)} |"

    def _figures(self) -> Iterator[str]:
        yield "| row | contestant | figure | median | least to most |"
        yield "| --- | --- | --- | --: | --: |"
        for row in self.rows:
            for contestant, rounds in self._in_order(row):
                for name in rounds[0]:
                    values = [figures[name] for figures in rounds]
                    cells = (
                        f"`{row.id}`",
                        contestant,
                        row.unit if name == "rate" else name,
                        number(statistics.median(values)),
                        f"{number(min(values))} to {number(max(values))}",
                    )
                    yield f"| {' | '.join(cells)} |"

    def _in_order(self, row: Row) -> Iterator[tuple[str, list[Figures]]]:
        """Yield the row's contestants as they are declared: rounds begin with different ones."""
        found = self.results.get(row.id, {})
        for contestant in row.contestants:
            if contestant.name in found:
                yield contestant.name, list(found[contestant.name].values())

    def json(self) -> str:
        """Return everything, every round's figures included."""
        targets = [
            {
                "row": row.id,
                "what": target.what,
                "measured": value,
                "at_least": target.at_least,
                "at_most": target.at_most,
                "is_met": None if value is None else target.is_met(value),
            }
            for row in self.rows
            for target in row.targets
            for value in [target.measured(self.results.get(row.id, {}))]
        ]
        content = {
            "command": self.command,
            "date": self.date,
            "machine": self.machine,
            "code": self.code,
            "rounds": self.rounds,
            "loads": self.loads,
            "seconds": self.taken_s,
            "failures": self.failures,
            "targets": targets,
            "results": self.results,
        }
        return json.dumps(content, indent=1) + "\n"


def number(value: float) -> str:
    """Write a figure with three digits that mean something."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3f}"


def _bound(target: Target) -> str:
    if target.at_least is not None:
        return (
            f"at least {target.at_least:g}"
            if target.at_least < 1e5
            else (f"at least {target.at_least:,.0f}")
        )
    return f"at most {target.at_most:g}"
