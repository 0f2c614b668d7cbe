from __future__ import annotations

import pytest

from dolittle.runtime.reports import (
    Changed,
    EndedEarly,
    Failed,
    Loaded,
    ProcessorReport,
    ReloadPaused,
    Report,
    Serving,
    TenantReport,
    TooSlow,
    from_line,
    to_line,
)
from dolittle_cli.hosting_lines import HostingLines, Setting

SERVING = Serving(
    "kitchen",
    ["DishPrepared"],
    ["Kitchen"],
    ["DishHandler"],
    [],
    [
        TenantReport(
            "development",
            "file",
            "/data/development",
            "os",
            1_234,
            "process 7",
            [ProcessorReport("DishHandler", "handler", 1_200, 34, 2)],
        ),
        TenantReport("north", "file", "/data/north", "fsync", 1, processors=[]),
    ],
    has_own_application=True,
)


@pytest.fixture
def lines() -> HostingLines:
    return HostingLines(Setting("http://127.0.0.1:8000", "on", (("more", "to say"),)))


def test_the_banner_tells_every_tenant(lines: HostingLines) -> None:
    assert lines.lines(SERVING) == [
        "kitchen  http://127.0.0.1:8000",
        "  store        development: /data/development, 1,234 events",
        "               north: /data/north, 1 event",
        "  durability   development: os: an answered commit survives a crash of the process, "
        "not one of the machine",
        "  delivery     development: process 7 delivers; this one takes over when it ends",
        "  event types  DishPrepared",
        "  aggregates   Kitchen",
        "  handlers     development: DishHandler  position 1200, lag 34, 2 partitions failing",
        "  projections  none",
        "  own routes   app in api.py, for what no built-in route answers",
        "  reload       on",
        "  more         to say",
        "  look around  http://127.0.0.1:8000/openapi.json, dolittle events tail",
        "  stop         Ctrl-C; once more: at once",
    ]


def test_the_banner_is_shown_once(lines: HostingLines) -> None:
    lines.lines(SERVING)
    assert lines.lines(SERVING) == [
        "serving again: 1 event type, 1 aggregate, 1 handler, 0 projections"
    ]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (Loaded("kitchen"), []),
        (
            Failed("declarations", "one\n  two", "mend it"),
            ["error: one", "  two", "hint: mend it"],
        ),
        (Failed("x", "one\x1b[31m"), ["error: one\\x1b[31m"]),
        (Changed(["a.py", "b.py"]), ["changed: a.py, b.py; loading the code again"]),
        (Changed(list("abcd")), ["changed: 4 files; loading the code again"]),
        (
            EndedEarly("exit code 1"),
            ["error: the microservice's process ended by itself (exit code 1)"],
        ),
        (
            ReloadPaused(10, 10.0, 3.0, ["a.py"]),
            [
                "warning: a.py changed 10 times in 10 s: does the code write into its own folder?",
                "hint: reloading waits until nothing has changed for 3 s",
            ],
        ),
        (
            TooSlow(10.0),
            [
                "warning: what it had in hand took more than 10 s, so its process was ended; "
                "an event in hand is handled again"
            ],
        ),
    ],
)
def test_a_report_is_told_in_words(
    lines: HostingLines, report: Report, expected: list[str]
) -> None:
    assert lines.lines(report) == expected


def test_what_goes_through_the_pipe_comes_out_the_same() -> None:
    line = to_line(SERVING)
    assert line.count(b"\n") == 1
    assert from_line(line) == SERVING
