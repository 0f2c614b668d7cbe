from __future__ import annotations

import pytest

from dolittle_cli.wildcards import has_wildcard, wildcard


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("Table *", "Table 1", True),
        ("Table *", "Table", False),
        ("Table ?", "Table 12", False),
        ("*", "", True),
        ("a.c", "abc", False),
        ("[a]", "a", False),
        ("[a]", "[a]", True),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        ("a*", "a\nb", True),
    ],
)
def test_a_pattern_says_which_names_are_like_it(pattern: str, name: str, expected: bool) -> None:
    assert (wildcard(pattern).fullmatch(name) is not None) is expected


def test_a_name_is_no_pattern() -> None:
    assert not has_wildcard("Table [1]")
    assert has_wildcard("Table ?")
