"""``dolittle events``: see, append, verify and replay events."""

from dolittle_cli.commands.events.app import app

__all__ = ["app"]
