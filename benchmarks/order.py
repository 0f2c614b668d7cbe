"""The event that everything here stores, and the shapes of log it is stored in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

TYPE: Final = "OrderPlaced"
AGGREGATE: Final = "Customer"
SOURCES: Final = 1_000
ONE: Final = "customer-one"
"""The event source whose aggregate instance is loaded."""

ONE_EVENTS: Final = 10_000


class Order(NamedTuple):
    """One event: what it is about, how many its event source has with it, and its content."""

    source: str
    version: int
    content: bytes


def content(number: int) -> bytes:
    """Return the JSON of one event's content: 150 bytes, give or take a digit."""
    return (
        b'{"number":%d,"customer":"customer-%03d","dish":"Bean Blaster Taco","quantity":%d,'
        b'"price":"%d.50","currency":"EUR","is_paid":true,"note":"no onions, please"}'
    ) % (number, number % SOURCES, number % 9 + 1, number % 90 + 10)


def plain_json_bytes(order: Order) -> int:
    """Return the size of an event's own JSON: an object of its type, source and content."""
    frame = {"type": TYPE, "source": order.source, "content": None}
    return len(json.dumps(frame, separators=(",", ":"))) - len("null") + len(order.content)


def round_robin(commits: int, events: int) -> list[list[Order]]:
    """Return commits of some events each; the event sources take turns."""
    return [
        [_order(commit * events + index) for index in range(events)] for commit in range(commits)
    ]


def of_writer(writer: int, commits: int) -> list[list[Order]]:
    """Return commits of one event each, all of one event source, as one of many writers."""
    return [[Order(f"writer-{writer}", number + 1, content(number))] for number in range(commits)]


def with_one(events: int, events_per_commit: int) -> Iterator[list[Order]]:
    """Yield commits; every so many of them is the one event source's, until it has 10,000 events.

    The others' commits are those of 1,000 event sources in turn.
    """
    every = max(events // ONE_EVENTS, 2)
    ones = others = 0
    for commit in range(events // events_per_commit):
        made = []
        for _ in range(events_per_commit):
            if commit % every == 0 and ones < ONE_EVENTS:
                ones += 1
                made.append(Order(ONE, ones, content(ones)))
            else:
                made.append(_order(others))
                others += 1
        yield made


def _order(number: int) -> Order:
    return Order(f"customer-{number % SOURCES:03}", number // SOURCES + 1, content(number))
