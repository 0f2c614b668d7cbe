"""Texts that regular expressions match."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle_cli.scaffold.patterns import matching_text


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}$", "@", r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", "^(foo|bar)+$", "^[A-Z]{2}-\\d+$",
        r"^\+?[0-9 ]{8,15}$", "^https?://", r"\b\w+\b", "(?i)^abc$", "^$", "^a|b$", r"^[\w.-]+$",
        r"^[^a-z]$", r"^\D\W\S$", "^(?:x(?P<n>y)?)*?$", "^.{3}$", "^[^\\W\\d]+$",
    ],
)  # fmt: skip
def test_a_plain_pattern_gets_a_text_that_it_matches(pattern: str) -> None:
    text = matching_text(pattern)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=x)y", "(?<!a)b", "a{1000}", "(?!)"])
def test_what_is_not_understood_gets_none(pattern: str) -> None:
    assert matching_text(pattern) is None


@given(st.text(alphabet=r"ab01.*+?[](){}|^$\dws-", max_size=12))
def test_what_is_made_up_always_matches(pattern: str) -> None:
    text = matching_text(pattern)
    assert text is None or re.search(pattern, text)
