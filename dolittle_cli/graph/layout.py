"""Places for the graph's boxes and lines: columns for each microservice, ordered by who is near."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dolittle_cli.graph.model import Edge, Graph, Node, detail

CHARACTER_WIDTH: Final = 7.9
"""Of a 13 px monospaced font, a little more than fonts take, in px."""

SMALL_WIDTH: Final = 6.7
"""Of an 11 px monospaced font, in px."""

PADDING: Final = 14
ROW_HEIGHT: Final = 26
BOX_HEIGHT: Final = 44
BOX_WIDTH_MIN: Final = 130
ROW_GAP: Final = 18
COLUMN_GAP: Final = 130
MARGIN: Final = 24
TITLE_HEIGHT: Final = 40
ROUNDS: Final = 4
"""How often the columns are ordered by their neighbours, there and back."""


@dataclass(frozen=True)
class Box:
    """A node's place, in px from the upper left corner of the drawing."""

    node: Node
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The height at which its lines begin and end."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Panel:
    """A microservice's place: all of its boxes lie in it."""

    name: str
    y: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything is."""

    panels: tuple[Panel, ...]
    boxes: dict[str, Box]
    width: float
    height: float


def lay_out(graph: Graph) -> Layout:
    """Return a place for every node.

    Aggregates with their commands are in the first column, events in the second, handlers,
    projections and the public stream in the third; the columns stand at the same place in
    every microservice.
    """
    columns = [
        (
            graph.of(name, "aggregate"),
            graph.of(name, "event"),
            graph.of(name, "handler", "projection", "stream"),
        )
        for name in graph.microservices
    ]
    widths = [
        max((_width(graph, node) for column in columns for node in column[i]), default=0.0)
        for i in range(3)
    ]
    lefts: list[float] = []
    x = float(2 * MARGIN)
    for width in widths:
        lefts.append(x)
        x += width + COLUMN_GAP if width else 0
    total = max(x - COLUMN_GAP + 2 * MARGIN, 420.0)
    boxes: dict[str, Box] = {}
    panels = []
    top = float(MARGIN)
    for name, column in zip(graph.microservices, columns, strict=True):
        height = _panel(graph, _ordered(graph, column), lefts, widths, top + TITLE_HEIGHT, boxes)
        panels.append(Panel(name, top, TITLE_HEIGHT + height + MARGIN))
        top += TITLE_HEIGHT + height + 2 * MARGIN
    return Layout(tuple(panels), boxes, total, top)


def _panel(
    graph: Graph,
    columns: Sequence[Sequence[Node]],
    lefts: Sequence[float],
    widths: Sequence[float],
    top: float,
    boxes: dict[str, Box],
) -> float:
    """Place the boxes of one microservice; return the height that they take."""
    heights = [
        sum(_height(graph, node) for node in column) + ROW_GAP * max(len(column) - 1, 0)
        for column in columns
    ]
    tallest = max([*heights, float(BOX_HEIGHT)])
    for column, x, width, height in zip(columns, lefts, widths, heights, strict=True):
        y = top + (tallest - height) / 2
        for node in column:
            box = Box(node, x, y, width, _height(graph, node))
            boxes[node.id] = box
            for row, command in enumerate(graph.commands(node)):
                boxes[command.id] = Box(
                    command, x, y + BOX_HEIGHT + row * ROW_HEIGHT, width, ROW_HEIGHT
                )
            y += box.height + ROW_GAP
    return tallest


def _width(graph: Graph, node: Node) -> float:
    texts = [len(node.name) * CHARACTER_WIDTH, len(detail(node)) * SMALL_WIDTH]
    texts += [len(command.name) * CHARACTER_WIDTH + PADDING for command in graph.commands(node)]
    return max(max(texts) + 2 * PADDING, BOX_WIDTH_MIN)


def _height(graph: Graph, node: Node) -> float:
    commands = len(graph.commands(node))
    return BOX_HEIGHT + commands * ROW_HEIGHT + (6 if commands else 0)


def _ordered(graph: Graph, columns: Sequence[Sequence[Node]]) -> list[list[Node]]:
    """Order each column by the mean place of its neighbours in the column beside it.

    Source: Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical system
    structures", 1981: the barycenter method.
    """
    ordered = [list(column) for column in columns]
    links = _links(graph)
    for round in range(ROUNDS):
        pairs = [(0, 1), (1, 2)] if round % 2 == 0 else [(2, 1), (1, 0)]
        for fixed, moved in pairs:
            places = _places(graph, ordered[fixed])
            known = {node.id: float(place) for place, node in enumerate(ordered[moved])}
            means = {node: _mean(links.get(node, ()), places, known[node]) for node in known}
            ordered[moved].sort(key=lambda node: means[node.id])
    return ordered


def _places(graph: Graph, column: Sequence[Node]) -> dict[str, float]:
    """Return the place of each node of a column; those of commands lie within their aggregate."""
    places: dict[str, float] = {}
    for place, node in enumerate(column):
        places[node.id] = float(place)
        commands = graph.commands(node)
        for row, command in enumerate(commands, start=1):
            places[command.id] = place + row / (len(commands) + 1) - 0.5
    return places


def _links(graph: Graph) -> dict[str, list[str]]:
    """Return the neighbours of each node; what leads from a command leads from its aggregate."""
    owners = {node.id: node.owner or node.id for node in graph.nodes}
    links: dict[str, list[str]] = {}
    for edge in graph.drawn:
        links.setdefault(owners[edge.start], []).append(edge.stop)
        links.setdefault(owners[edge.stop], []).append(edge.start)
    return links


def _mean(neighbours: Sequence[str], places: dict[str, float], otherwise: float) -> float:
    found = [places[node] for node in neighbours if node in places]
    return sum(found) / len(found) if found else otherwise


Point = tuple[float, float]
Curve = tuple[Point, Point, Point, Point]
"""A cubic curve: where it begins, two points that pull it, where it ends."""


def line(edge: Edge, layout: Layout) -> list[Curve]:
    """Return the curves that lead from one box to another.

    A line to the right leaves at the right edge and arrives at the left one. A line back, from a
    handler to an event or a command, leaves at the left edge and arrives at the right one, and
    passes other boxes through a gap between them.
    """
    start, stop = layout.boxes[edge.start], layout.boxes[edge.stop]
    if start.x < stop.x:
        return [_curve((start.x + start.width, start.middle), (stop.x, stop.middle))]
    # Lines back run a little lower than those that go forth.
    y1 = start.y + start.height * 0.75
    y2 = stop.y + stop.height * (0.75 if stop.height > ROW_HEIGHT else 0.6)
    if start.x == stop.x:
        x = start.x + start.width
        bend = x + COLUMN_GAP / 2
        return [((x, y1), (bend, y1), (bend, y2), (x, y2))]
    begin, end = (start.x, y1), (stop.x + stop.width, y2)
    between = [
        box
        for box in layout.boxes.values()
        if stop.x < box.x < start.x and box.node.microservice == start.node.microservice
    ]
    if not between:
        return [_curve(begin, end)]
    left, right = between[0].x, between[0].x + between[0].width
    y = _gap(between, (y1 + y2) / 2)
    return [
        _curve(begin, (right, y)),
        ((right, y), (right, y), (left, y), (left, y)),
        _curve((left, y), end),
    ]


def label_point(curves: Sequence[Curve]) -> Point:
    """Return where a line's count stands: in its gap, or near its end, where lines are apart."""
    curve, t = (curves[1], 0.5) if len(curves) > 1 else (curves[0], 0.75)
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    x, y = (sum(w * point[i] for w, point in zip(weights, curve, strict=True)) for i in (0, 1))
    return x, y


def _curve(start: Point, stop: Point) -> Curve:
    bend = (stop[0] - start[0]) / 2
    return start, (start[0] + bend, start[1]), (stop[0] - bend, stop[1]), stop


def _gap(boxes: Sequence[Box], wanted: float) -> float:
    """Return the height of the gap between boxes of one column that is nearest to a height."""
    tops = sorted((box.y, box.y + box.height) for box in boxes)
    gaps = [tops[0][0] - ROW_GAP / 2, tops[-1][1] + ROW_GAP / 2]
    gaps += [(above[1] + below[0]) / 2 for above, below in itertools.pairwise(tops)]
    return min(gaps, key=lambda y: abs(y - wanted))
