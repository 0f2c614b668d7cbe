"""The graph as Mermaid text (``flowchart LR``), which code hosts draw in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dolittle_cli.graph.model import Edge, Graph, Ground, Node, NodeKind, detail, seen_text

SHAPES: Final[dict[NodeKind, tuple[str, str]]] = {
    "aggregate": ("[", "]"),
    "command": ("([", "])"),
    "event": ("[", "]"),
    "handler": ("{{", "}}"),
    "projection": ("[(", ")]"),
    "stream": ("[/", "/]"),
}
ARROWS: Final[dict[Ground, str]] = {
    "declared": "-->",
    "declared and seen": "==>",
    "seen": "-.->",
}
COLOURS: Final[dict[NodeKind, str]] = {
    "aggregate": "fill:#fff3bf,stroke:#b08900,color:#3b2f00",
    "command": "fill:#d0ebff,stroke:#1971c2,color:#0b3558",
    "event": "fill:#ffe3cc,stroke:#d9480f,color:#5c2000",
    "handler": "fill:#e5dbff,stroke:#6741d9,color:#2b1a66",
    "projection": "fill:#d3f9d8,stroke:#2f9e44,color:#0f4019",
    "stream": "fill:#c5f6fa,stroke:#0c8599,color:#083d46",
}
"""Fill, line and text, readable on light and on dark pages alike."""


def mermaid(graph: Graph) -> str:
    """Return the graph as Mermaid text, with a legend."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    yield "flowchart LR"
    for number, microservice in enumerate(graph.microservices):
        yield f"  subgraph m{number}[{_quoted(microservice)}]"
        for node in graph.of(microservice, "aggregate"):
            yield from _aggregate(graph, node, ids)
        for node in graph.of(microservice, "event", "handler", "projection", "stream"):
            yield f"    {_node(node, ids)}"
        yield "  end"
    for edge in graph.drawn:
        yield f"  {_edge(edge, ids)}"
    yield from _legend(graph)
    for kind, style in COLOURS.items():
        members = [ids[node.id] for node in graph.nodes if node.kind == kind]
        if members:
            yield f"  classDef {kind} {style}"
            yield f"  class {','.join(members)} {kind}"


def _aggregate(graph: Graph, aggregate: Node, ids: dict[str, str]) -> Iterator[str]:
    commands = graph.commands(aggregate)
    if not commands:
        yield f"    {_node(aggregate, ids)}"
        return
    yield f"    subgraph {ids[aggregate.id]}[{_quoted(aggregate.name)}]"
    for command in commands:
        yield f"      {_node(command, ids)}"
    yield "    end"


def _node(node: Node, ids: dict[str, str]) -> str:
    opening, closing = SHAPES[node.kind]
    text = node.name if node.kind == "command" else f"{node.name}\n{detail(node)}"
    return f"{ids[node.id]}{opening}{_quoted(text)}{closing}"


def _edge(edge: Edge, ids: dict[str, str]) -> str:
    count = seen_text(edge)
    label = f"|{_quoted(count)}|" if count else ""
    return f"{ids[edge.start]} {ARROWS[edge.ground]}{label} {ids[edge.stop]}"


def _legend(graph: Graph) -> Iterator[str]:
    grounds = {edge.ground for edge in graph.drawn}
    shown = [ground for ground in ARROWS if ground in grounds]
    if not shown:
        return
    yield '  subgraph legend["legend"]'
    for number, ground in enumerate(shown):
        text = ground if ground == "declared" else f"{ground} in the log (number of events)"
        yield f'    l{number}[" "] {ARROWS[ground]}|{_quoted(text)}| k{number}[" "]'
    yield "  end"


def _quoted(text: str) -> str:
    """Quote a text for Mermaid. Source: mermaid.js.org/syntax/flowchart.html, entity codes."""
    escaped = "".join(
        f"#{ord(character)};" if character in '"#<>&`\\|' else character for character in text
    )
    return '"' + escaped.replace("\n", "<br/>") + '"'
