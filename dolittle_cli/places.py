"""Finds the microservices that a command looks at together: one, or all of an application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dolittle.errors import ProjectNotFound, Unknown
from dolittle.runtime.configuration import (
    Configuration,
    find_project,
    is_application,
    load_application,
    load_configuration,
)
from dolittle_cli.errors import CommandLineError
from dolittle_cli.project import Place, find_place, locate


def find_places(project: Path | None, tenant: str) -> tuple[Place, ...]:
    """Return the microservice that a command is about, or every one of an application.

    Members of an application that have no such tenant are left out, unless none has.

    Raises:
        ProjectNotFound: There is no project.
        ConfigurationError: A ``dolittle.toml`` cannot be used.
        CommandLineError: The application has no microservice.
        Unknown: There is no such tenant.
    """
    folder = locate(project)
    if not is_application(folder):
        return (find_place(project, tenant),)
    places = _members(folder, tenant)
    if not places:
        members = load_application(folder).members
        if not members:
            raise _empty(folder)
        # None has the tenant; the first one says so.
        find_place(members[0], tenant)
    return places


def application_places(place: Place) -> tuple[Place, ...]:
    """Return all microservices of the application that one is a member of, itself first."""
    try:
        folder = find_project(place.configuration.project.parent)
    except ProjectNotFound:
        return (place,)
    if not is_application(folder):
        return (place,)
    others = [
        item
        for item in _members(folder, place.tenant)
        if item.configuration.project != place.configuration.project
    ]
    return (place, *others)


def _members(folder: Path, tenant: str) -> tuple[Place, ...]:
    configurations = map(load_configuration, load_application(folder).members)
    return tuple(
        Place(configuration, tenant, configuration.tenant_folder(tenant))
        for configuration in configurations
        if tenant in configuration.tenants
    )


def find_configurations(project: Path | None, names: Sequence[str]) -> list[Configuration]:
    """Return the microservices of a project, or those of them that are named.

    Raises:
        ProjectNotFound: There is no project.
        ConfigurationError: A ``dolittle.toml`` cannot be used.
        CommandLineError: The application has no microservice.
        Unknown: A name is that of none.
    """
    folder = locate(project)
    folders = load_application(folder).members if is_application(folder) else (folder,)
    if not folders:
        raise _empty(folder)
    found = {item.name: item for item in map(load_configuration, folders)}
    for name in names:
        if name not in found:
            raise Unknown("microservice", name, found)
    return [item for name, item in found.items() if not names or name in names]


def _empty(folder: Path) -> CommandLineError:
    return CommandLineError(
        f"the application in {folder} has no microservice yet",
        hint="make one in its folder: dolittle new microservice NAME",
    )
