"""Gathers the graph of one microservice from its declarations, its source and its event log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dolittle.aggregates import AggregateRootDeclaration
from dolittle.declarations import MARK, Place, method_place
from dolittle.runtime.definition import Definition
from dolittle_cli.emissions import Emission, emissions_of
from dolittle_cli.graph.model import PUBLIC_STREAM, Edge, EdgeKind, Graph, Node, NodeKind, node_id
from dolittle_cli.graph.seen import Seen
from dolittle_cli.sources import SourceFunction, Sources


def gather(name: str, project: Path, definition: Definition, sources: Sources, seen: Seen) -> Graph:
    """Return the graph of one microservice.

    Args:
        name: Of the microservice.
        project: Its folder; places are told within it.
        definition: What it declares.
        sources: Its source, for what commands and handlers emit.
        seen: What its event log shows.
    """
    gathering = _Gathering(name, project, definition, sources)
    gathering.declare()
    gathering.see(seen)
    nodes = sorted(gathering.nodes.values(), key=lambda node: (node.kind, node.name))
    edges = sorted(gathering.edges.values(), key=lambda edge: (edge.start, edge.stop, edge.kind))
    return Graph((name,), tuple(nodes), tuple(edges), seen.looked_at, seen.has_more)


class _Gathering:
    """Nodes and edges while they are gathered; an edge is named by its ends and kind."""

    def __init__(self, name: str, project: Path, definition: Definition, sources: Sources) -> None:
        self._name, self._project = name, project
        self._definition, self._sources = definition, sources
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str, EdgeKind], Edge] = {}

    # What is declared

    def declare(self) -> None:
        """Add everything that the code says."""
        types = self._definition.event_types
        for event_type in types:
            cls: Any = types.class_of(event_type.id)
            start = self._node(
                "event", event_type.alias, cls.__dict__[MARK].place, is_public=event_type.public
            )
            if event_type.public:
                self._edge(start, self._public_stream(is_declared=True), "publishes")
        for aggregate in self._definition.aggregates.values():
            self._aggregate(aggregate)
        for handler in self._definition.handlers.values():
            start = self._node("handler", handler.name, handler.place)
            for method in handler.methods.values():
                self._edge(self._event(method.event_class), start, "handles")
                for emission in self._emissions(method.function, handler.cls):
                    self._emitted(start, emission)
        for projection in self._definition.projections.values():
            stop = self._node("projection", projection.name, projection.place)
            for projected in projection.methods.values():
                self._edge(self._event(projected.event_class), stop, "projects")

    def _aggregate(self, aggregate: AggregateRootDeclaration) -> None:
        owner = self._node("aggregate", aggregate.name, aggregate.place)
        for event_class in aggregate.folds:
            self._edge(self._event(event_class), owner, "folds")
        for command in aggregate.commands.values():
            start = self._node(
                "command",
                f"{aggregate.name}.{command.name}",
                method_place(command.function),
                label=command.name,
                owner=owner,
            )
            for emission in self._emissions(command.function, aggregate.cls):
                self._emitted(start, emission)

    def _emissions(self, function: Callable[..., Any], cls: type) -> list[Emission]:
        written = self._function(function)
        if written is None:
            return []
        owner = self._sources.classes.get(f"{cls.__module__}.{cls.__qualname__}")
        return emissions_of(self._sources, written, owner)

    def _function(self, function: Callable[..., Any]) -> SourceFunction | None:
        return self._sources.functions.get(f"{function.__module__}.{function.__qualname__}")

    def _emitted(self, start: str, emission: Emission) -> None:
        if emission.kind == "performs":
            method = self._sources.functions[emission.target]
            owner = method.owner.rpartition(".")[2]
            stop = self._id("command", f"{owner}.{method.name}")
        else:
            stop = self._id("event", emission.target.rpartition(".")[2])
        # A node may come later than what leads to it: whether it exists is seen at the end.
        self.edges.setdefault((start, stop, emission.kind), Edge(start, stop, emission.kind))

    # What the log shows

    def see(self, seen: Seen) -> None:
        """Add what the event log shows; drop edges that lead to nothing."""
        aliases = self._definition.event_types
        for type_id, count in sorted(seen.types.items()):
            found = self._id("event", aliases.alias(type_id))
            if found not in self.nodes:
                self._node("event", type_id, None)
            self.nodes[found] = replace(self.nodes[found], events=count)
        self.edges = {
            key: edge
            for key, edge in self.edges.items()
            if edge.start in self.nodes and edge.stop in self.nodes
        }
        for (root_id, type_id), count in sorted(seen.applied.items()):
            self._see_applied(root_id, aliases.alias(type_id), count)
        for (cause_id, type_id, handler_id), count in sorted(seen.caused.items()):
            alias = aliases.alias(type_id)
            if not self._see_made(handler_id, alias, count) and cause_id:
                self._see_caused(cause_id, alias, count)
        for type_id, count in sorted(seen.published.items()):
            start = self._id("event", aliases.alias(type_id))
            self._mark((), start, self._public_stream(is_declared=False), "publishes", count)

    def _see_applied(self, root_id: str, alias: str, count: int) -> None:
        stop = self._id("event", alias)
        names = [item.name for item in self._definition.aggregates.values() if item.id == root_id]
        owner = self._id("aggregate", names[0] if names else root_id)
        if owner not in self.nodes:
            self._node("aggregate", root_id, None)
        commands = [
            edge
            for edge in self.edges.values()
            if edge.stop == stop
            and edge.kind == "applies"
            and self.nodes[edge.start].owner == owner
        ]
        # The log knows the aggregate, not the command: one that is alone must have been it.
        self._mark(commands if len(commands) == 1 else [], owner, stop, "applies", count)

    def _see_made(self, handler_id: str, alias: str, count: int) -> bool:
        """Count what a recorded handler made; tell whether the code has that handler."""
        found = [item.name for item in self._definition.handlers.values() if item.id == handler_id]
        if not found:
            return False
        start, stop = self._id("handler", found[0]), self._id("event", alias)
        self._mark(self._leading(start, stop), start, stop, "commits", count)
        return True

    def _see_caused(self, cause_id: str, alias: str, count: int) -> None:
        cause, stop = (
            self._id("event", self._definition.event_types.alias(cause_id)),
            self._id("event", alias),
        )
        handlers = [
            edge.stop
            for edge in self.edges.values()
            if edge.start == cause and edge.kind == "handles"
        ]
        declared = [edge for handler in handlers for edge in self._leading(handler, stop)]
        if len(declared) == 1 or len(handlers) == 1:
            start = declared[0].start if declared else handlers[0]
            self._mark(declared, start, stop, "commits", count)
            return
        if not handlers:
            # Whatever handled it then is not in the code any more.
            self._mark((), cause, stop, "causes", count)
        for handler in sorted({edge.start for edge in declared}) or handlers:
            leading = [edge for edge in declared if edge.start == handler]
            self._mark(leading, handler, stop, "commits", count, is_certain=False)

    def _leading(self, handler: str, event: str) -> list[Edge]:
        """Return the declared edges by which a handler leads to an event, if any."""
        applying = {
            edge.start
            for edge in self.edges.values()
            if edge.stop == event and edge.kind == "applies" and edge.is_declared
        }
        return [
            edge
            for edge in self.edges.values()
            if edge.start == handler and edge.is_declared and edge.stop in {event, *applying}
        ]

    def _mark(
        self,
        known: Iterable[Edge],
        start: str,
        stop: str,
        kind: EdgeKind,
        count: int,
        *,
        is_certain: bool = True,
    ) -> None:
        """Count what was seen on a declared edge, or on one that only the log shows."""
        edge = next(iter(known), None) or Edge(start, stop, kind, is_declared=False)
        key = (edge.start, edge.stop, edge.kind)
        edge = self.edges.get(key, edge)
        self.edges[key] = replace(
            edge,
            seen=edge.seen + count,
            is_certain=is_certain and edge.is_certain,
        )

    # Nodes and edges

    def _public_stream(self, *, is_declared: bool) -> str:
        """Return the id of the public stream's node; make it, if it is the first one's."""
        found = self._id("stream", "public")
        if found not in self.nodes:
            self.nodes[found] = Node(
                found, "stream", PUBLIC_STREAM, self._name, is_declared=is_declared
            )
        return found

    def _id(self, kind: NodeKind, name: str) -> str:
        return node_id(self._name, kind, name)

    def _node(
        self,
        kind: NodeKind,
        name: str,
        place: Place | None,
        *,
        label: str = "",
        owner: str = "",
        is_public: bool = False,
    ) -> str:
        found = self._id(kind, name)
        self.nodes[found] = Node(
            found,
            kind,
            label or name,
            self._name,
            owner=owner,
            is_public=is_public,
            is_declared=place is not None,
            place=self._place(place) if place else "",
        )
        return found

    def _place(self, place: Place) -> str:
        path = Path(place.path)
        known = path.relative_to(self._project) if path.is_relative_to(self._project) else path
        return f"{known}:{place.line}"

    def _event(self, event_class: type) -> str:
        return self._id("event", event_class.__name__)

    def _edge(self, start: str, stop: str, kind: EdgeKind) -> None:
        self.edges[start, stop, kind] = Edge(start, stop, kind)
