"""The graph as DOT text, for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dolittle_cli.graph.model import (
    Edge,
    Graph,
    Ground,
    Node,
    NodeKind,
    detail,
    edge_title,
    seen_text,
    title,
)

STYLES: Final[dict[NodeKind, str]] = {
    "aggregate": 'shape=record, fillcolor="#fff3bf", color="#b08900"',
    "command": "",
    "event": 'shape=box, fillcolor="#ffe3cc", color="#d9480f"',
    "handler": 'shape=box, style="filled,rounded", fillcolor="#e5dbff", color="#6741d9"',
    "projection": 'shape=cylinder, fillcolor="#d3f9d8", color="#2f9e44"',
    "stream": 'shape=cds, fillcolor="#c5f6fa", color="#0c8599"',
}
"""Commands are fields of their aggregate's record."""

LINES: Final[dict[Ground, str]] = {
    "declared": 'color="#868e96"',
    "declared and seen": 'color="#212529", penwidth=2',
    "seen": 'color="#c2255c", style=dashed',
}


def dot(graph: Graph) -> str:
    """Return the graph as DOT text, with a legend."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    names = {node.id: node.name for node in graph.nodes}
    ports = {node.id: f"{ids[node.owner]}:{ids[node.id]}" for node in graph.nodes if node.owner}
    yield "digraph dolittle {"
    yield "  rankdir=LR"
    yield '  graph [fontname="sans-serif", ranksep=1.2]'
    yield '  node [fontname="sans-serif", fontsize=11, style=filled, fontcolor="#212529"]'
    yield '  edge [fontname="sans-serif", fontsize=10]'
    for number, microservice in enumerate(graph.microservices):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_quoted(microservice)}"
        kinds: tuple[NodeKind, ...] = ("aggregate", "event", "handler", "projection", "stream")
        for node in graph.of(microservice, *kinds):
            yield f"    {ids[node.id]} [{_node(graph, node, ids)}]"
        yield "  }"
    for edge in graph.drawn:
        start = f"{ports[edge.start]}:e" if edge.start in ports else ids[edge.start]
        stop = f"{ports[edge.stop]}:w" if edge.stop in ports else ids[edge.stop]
        yield f"  {start} -> {stop} [{_edge(edge, names)}]"
    yield from _legend({edge.ground for edge in graph.drawn})
    yield "}"


def _node(graph: Graph, node: Node, ids: dict[str, str]) -> str:
    if node.kind == "aggregate":
        fields = [f"<{ids[item.id]}> {_escaped(item.name)}" for item in graph.commands(node)]
        label = '"' + "|".join([_escaped(node.name), *fields]) + '"'
    else:
        label = _quoted(f"{node.name}\n{detail(node)}")
    extra = "" if node.is_declared else ', style="filled,dashed"'
    return f"label={label}, tooltip={_quoted(title(node))}, {STYLES[node.kind]}{extra}"


def _edge(edge: Edge, names: dict[str, str]) -> str:
    count = seen_text(edge)
    label = f", label={_quoted(count)}" if count else ""
    return f"{LINES[edge.ground]}{label}, tooltip={_quoted(edge_title(edge, names))}"


def _legend(grounds: set[Ground]) -> Iterator[str]:
    shown = [ground for ground in LINES if ground in grounds]
    if not shown:
        return
    yield "  subgraph cluster_legend {"
    yield '    label="legend"'
    for number, ground in enumerate(shown):
        text = ground if ground == "declared" else f"{ground} in the log (number of events)"
        ends = f"l{number} [label={_quoted(text)}, shape=plaintext, style=solid]"
        yield f'    {ends}; k{number} [label="", shape=point]'
        yield f"    l{number} -> k{number} [{LINES[ground]}]"
    yield "  }"


def _quoted(text: str) -> str:
    """Quote a text for DOT. Source: graphviz.org/doc/info/lang.html, quoted strings."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _escaped(text: str) -> str:
    """Escape a text for a record's field. Source: graphviz.org/doc/info/shapes.html, record."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(f"\\{item}" if item in "{}|<> " else item for item in escaped)
