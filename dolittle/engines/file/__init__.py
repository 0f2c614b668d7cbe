"""The file engine: an append-only log of text, and an index derived from it."""

from dolittle.engines.file.repair import Repair, carry_out, plan_repair
from dolittle.engines.file.store import Durability, FileStore
from dolittle.engines.file.verify import Finding

__all__ = ["Durability", "FileStore", "Finding", "Repair", "carry_out", "plan_repair"]
