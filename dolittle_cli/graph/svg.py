"""The graph as a drawing: SVG that is readable on light and dark pages and by screen readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from dolittle_cli.graph.layout import (
    BOX_HEIGHT,
    CHARACTER_WIDTH,
    MARGIN,
    PADDING,
    ROW_HEIGHT,
    SMALL_WIDTH,
    Box,
    Layout,
    Point,
    label_point,
    lay_out,
    line,
)
from dolittle_cli.graph.model import (
    Edge,
    Graph,
    Ground,
    Node,
    detail,
    edge_title,
    seen_text,
    title,
)

LEGEND_HEIGHT: Final = 40
LEGEND: Final[dict[Ground, str]] = {
    "declared": "declared in the code",
    "declared and seen": "declared, and seen in the log (number of events)",
    "seen": "only seen in the log (number of events)",
}
CLASSES: Final[dict[Ground, str]] = {
    "declared": "declared",
    "declared and seen": "both",
    "seen": "seen",
}

STYLE: Final = """
text { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #212529; }
.small { font-size: 11px; fill: #495057; }
.name { font-size: 15px; font-weight: bold; }
.page { fill: #ffffff; }
.panel { fill: #f8f9fa; stroke: #ced4da; }
.aggregate { fill: #fff3bf; stroke: #b08900; }
.command { fill: #d0ebff; stroke: #1971c2; }
.event { fill: #ffe3cc; stroke: #d9480f; }
.handler { fill: #e5dbff; stroke: #6741d9; }
.projection { fill: #d3f9d8; stroke: #2f9e44; }
.stream { fill: #c5f6fa; stroke: #0c8599; }
.undeclared { stroke-dasharray: 5 3; }
.public { stroke-width: 3; }
path { fill: none; }
.declared { stroke: #868e96; stroke-width: 1.3; }
.both { stroke: #212529; stroke-width: 2.2; }
.seen { stroke: #c2255c; stroke-width: 1.8; stroke-dasharray: 6 4; }
.tip-declared { fill: #868e96; stroke: none; }
.tip-both { fill: #212529; stroke: none; }
.tip-seen { fill: #c2255c; stroke: none; }
.label { fill: #f8f9fa; stroke: none; opacity: 0.9; }
@media (prefers-color-scheme: dark) {
  text { fill: #f1f3f5; }
  .small { fill: #ced4da; }
  .page { fill: #16181b; }
  .panel { fill: #1f2226; stroke: #495057; }
  .aggregate { fill: #4a3c00; stroke: #ffd43b; }
  .command { fill: #0b3558; stroke: #74c0fc; }
  .event { fill: #5c2000; stroke: #ff922b; }
  .handler { fill: #34217a; stroke: #b197fc; }
  .projection { fill: #12431d; stroke: #69db7c; }
  .stream { fill: #083d46; stroke: #3bc9db; }
  .both { stroke: #f1f3f5; }
  .seen { stroke: #f783ac; }
  .tip-both { fill: #f1f3f5; }
  .tip-seen { fill: #f783ac; }
  .label { fill: #1f2226; }
}
"""


def svg(graph: Graph) -> str:
    """Return the graph as one SVG document, with a legend."""
    return "\n".join(_lines(graph, lay_out(graph))) + "\n"


def _lines(graph: Graph, layout: Layout) -> Iterator[str]:
    shown = [ground for ground in LEGEND if any(edge.ground == ground for edge in graph.drawn)]
    legend_width = sum(_legend_width(ground) for ground in shown) + 2 * MARGIN
    width = max(layout.width, legend_width)
    height = layout.height + (LEGEND_HEIGHT if shown else 0)
    named = ", ".join(graph.microservices)
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">'
    yield f'<title id="t">Graph of {escape(named)}</title>'
    yield f'<desc id="d">{escape(_description(graph))}</desc>'
    yield f"<style>{STYLE}</style>"
    yield f"<defs>{''.join(map(_tip, CLASSES.values()))}</defs>"
    yield '<rect class="page" width="100%" height="100%"/>'
    for panel in layout.panels:
        place = f'x="{MARGIN / 2}" y="{panel.y:.1f}" width="{width - MARGIN:.1f}"'
        yield f'<rect class="panel" {place} height="{panel.height:.1f}" rx="10"/>'
        place = f'x="{MARGIN * 1.5}" y="{panel.y + 26:.1f}"'
        yield f'<text class="name" {place}>{escape(panel.name)}</text>'
    names = {node.id: node.name for node in graph.nodes}
    for edge in graph.drawn:
        yield _edge(edge, layout, names)
    for node in graph.nodes:
        if not node.owner:
            yield from _box(graph, layout.boxes[node.id], layout)
    for edge in graph.drawn:
        yield from _label(edge, layout)
    yield from _legend(shown, layout.height)
    yield "</svg>"


def _description(graph: Graph) -> str:
    """Return the whole graph in sentences, for those who do not see it."""
    names = {node.id: node.name for node in graph.nodes}
    return ". ".join(edge_title(edge, names) for edge in graph.drawn) or "There are no edges."


def _tip(name: str) -> str:
    return (
        f'<marker id="tip-{name}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
        f'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path class="tip-{name}" d="M0 0 L8 4 L0 8 Z"/></marker>'
    )


def _edge(edge: Edge, layout: Layout, names: dict[str, str]) -> str:
    curves = line(edge, layout)
    drawn = [f"M{_point(curves[0][0])}"]
    drawn += [f"C{' '.join(map(_point, curve[1:]))}" for curve in curves]
    name = CLASSES[edge.ground]
    told = escape(edge_title(edge, names))
    path = " ".join(drawn)
    shape = f'd="{path}" marker-end="url(#tip-{name})"'
    return f'<g><title>{told}</title><path class="{name}" {shape}/></g>'


def _point(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _label(edge: Edge, layout: Layout) -> Iterator[str]:
    count = seen_text(edge)
    if not count:
        return
    x, y = label_point(line(edge, layout))
    width = len(count) * SMALL_WIDTH + 8
    yield (
        f'<rect class="label" x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" '
        f'height="16" rx="4"/><text class="small" x="{x:.1f}" y="{y + 4:.1f}" '
        f'text-anchor="middle">{escape(count)}</text>'
    )


def _box(graph: Graph, box: Box, layout: Layout) -> Iterator[str]:
    node = box.node
    yield f"<g>{_title(node)}"
    yield _rect(node, box, _radius(node))
    x = box.x + PADDING
    yield f'<text x="{x:.1f}" y="{box.y + 19:.1f}">{escape(node.name)}</text>'
    yield f'<text class="small" x="{x:.1f}" y="{box.y + 35:.1f}">{escape(detail(node))}</text>'
    for command in graph.commands(node):
        row = layout.boxes[command.id]
        inner = Box(command, row.x + 6, row.y + 1, row.width - 12, ROW_HEIGHT - 3)
        yield f"<g>{_title(command)}{_rect(command, inner, 5)}"
        place = f'x="{inner.x + 8:.1f}" y="{inner.y + 16:.1f}"'
        yield f"<text {place}>{escape(command.name)}</text></g>"
    yield "</g>"


def _title(node: Node) -> str:
    return f"<title>{escape(title(node))}</title>"


def _rect(node: Node, box: Box, radius: int) -> str:
    classes: list[str] = [node.kind]
    if node.is_public:
        classes.append("public")
    if not node.is_declared:
        classes.append("undeclared")
    return (
        f'<rect class={quoteattr(" ".join(classes))} x="{box.x:.1f}" y="{box.y:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius}"/>'
    )


def _radius(node: Node) -> int:
    return {"handler": BOX_HEIGHT // 2, "projection": 12}.get(node.kind, 4)


def _legend_width(ground: Ground) -> float:
    return 44 + len(LEGEND[ground]) * CHARACTER_WIDTH * 11 / 13 + 24


def _legend(shown: list[Ground], top: float) -> Iterator[str]:
    x, y = float(MARGIN), top + LEGEND_HEIGHT / 2 - 8
    for ground in shown:
        name = CLASSES[ground]
        yield (
            f'<path class="{name}" d="M{x:.1f} {y:.1f} L{x + 34:.1f} {y:.1f}" '
            f'marker-end="url(#tip-{name})"/>'
            f'<text class="small" x="{x + 42:.1f}" y="{y + 4:.1f}">{escape(LEGEND[ground])}</text>'
        )
        x += _legend_width(ground)
