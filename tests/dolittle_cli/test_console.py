from __future__ import annotations

import io
import json
import select
import signal
import subprocess
import sys

import pytest

from dolittle_cli.console import Console, printable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stdout be a terminal of 20 columns; in the test itself, where pytest leaves it alone."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_json_is_one_line_and_keeps_letters_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Console().json({"dish": "Käse\nTaco"})
    assert capsys.readouterr().out == '{"dish": "Käse\\nTaco"}\n'


def test_json_stays_json_where_stdout_takes_ascii_only(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    Console().json({"dish": "Käse"})
    assert json.loads(written.getvalue()) == {"dish": "Käse"}


def test_notes_warnings_and_errors_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.note("a")
    console.warning("b")
    console.error("c", "d")
    console.error("e")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "a\nwarning: b\nerror: c\nhint: d\nerror: e\n"


def test_a_table_is_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(("name", "id"), [("a", "x" * 300), ("寿司", "y")])
    assert capsys.readouterr().out.splitlines() == ["NAME  ID", "a     " + "x" * 300, "寿司  y"]


def written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    use_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    assert isinstance(sys.stdout, Terminal)
    return sys.stdout


def test_a_table_that_does_not_fit_into_the_terminal_stands_upright_and_is_not_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = written_to_a_terminal(monkeypatch)
    Console().table(("name", "per second"), [("a" * 30, "1"), ("b", "2")])
    Console().table(("name", "per second"), [("b" * 8, "2")])
    assert terminal.getvalue().splitlines() == [
        "NAME        " + "a" * 30,
        "PER SECOND  1",
        "",
        "NAME        b",
        "PER SECOND  2",
        "NAME      PER SECOND",
        "bbbbbbbb  2",
    ]


def test_a_row_that_stands_upright_keeps_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = written_to_a_terminal(monkeypatch)
    rows, prefixes = [("a" * 20, "1"), ("b", "")], ("bar | ", "tea | ")
    Console().table(("name", "no"), rows, prefixes=prefixes)
    assert terminal.getvalue().splitlines() == [
        "bar | NAME  " + "a" * 20,
        "bar | NO    1",
        "tea |",
        "tea | NAME  b",
        "tea | NO",
    ]


def test_a_sentence_is_broken_between_words_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Console().sentence("yes  ", "its position is past it, by a long way")
    assert capsys.readouterr().out == "yes  its position is past it, by a long way\n"
    terminal = written_to_a_terminal(monkeypatch)
    Console().sentence("yes  ", "its position is past it")
    Console().sentence("no   ", f"{'x' * 30} is unknown")
    assert terminal.getvalue().splitlines() == [
        "yes  its position is",
        "     past it",
        "no   " + "x" * 30,
        "     is unknown",
    ]


def test_control_characters_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(("name",), [("red\033[31m\nline",)])
    assert capsys.readouterr().out.splitlines() == ["NAME", "red\\x1b[31m\\nline"]
    assert printable("Käse 寿司") == "Käse 寿司"


def test_colour_is_for_terminals_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    use_terminal(monkeypatch)
    assert Console().bold("x") != "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Console().bold("x") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert Console().bold("x") == "x"


def test_there_is_no_colour_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert Console().bold("x") == "x"


def test_a_line_is_cut_at_the_edge_of_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    use_terminal(monkeypatch)
    assert Console().cut("12345  ", "abcdefghijklmnop") == "12345  abcdefghijkl…"
    assert Console().cut("12345  ", "abcdefghijklm") == "12345  abcdefghijklm"
    assert Console().cut("1" * 30, "abc") == "1" * 30
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert Console().cut("12345  ", "abcdefghijklmnop") == "12345  abcdefghijklmnop"


def test_progress_is_for_terminals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Console().progress("half")
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    Console().progress("half")
    assert terminal.getvalue() == "\r\033[Khalf"


@pytest.mark.parametrize(
    ("answer", "is_yes"),
    [("y\n", True), ("YES\n", True), ("\n", False), ("", False), ("n\n", False), ("yep\n", False)],
)
def test_only_a_yes_is_a_yes(
    answer: str,
    is_yes: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert Console().confirm("replay?") is is_yes
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "replay? [y/N] ")


def test_the_first_ctrl_c_ends_a_question_that_an_event_loop_asks() -> None:
    code = (
        "import asyncio\n"
        "from dolittle_cli.console import Console\n"
        "async def ask() -> None:\n"
        "    print(Console().confirm('replay?'))\n"
        "try:\n"
        "    asyncio.run(ask())\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asking:
        assert asking.stderr is not None
        assert asking.stdout is not None
        try:
            assert asking.stderr.read(len("replay? [y/N] ")) == "replay? [y/N] "
            asking.send_signal(signal.SIGINT)
            assert select.select([asking.stdout], [], [], 20)[0], "it goes on waiting"
            assert asking.stdout.read() == "interrupted\n"
        finally:
            asking.kill()
