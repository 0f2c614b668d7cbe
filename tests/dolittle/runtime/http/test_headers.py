from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from dolittle.runtime.http.headers import request_digest, trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f"00-{TRACE}-{PARENT}-00", TRACE),
        (f"01-{TRACE}-{PARENT}-01", TRACE),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", TRACE),
        (f"00-{TRACE}-{PARENT}-01-more", ""),
        (f"ff-{TRACE}-{PARENT}-01", ""),
        (f"00-{'0' * 32}-{PARENT}-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE.upper()}-{PARENT}-01", ""),
        (f"00-{TRACE}-{PARENT}", ""),
        (f"00-{TRACE[:-1]}-{PARENT}-01", ""),
        (f"cc-{TRACE}-{PARENT}-01.x", ""),
        ("", ""),
    ],
)
def test_an_invalid_traceparent_is_ignored(value: str, expected: str) -> None:
    assert trace_id(Headers({"traceparent": value})) == expected


def test_a_request_is_recognised_whatever_the_order_of_its_names() -> None:
    first = request_digest("POST", ("events",), {"a": 1, "b": 2})
    assert first == request_digest("POST", ("events",), {"b": 2, "a": 1})
    assert first != request_digest("POST", ("events",), {"a": 1, "b": 3})
    assert first != request_digest("POST", ("other",), {"a": 1, "b": 2})
