"""The JSON body of a request: its limits, and what of JSON is not taken."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from starlette.requests import Request

from dolittle.runtime.http.problems import BodyTooLarge, NotJson, UnsupportedMediaType
from dolittle.serialization import NESTING_MAX

BODY_BYTES_MAX: Final = 1024 * 1024


async def read_json(request: Request) -> Any:
    """Read the body of a request as JSON; an empty body is an empty object.

    Raises:
        UnsupportedMediaType: There is a body and its content type is not ``application/json``.
        BodyTooLarge: It is over ``BODY_BYTES_MAX``.
        NotJson: It is no JSON in UTF-8, nests deeper than ``NESTING_MAX``, or an object in it
            has a name twice.
    """
    body = await _read(request)
    media_type = request.headers.get("content-type", "")
    if (body or media_type) and media_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType(
            f"the body is {media_type!r}" if media_type else "the body has no content type",
            hint="send JSON with the header: Content-Type: application/json",
        )
    return parse_json(body) if body else {}


async def read_object(request: Request) -> dict[str, Any]:
    """Read the body of a request as a JSON object.

    Raises:
        NotJson: It is another kind of JSON; and what :func:`read_json` raises.
    """
    value = await read_json(request)
    if not isinstance(value, dict):
        raise NotJson("the body is no JSON object", hint='send an object: {"name": value, …}')
    return value


def parse_json(body: bytes) -> Any:
    """Parse JSON from outside.

    Raises:
        NotJson: See :func:`read_json`.
    """
    try:
        value = msgspec.json.decode(body)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotJson(
            f"the body is no JSON: {error}", hint="check its quotes and commas"
        ) from error
    if _depth(value) > NESTING_MAX:
        raise _too_deep()
    # A name given twice means different things to different readers (RFC 8259, section 4).
    json.loads(body, object_pairs_hook=_refuse_duplicates, parse_int=str, parse_float=str)
    return value


async def _read(request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > BODY_BYTES_MAX:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(
        f"the body is larger than {BODY_BYTES_MAX:,} bytes",
        hint="send less at once, or keep large data elsewhere and commit its name",
    )


def _too_deep() -> NotJson:
    return NotJson(f"the body nests deeper than {NESTING_MAX} levels")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise NotJson(f"an object in the body has the name {twice!r} twice", hint="keep one")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        if depth > NESTING_MAX:
            break
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
