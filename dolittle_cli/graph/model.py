"""Nodes and edges of the graph, as data; what they are drawn like is told in the other files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

NodeKind = Literal["aggregate", "command", "event", "handler", "projection", "stream"]
EdgeKind = Literal[
    "applies", "folds", "handles", "projects", "performs", "commits", "causes", "publishes"
]
PUBLIC_STREAM = "public stream"
"""The events of a microservice that other microservices may read."""

Ground = Literal["declared", "declared and seen", "seen"]


@dataclass(frozen=True)
class Node:
    """One thing of a microservice.

    Attributes:
        id: Unique in the graph: ``kitchen/event/DishPrepared``.
        name: The class name, the name of the command method, or ``PUBLIC_STREAM``.
        owner: Of a command: the id of its aggregate; else empty.
        is_public: Of an event type: whether other microservices may read its events.
        is_declared: Whether the code has it; an event type may only be stored.
        events: Of an event type: how many are stored.
        place: ``kitchen/events.py:12`` within the project; empty where it is not declared.
    """

    id: str
    kind: NodeKind
    name: str
    microservice: str
    owner: str = ""
    is_public: bool = False
    is_declared: bool = True
    events: int = 0
    place: str = ""


@dataclass(frozen=True)
class Edge:
    """One thing leads to another.

    Attributes:
        start: Id of a node.
        stop: Id of a node.
        kind: ``applies``: a command, or an aggregate, applies an event type; ``folds``: an event
            changes an aggregate; ``handles`` and ``projects``: an event goes to a handler or a
            projection; ``performs``: a handler performs a command; ``commits``: a handler
            commits an event; ``causes``: an event caused another, by no handler that there is;
            ``publishes``: an event is in the public stream.
        is_declared: Whether the code says so.
        seen: How many events in the log show it.
        is_certain: Whether the log shows that it was this start; several handlers of one event
            type may have caused an event.
    """

    start: str
    stop: str
    kind: EdgeKind
    is_declared: bool = True
    seen: int = 0
    is_certain: bool = True

    @property
    def ground(self) -> Ground:
        """What it is known from."""
        if not self.is_declared:
            return "seen"
        return "declared and seen" if self.seen else "declared"


@dataclass(frozen=True)
class Graph:
    """All microservices that are looked at.

    Attributes:
        looked_at: How many of the last events of the logs were looked at.
        has_more: Whether a log has more events than that.
    """

    microservices: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    looked_at: int = 0
    has_more: bool = False

    def of(self, microservice: str, *kinds: NodeKind) -> list[Node]:
        """Return the nodes of a microservice, of some kinds."""
        return [
            node for node in self.nodes if node.microservice == microservice and node.kind in kinds
        ]

    def commands(self, aggregate: Node) -> list[Node]:
        """Return the commands of an aggregate."""
        return [node for node in self.nodes if node.owner == aggregate.id]

    @property
    def drawn(self) -> list[Edge]:
        """The edges worth drawing: an aggregate folds what it applies, as everyone knows."""
        owners = {node.id: node.owner or node.id for node in self.nodes}
        applied = {(owners[edge.start], edge.stop) for edge in self.edges if edge.kind == "applies"}
        return [
            edge
            for edge in self.edges
            if edge.kind != "folds" or (edge.stop, edge.start) not in applied
        ]


def graph_json(graph: Graph) -> dict[str, Any]:
    """Return the graph in the keys of ``--format json``."""
    return {
        "microservices": list(graph.microservices),
        "looked_at": graph.looked_at,
        "has_more": graph.has_more,
        "nodes": [
            {
                "id": node.id,
                "kind": node.kind,
                "name": node.name,
                "microservice": node.microservice,
                "aggregate": node.owner or None,
                "public": node.is_public if node.kind == "event" else None,
                "events": node.events if node.kind == "event" else None,
                "declared": node.is_declared,
                "place": node.place or None,
            }
            for node in graph.nodes
        ],
        "edges": [
            {
                "from": edge.start,
                "to": edge.stop,
                "kind": edge.kind,
                "declared": edge.is_declared,
                "seen": edge.seen,
                "certain": edge.is_certain,
            }
            for edge in graph.edges
        ],
    }


def node_id(microservice: str, kind: NodeKind, name: str) -> str:
    """Return the id of a node."""
    return f"{microservice}/{kind}/{name}"


def merged(graphs: Iterable[Graph]) -> Graph:
    """Return several graphs as one."""
    every = list(graphs)
    return Graph(
        tuple(name for graph in every for name in graph.microservices),
        tuple(node for graph in every for node in graph.nodes),
        tuple(edge for graph in every for edge in graph.edges),
        sum(graph.looked_at for graph in every),
        any(graph.has_more for graph in every),
    )


def detail(node: Node) -> str:
    """Return what stands under a node's name."""
    if node.kind != "event":
        return node.kind
    words = ["event"]
    if node.is_public:
        words.append("public")
    if not node.is_declared:
        words.append("not declared")
    if node.events:
        words.append(f"{node.events:,} stored")
    return ", ".join(words)


def title(node: Node) -> str:
    """Return what is told about a node where the pointer rests on it."""
    place = f", {node.place}" if node.place else ""
    return f"{detail(node)} {node.name} of {node.microservice}{place}"


VERBS: dict[EdgeKind, str] = {
    "applies": "applies",
    "folds": "is folded by",
    "handles": "is handled by",
    "projects": "is projected by",
    "performs": "performs",
    "commits": "commits",
    "causes": "causes",
    "publishes": "is in the",
}


def edge_title(edge: Edge, names: dict[str, str]) -> str:
    """Return an edge as a sentence."""
    noun = "event" if edge.seen == 1 else "events"
    known = f"{edge.ground}: {edge.seen:,} {noun}" if edge.seen else edge.ground
    guess = "" if edge.is_certain else ", one of several that may be the cause"
    verb = VERBS[edge.kind]
    return f"{names[edge.start]} {verb} {names[edge.stop]} ({known}{guess})"


def seen_text(edge: Edge) -> str:
    """Return the count that stands at an edge; empty where the log does not show it."""
    return f"{edge.seen:,}{'' if edge.is_certain else '?'}" if edge.seen else ""
