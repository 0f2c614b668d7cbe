"""Answers about commits: what was committed, and requests that are sent twice on purpose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import msgspec

from dolittle.errors import CommitIdReused, DolittleError
from dolittle.execution import execution_context
from dolittle.runtime.event_json import event_json
from dolittle.runtime.http.call import Call
from dolittle.runtime.http.headers import (
    REQUEST_CLAIM,
    VALUE_CLAIM,
    idempotency_key,
    request_digest,
)
from dolittle.store import CommittedEvents

VALUE_BYTES_MAX: Final = 4 * 1024
"""A command's value that is longer as JSON is not kept for a repeated request."""

Outcome = tuple[CommittedEvents | None, Any]
"""What was committed, and the value that the command returned."""

Keep = Callable[[Any], None]
"""Notes down the value that a command returned, before its commit is made."""


async def once(call: Call, body: Any, work: Callable[[str, Keep], Awaitable[Outcome]]) -> Outcome:
    """Do work that commits, once for each ``Idempotency-Key``.

    The key becomes the commit's id. A digest of the request and the value that the command
    returned are kept as claims of the commit, so that a request that comes again is given the
    same answer, for ever and after every restart.

    Args:
        call: The request.
        body: Its body; another body under the same key is another request.
        work: Gets the commit's id, empty where there is no key, and commits.

    Raises:
        CommitIdReused: The key was used for another request.
        DolittleError: What ``work`` raises.
    """
    key = idempotency_key(call.request.headers)
    if not key:
        outcome = await work("", _forget)
        _count(call, outcome[0])
        return outcome
    digest = request_digest(call.request.method, call.segments, body)
    known = await _answered_before(call, key, digest)
    if known is not None:
        return known
    claims = {**call.context.claims, REQUEST_CLAIM: digest}

    def keep(value: Any) -> None:
        encoded = msgspec.json.encode(value)
        if len(encoded) <= VALUE_BYTES_MAX:
            claims[VALUE_CLAIM] = encoded.decode()

    try:
        with execution_context(replace(call.context, claims=claims)):
            outcome = await work(key, keep)
    except DolittleError:
        # The same request may have come twice at once, and the other one have won.
        known = await _answered_before(call, key, digest)
        if known is None:
            raise
        return known
    if outcome[0] is not None and outcome[0].is_repeat:
        _check_digest(outcome[0], key, digest)
        return outcome[0], _kept_value(outcome[0])
    _count(call, outcome[0])
    return outcome


def committed_json(call: Call, committed: CommittedEvents | None) -> dict[str, Any]:
    """Return what was committed as JSON-like values.

    The keys are ``commit position is_repeat events``; ``commit`` and ``position`` are ``None``
    where a command applied no event.
    """
    if committed is None:
        return {"commit": None, "position": None, "is_repeat": False, "events": []}
    definition = call.microservice.definition
    tenant = call.microservice.tenant
    return {
        "commit": committed.id,
        "position": committed.position,
        "is_repeat": committed.is_repeat,
        "events": [event_json(event, definition.event_types, tenant) for event in committed.events],
    }


async def _answered_before(call: Call, key: str, digest: str) -> Outcome | None:
    known = await call.microservice.store.find_commit(key)
    if known is None:
        return None
    _check_digest(known, key, digest)
    return msgspec.structs.replace(known, is_repeat=True), _kept_value(known)


def _kept_value(committed: CommittedEvents) -> Any:
    kept = committed.events[0].commit.claims.get(VALUE_CLAIM)
    return None if kept is None else msgspec.json.decode(kept)


def _forget(_value: Any) -> None:
    """Keep nothing: without a key the request is another one when it comes again."""


def _check_digest(committed: CommittedEvents, key: str, digest: str) -> None:
    if committed.events[0].commit.claims.get(REQUEST_CLAIM) != digest:
        raise CommitIdReused(key)


def _count(call: Call, committed: CommittedEvents | None) -> None:
    if committed is not None and not committed.is_repeat:
        call.counters.commits[call.microservice.tenant] += 1
