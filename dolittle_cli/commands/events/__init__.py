"""``dolittle events``: see, question, move, append, verify and replay events."""

from dolittle_cli.commands.events import asking, moving
from dolittle_cli.commands.events.app import app

__all__ = ["app", "asking", "moving"]
