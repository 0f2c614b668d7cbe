"""A command that makes something, as data: kept in the manifest, and planned from it again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dolittle_cli.errors import WrongUsage

if TYPE_CHECKING:
    from dolittle_cli.scaffold.plan import Plan
    from dolittle_cli.scaffold.project import Project

Answer = str | bool | tuple[str, ...]
"""What was said to one question of a command: an option's value, or its words."""

PROJECTS: Final = frozenset({"microservice", "application"})
"""The kinds that ``new`` makes; every other one is made by ``add``."""

TEMPLATES: Final = "templates"
"""The kind of a project's own templates, made by ``templates eject``; the name is their kind."""

FIELDS: Final = "fields"
"""The answer that is typed without the name of an option."""

ID: Final = "id"
"""The answer that is not typed: the id under which a thing is stored since it was renamed."""


@dataclass(frozen=True)
class Request:
    """A thing to be made: what it is, what it is called, and what was answered.

    Attributes:
        kind: ``event``, ``aggregate`` … ``microservice``.
        name: As it is typed: ``DishPrepared``.
        answers: By the name of the option; ``fields`` are the words behind the name. What was
            left at its default (``False``, empty) is not among them.
    """

    kind: str
    name: str
    answers: Mapping[str, Answer]

    @property
    def key(self) -> str:
        """Names the thing in the manifest: ``event DishPrepared``."""
        return f"{self.kind} {self.name}".strip()

    @property
    def command(self) -> str:
        """The command as it would be typed."""
        if self.kind == TEMPLATES:
            return f"dolittle templates eject {self.name}"
        verb = "new" if self.kind in PROJECTS else "add"
        words = ["dolittle", verb, self.kind, *([self.name] if self.name else [])]
        words += self._listed(FIELDS)
        for option in self.answers:
            if option in (FIELDS, ID):
                continue
            flag = f"--{option.replace('_', '-')}"
            if self.answers[option] is True:
                words.append(flag)
            for value in self._listed(option):
                words += [flag, value]
        return " ".join(map(shlex.quote, words))

    def text(self, option: str) -> str:
        """Return an answer that is one word; empty where there is none."""
        found = self.answers.get(option, "")
        return found if isinstance(found, str) else ""

    def words(self, option: str) -> list[str]:
        """Return an answer that is several words."""
        found = self.answers.get(option, ())
        return list(found) if isinstance(found, tuple) else []

    def flag(self, option: str) -> bool:
        """Return an answer that is yes or no."""
        return self.answers.get(option) is True

    def renamed(self, old: str, new: str) -> Request:
        """Return the request with a name replaced, its own and in its answers."""
        pattern = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(old)}(?![A-Za-z0-9_])")

        def change(answer: Answer) -> Answer:
            if isinstance(answer, str):
                return pattern.sub(new, answer)
            if isinstance(answer, bool):
                return answer
            return tuple(pattern.sub(new, word) for word in answer)

        answers = {option: change(answer) for option, answer in self.answers.items()}
        return replace(self, name=new if self.name == old else self.name, answers=answers)

    def with_id_of(self, earlier: Request) -> Request:
        """Return the request with the stored id of an earlier one for the same thing."""
        if ID in self.answers or ID not in earlier.answers:
            return self
        return replace(self, answers={**self.answers, ID: earlier.answers[ID]})

    def left_out(self, earlier: Request) -> list[str]:
        """Return what an earlier request for the same thing had and this one does not.

        Fields go by their names, other answers by their words.
        """
        missing: list[str] = []
        for option in earlier.answers:
            now = {word.partition(":")[0] for word in self.words(option)}
            before = [word.partition(":")[0] for word in earlier.words(option)]
            missing += [word for word in before if word not in now]
        return missing

    def _listed(self, option: str) -> list[str]:
        answer = self.answers.get(option, ())
        if isinstance(answer, str):
            return [answer]
        return list(answer) if isinstance(answer, tuple) else []


def request(kind: str, name: str, **answers: Answer | list[str] | None) -> Request:
    """Return a request without the answers that were left at their defaults."""
    given = {
        option: tuple(answer) if isinstance(answer, list) else answer
        for option, answer in answers.items()
        if answer
    }
    return Request(kind, name, {option: answer for option, answer in given.items() if answer})


def plan_request(project: Project, made: Request) -> Plan:
    """Plan what a request asks for, from the project's source as it is now.

    A thing that was renamed keeps the id that it is stored under.

    Raises:
        WrongUsage: It can no longer be made: an event that it names is gone, for example.
        CommandLineError: Something of the project cannot be read.
    """
    known = project.manifest.thing(made.key) if not made.text(ID) else None
    return plan_once(project, made.with_id_of(known.request) if known else made)


def plan_once(project: Project, made: Request) -> Plan:
    """Plan what a request asks for, without looking into the manifest.

    Raises:
        WrongUsage: It can no longer be made.
        CommandLineError: Something of the project cannot be read.
    """
    from dolittle_cli.scaffold.stored_id import planned_with_id

    plan = _plan(project, made)
    stored_id = made.text(ID)
    return planned_with_id(plan, made.name, stored_id) if stored_id else plan


def _plan(project: Project, made: Request) -> Plan:
    match made.kind:
        case "event":
            from dolittle_cli.scaffold.event import plan_event

            return plan_event(project, made.name, made.words(FIELDS), public=made.flag("public"))
        case "aggregate":
            from dolittle_cli.scaffold.aggregate import plan_aggregate

            return plan_aggregate(project, made.name, made.words(FIELDS), made.words("command"))
        case "handler":
            from dolittle_cli.scaffold.handler import plan_handler

            partitioned = not made.flag("unpartitioned")
            return plan_handler(project, made.name, made.words("on"), partitioned=partitioned)
        case "projection":
            from dolittle_cli.scaffold.projection import KEY_SOURCE, plan_projection

            key = made.text("key") or KEY_SOURCE
            return plan_projection(project, made.name, made.words("on"), key, made.words(FIELDS))
        case "value":
            from dolittle_cli.scaffold.value import plan_value

            return plan_value(project, made.name, made.words(FIELDS))
        case "api" | "compose" | "ci":
            from dolittle_cli.scaffold import surroundings

            plans = {
                "api": surroundings.plan_api,
                "compose": surroundings.plan_compose,
                "ci": surroundings.plan_ci,
            }
            return plans[made.kind](project)
        case "templates":
            from dolittle_cli.scaffold.own_templates import plan_eject

            return plan_eject(project.root, made.name)
        case _:
            raise WrongUsage(
                f"this dolittle does not know how to make: {made.command}",
                hint="install the version of dolittle that made it",
            )


def plan_new(made: Request, into: Path) -> Plan:
    """Plan what a request for a whole project asks for.

    Args:
        made: For a microservice or an application.
        into: The folder that holds the project's own.

    Raises:
        WrongUsage: It cannot be made there.
    """
    from dolittle_cli.scaffold.microservice import plan_application, plan_microservice

    if made.kind == "application":
        return plan_application(made.name, into)
    return plan_microservice(made.name, into, example=made.text("example"))
