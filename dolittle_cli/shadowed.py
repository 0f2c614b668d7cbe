"""What is told of the shadow of a projection, wherever the projection is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dolittle_cli.console import Console, counted

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice
    from dolittle.store import Position
    from dolittle_cli.project import Place

COMMAND: Final = "dolittle events replay --projection"


@dataclass(frozen=True)
class Shadowed:
    """The shadow that a projection has.

    Attributes:
        position: The first event that it has not folded.
        behind: How many of the projection's events come since.
        is_of_this_code: Whether the code has stayed the same since it was made.
    """

    projection: str
    position: Position
    behind: int
    read_models: int
    is_of_this_code: bool


async def shadows_of(
    microservice: Microservice, place: Place, names: Sequence[str]
) -> dict[str, Shadowed]:
    """Return the shadows that some projections have, by the projection's name."""
    from dolittle.runtime.shadows import Shadow, package_digest

    configuration, found = place.configuration, {}
    for name in names:
        declaration = microservice.definition.projection(name)
        builds = await microservice.state.processors(declaration.id)
        if not any(item.kind == "shadow" for item in builds):
            continue
        # Reading every file of the package is for those who have a shadow.
        package = package_digest(configuration.project, configuration.package)
        shadow = Shadow(microservice, declaration, package)
        build = await shadow.find()
        if build is not None:
            found[declaration.name] = Shadowed(
                declaration.name,
                build.position,
                await shadow.behind(build),
                await microservice.state.count(build.name, build.build),
                shadow.is_of_this_code(build),
            )
    return found


def shadow_json(shadow: Shadowed | None) -> dict[str, Any] | None:
    """Return the keys ``position lag read_models is_of_this_code``; ``None`` for no shadow."""
    if shadow is None:
        return None
    return {
        "position": shadow.position,
        "lag": shadow.behind,
        "read_models": shadow.read_models,
        "is_of_this_code": shadow.is_of_this_code,
    }


def say_shadow(console: Console, shadow: Shadowed) -> None:
    """Say on stderr that there is a shadow, and what can be done with it."""
    since = f", {counted(shadow.behind, 'event')} came since" if shadow.behind else ""
    name = shadow.projection
    if shadow.is_of_this_code:
        rest = f"swap it in with {COMMAND} {name} --promote, or delete it with --discard"
    else:
        rest = f"of other code than now; make it anew with {COMMAND} {name} --shadow"
    models = counted(shadow.read_models, "read model")
    console.note(f"{name} has a shadow: {models}{since}; {rest}")
