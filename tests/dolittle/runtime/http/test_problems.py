from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dolittle import errors
from dolittle.errors import DolittleError, RuleViolation
from dolittle.runtime.http.problems import HTTP_ERRORS, STATUSES, problem, status_of, title_of

DOCS = Path(__file__).parents[4] / "docs" / "reference"


def documented(name: str, pattern: str) -> dict[str, str]:
    return dict(re.findall(pattern, (DOCS / name).read_text(), flags=re.MULTILINE))


def test_a_problem_has_the_members_of_the_standard_and_a_hint() -> None:
    response = problem(RuleViolation("No.", hint="Ask again."))
    assert response.status_code == 409
    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "urn:dolittle:problem:rule-violation",
        "title": "Rule violation",
        "status": 409,
        "detail": "No.",
        "hint": "Ask again.",
    }


def test_an_error_without_a_status_of_its_own_has_that_of_its_kind() -> None:
    class TooHot(RuleViolation):
        code = "too-hot"

    assert status_of(TooHot("The oven is too hot.")) == 409
    assert status_of(DolittleError("?")) == 500


def test_the_documented_statuses_are_those_that_are_answered() -> None:
    listed = documented("errors.md", r"^\| `([a-z-]+)` .*\| (\d{3}) \|$")
    known = {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, DolittleError)
    }
    assert listed
    for code, status in listed.items():
        found = next((STATUSES[base] for base in known[code].__mro__ if base in STATUSES), 500)
        assert (code, status) == (code, str(found))


def test_every_problem_of_http_is_documented() -> None:
    listed = documented("http.md", r"^\| `([a-z-]+)` \| (\d{3}) \|")
    assert {kind.code: str(kind.status) for kind in HTTP_ERRORS}.items() <= listed.items()


@pytest.mark.parametrize("kind", HTTP_ERRORS)
def test_a_title_is_a_sentence(kind: type[DolittleError]) -> None:
    assert title_of(kind.code)[0].isupper()
    assert "-" not in title_of(kind.code)
