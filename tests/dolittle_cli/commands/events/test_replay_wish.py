from __future__ import annotations

import pytest

from dolittle_cli.commands.events.replay_wish import check_only, mode_of, parse_speed
from dolittle_cli.errors import WrongUsage


@pytest.mark.parametrize(
    ("text", "speed"), [("max", 0.0), ("original", 1.0), ("10x", 10.0), ("0.5x", 0.5)]
)
def test_a_speed_is_read(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "x", "10", "0x", "-2x", "1e3x", "2X", "9999999x", "nanx"])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match="is no speed"):
        parse_speed(text)


def test_at_most_one_mode_is_asked_for() -> None:
    assert mode_of({"--shadow": False, "--stop": False}) == ""
    assert mode_of({"--shadow": True, "--stop": False}) == "--shadow"
    with pytest.raises(WrongUsage, match="--shadow and --stop do not go together"):
        mode_of({"--shadow": True, "--stop": True})


def test_a_mode_takes_only_the_options_that_mean_something_in_it() -> None:
    check_only("--shadow", ["--projection", "-n"])
    check_only("--stop", ["--handler"])
    with pytest.raises(WrongUsage, match="--dry-run means nothing with --shadow"):
        check_only("--shadow", ["--dry-run"])
