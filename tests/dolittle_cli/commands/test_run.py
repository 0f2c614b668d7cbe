"""``dolittle run`` as a person uses it: real processes, real ports, real signals."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

BOUND_S = 20.0

KITCHEN = '''\
"""The kitchen."""

import logging

from dolittle import (
    AggregateRoot,
    RuleViolation,
    aggregate_root,
    event_handler,
    event_type,
    handles,
    on,
    projection,
)

log = logging.getLogger(__name__)


@event_type
class DishPrepared:
    dish: str
    chef: str


@aggregate_root
class Kitchen(AggregateRoot):
    ingredients: int = 2

    def prepare_dish(self, dish: str, chef: str) -> None:
        if self.ingredients == 0:
            raise RuleViolation("We have run out of ingredients, sorry!")
        self.apply(DishPrepared(dish=dish, chef=chef))

    @on(DishPrepared)
    def on_dish_prepared(self, event: DishPrepared) -> None:
        self.ingredients -= 1


@event_handler
class DishHandler:
    @handles(DishPrepared)
    def announce(self, event: DishPrepared) -> None:
        log.info("%s has prepared %s. Yummm!", event.chef, event.dish)


@projection
class DishCounter:
    dish: str
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_dish_prepared(self, event: DishPrepared) -> None:
        self.dish = event.dish
        self.count += 1
'''
SLOW = KITCHEN.replace(
    "        log.info(", '        log.info("slowly")\n        time.sleep(60)\n        log.info('
).replace("import logging", "import logging\nimport time")


def make_project(folder: Path, code: str = KITCHEN, name: str = "kitchen") -> Path:
    (folder / "kitchen").mkdir(parents=True)
    (folder / "dolittle.toml").write_text(f'[microservice]\nname = "{name}"\npackage = "kitchen"\n')
    (folder / "kitchen" / "__init__.py").write_text(code)
    return folder


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    """A microservice's folder."""
    return make_project(tmp_path.resolve() / "kitchen")


class Running:
    """A ``dolittle run`` under way, with what it has written so far."""

    def __init__(self, project: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dolittle_cli", "run", *arguments],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until(self, wanted: str) -> str:
        """Return the next line that matches a pattern."""
        end = time.monotonic() + BOUND_S
        while True:
            try:
                line = self._new.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {wanted!r} within {BOUND_S} s:\n{self.text}") from None
            if line is None:
                raise AssertionError(f"ended without {wanted!r}:\n{self.text}")
            self.lines.append(line)
            if re.search(wanted, line):
                return line

    def url(self) -> str:
        """Wait until it serves; return where."""
        found = re.search(r"http://\S+", self.until(r"  http://"))
        assert found
        self.until("stop  ")
        return found[0]

    def wait(self) -> int:
        """Wait for its end; return the exit code."""
        code = self.process.wait(BOUND_S)
        self._reader.join(BOUND_S)
        while not self._new.empty():
            line = self._new.get()
            if line is not None:
                self.lines.append(line)
        return code

    def signal_and_wait(self, number: int) -> tuple[int, float]:
        """Send a signal; return the exit code, and the seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.wait(), time.monotonic() - began

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.send_signal(signal.SIGINT)
            self.process.wait(BOUND_S)
        assert self.process.stdout is not None
        self._reader.join(BOUND_S)
        self.process.stdout.close()


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(project: Path, *arguments: str) -> Running:
        started.append(Running(project, *arguments))
        return started[-1]

    yield start
    for running in started:
        running.end()


def prepare(url: str, dish: str = "Bean Blaster Taco") -> dict[str, Any]:
    answer = httpx.post(
        f"{url}/aggregates/Kitchen/Dolittle%20Tacos/prepare_dish",
        json={"dish": dish, "chef": "Mr. Taco"},
        timeout=BOUND_S,
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def save(project: Path, code: str) -> None:
    (project / "kitchen" / "__init__.py").write_text(code)


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def wait_for_end_of(pid: int) -> None:
    end = time.monotonic() + BOUND_S
    while Path(f"/proc/{pid}").exists():
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            return
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.01)


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
modes = pytest.mark.parametrize("mode", [(), ("--no-reload",)], ids=["reload", "no-reload"])


@modes
def test_it_says_what_it_runs_and_where(
    kitchen: Path, run: Callable[..., Running], mode: tuple[str, ...]
) -> None:
    running = run(kitchen, "--port", "0", *mode)
    url = running.url()
    text = running.text
    assert f"kitchen  {url}" in text
    assert f"{kitchen}/.dolittle/development/events, 0 events" in text
    assert re.search(r"event types +DishPrepared", text)
    assert re.search(r"aggregates +Kitchen", text)
    assert re.search(r"handlers +DishHandler +position 0, lag 0", text)
    assert re.search(r"projections +DishCounter +position 0, lag 0", text)
    assert re.search(r"reload +off" if mode else r"reload +on", text)
    assert re.search(r"stop +Ctrl-C", text)
    assert "durability" not in text


@modes
def test_a_command_is_handled_and_projected(
    kitchen: Path, run: Callable[..., Running], mode: tuple[str, ...]
) -> None:
    running = run(kitchen, "--port", "0", *mode)
    url = running.url()
    position = prepare(url)["position"]
    running.until(r"Mr\. Taco has prepared Bean Blaster Taco\. Yummm!$")
    found = httpx.get(
        f"{url}/projections/DishCounter/Bean%20Blaster%20Taco?after_position={position}"
    )
    assert found.json()["document"]["count"] == 1


def test_events_outlive_a_run(kitchen: Path, run: Callable[..., Running]) -> None:
    first = run(kitchen, "--port", "0")
    prepare(first.url())
    first.until("Yummm")
    first.signal_and_wait(signal.SIGINT)
    again = run(kitchen, "--port", "0")
    again.url()
    assert "events, 1 event\n" in again.text
    assert re.search(r"DishHandler +position 1, lag 0", again.text)


def test_an_ephemeral_run_writes_nothing_and_says_so(
    kitchen: Path, run: Callable[..., Running]
) -> None:
    running = run(kitchen, "--port", "0", "--ephemeral")
    prepare(running.url())
    running.until("Yummm")
    running.signal_and_wait(signal.SIGINT)
    assert "in memory, gone at the end, 0 events" in running.text
    assert "nothing is written to disk" in running.text
    assert not (kitchen / ".dolittle").exists()


def test_a_weaker_durability_is_said(kitchen: Path, run: Callable[..., Running]) -> None:
    with (kitchen / "dolittle.toml").open("a") as file:
        file.write('[store]\ndurability = "os"\n')
    running = run(kitchen, "--port", "0")
    running.url()
    assert re.search(r"durability +os: .* not one of the machine", running.text)


# Reloading


def test_a_saved_file_is_served(kitchen: Path, run: Callable[..., Running]) -> None:
    running = run(kitchen, "--port", "0")
    url = running.url()
    prepare(url)
    save(kitchen, KITCHEN.replace("Yummm!", "Delicious!"))
    running.until("changed: kitchen/__init__.py")
    running.until("serving again")
    prepare(url)
    running.until("Delicious!")


def test_a_broken_file_leaves_the_old_code_serving(
    kitchen: Path, run: Callable[..., Running]
) -> None:
    running = run(kitchen, "--port", "0")
    url = running.url()
    save(kitchen, KITCHEN.replace("def on_dish_prepared(self", "def on_dish_prepared(self self"))
    running.until(rf"{kitchen}/kitchen/__init__\.py:\d+: syntax error")
    running.until("goes on serving")
    prepare(url)
    running.until("Yummm!")
    save(kitchen, KITCHEN)
    running.until("serving again")
    prepare(url)


def test_a_declaration_that_cannot_work_is_told_with_its_line(
    kitchen: Path, run: Callable[..., Running]
) -> None:
    running = run(kitchen, "--port", "0")
    running.url()
    save(kitchen, KITCHEN.replace("@handles(DishPrepared)", "@handles(int)"))
    running.until(r"__init__\.py:\d+: DishHandler\.announce: @handles\(int\)")
    running.until("goes on serving")


def test_code_that_is_broken_at_the_start_is_waited_for(
    kitchen: Path, run: Callable[..., Running]
) -> None:
    save(kitchen, "import nope_nope\n")
    running = run(kitchen, "--port", "0")
    running.until(r"__init__\.py:1: .*No module named 'nope_nope'")
    running.until("nothing is served")
    save(kitchen, KITCHEN)
    prepare(running.url())


def test_without_reload_broken_code_is_an_error(kitchen: Path, run: Callable[..., Running]) -> None:
    save(kitchen, "import nope_nope\n")
    running = run(kitchen, "--port", "0", "--no-reload")
    assert running.wait() == 1
    assert running.lines[0] == "error: 'kitchen' cannot be loaded: 1 problem"
    assert "Traceback" not in running.text


def test_its_own_data_does_not_reload_it(kitchen: Path, run: Callable[..., Running]) -> None:
    running = run(kitchen, "--port", "0")
    url = running.url()
    prepare(url)
    prepare(url)
    (kitchen / "kitchen" / "__pycache__").mkdir(exist_ok=True)
    (kitchen / "kitchen" / "__pycache__" / "x.pyc").write_bytes(b"")
    save(kitchen, KITCHEN + "# saved\n")
    assert running.until("changed:") == "changed: kitchen/__init__.py; loading the code again"
    running.until("serving again")
    running.signal_and_wait(signal.SIGINT)
    assert running.text.count("changed:") == 1


def test_a_reload_ends_open_streams_and_they_resume(
    kitchen: Path, run: Callable[..., Running]
) -> None:
    running = run(kitchen, "--port", "0")
    url = running.url()
    prepare(url)
    with httpx.stream("GET", f"{url}/events/stream?from=0", timeout=BOUND_S) as stream:
        lines = stream.iter_lines()
        while next(lines) != "id: 0":
            pass
        save(kitchen, KITCHEN + "# saved\n")
        for _ in lines:
            pass
    running.until("serving again")
    prepare(url)
    headers = {"Last-Event-ID": "0"}
    stream_url = f"{url}/events/stream"
    with httpx.stream("GET", stream_url, headers=headers, timeout=BOUND_S) as stream:
        ids = (line for line in stream.iter_lines() if line.startswith("id: "))
        assert next(ids) == "id: 1"


# Stopping


@modes
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)]
)
def test_it_stops_within_a_second_with_a_stream_open(
    kitchen: Path, run: Callable[..., Running], mode: tuple[str, ...], number: int, code: int
) -> None:
    running = run(kitchen, "--port", "0", *mode)
    url = running.url()
    with httpx.stream("GET", f"{url}/events/stream", timeout=BOUND_S) as stream:
        assert next(stream.iter_lines()) == "retry: 1000"
        exit_code, taken_s = running.signal_and_wait(number)
    assert exit_code == code
    # One second is what is promised; the other one is for a machine that is busy with tests.
    assert taken_s < 2.0
    assert "Traceback" not in running.text


@modes
def test_a_second_ctrl_c_ends_it_at_once(
    tmp_path: Path, run: Callable[..., Running], mode: tuple[str, ...]
) -> None:
    running = run(make_project(tmp_path / "slow", SLOW), "--port", "0", *mode)
    prepare(running.url())
    running.until("slowly$")
    left = children_of(running.process.pid) if sys.platform == "linux" else []
    running.process.send_signal(signal.SIGINT)
    running.until("once more ends at once")
    code, taken_s = running.signal_and_wait(signal.SIGINT)
    assert code == 130
    assert taken_s < 2.0
    for pid in left:
        wait_for_end_of(pid)


@modes
def test_the_event_in_hand_is_finished_first(
    tmp_path: Path, run: Callable[..., Running], mode: tuple[str, ...]
) -> None:
    code = SLOW.replace("time.sleep(60)", "time.sleep(0.8)")
    running = run(make_project(tmp_path / "slow", code), "--port", "0", *mode)
    prepare(running.url())
    running.until("slowly$")
    running.signal_and_wait(signal.SIGINT)
    assert "Mr. Taco has prepared Bean Blaster Taco. Yummm!" in running.text


@linux_only
def test_a_killed_run_leaves_no_process(kitchen: Path, run: Callable[..., Running]) -> None:
    running = run(kitchen, "--port", "0")
    running.url()
    left = children_of(running.process.pid)
    assert left
    running.process.kill()
    running.wait()
    for pid in left:
        wait_for_end_of(pid)


@linux_only
def test_a_process_that_dies_is_started_again(kitchen: Path, run: Callable[..., Running]) -> None:
    running = run(kitchen, "--port", "0")
    url = running.url()
    for pid in children_of(running.process.pid):
        os.kill(pid, signal.SIGKILL)
    running.until(r"ended by itself \(killed by SIGKILL\); it is started again in 0\.5 s")
    running.until("serving again")
    prepare(url)


# Ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_asked_for_port_that_is_taken_is_an_error(
    kitchen: Path, run: Callable[..., Running], taken: int
) -> None:
    running = run(kitchen, "--port", str(taken))
    assert running.wait() == 1
    assert running.lines[0].startswith(f"error: port {taken} on 127.0.0.1 is taken")
    if sys.platform == "linux":
        assert f"by process {os.getpid()} (" in running.lines[0]
    assert re.fullmatch(r"hint: port \d+ is free: --port \d+", running.lines[1])


def test_a_port_in_the_configuration_is_asked_for(
    kitchen: Path, run: Callable[..., Running], taken: int
) -> None:
    with (kitchen / "dolittle.toml").open("a") as file:
        file.write(f"[http]\nport = {taken}\n")
    running = run(kitchen)
    assert running.wait() == 1
    assert f"port {taken} on 127.0.0.1 is taken" in running.lines[0]


def test_the_default_port_moves_on_and_says_so(kitchen: Path, run: Callable[..., Running]) -> None:
    with contextlib.ExitStack() as held:
        # Something else may hold it already; that is just as good.
        with contextlib.suppress(OSError):
            held.enter_context(socket.create_server(("127.0.0.1", 8000)))
        running = run(kitchen)
        running.until(r"^port 8000 is taken, so this is port \d+; choose one with --port N$")
        assert not running.url().endswith(":8000")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--port", "65536"), 2),
        (("--port", "x"), 2),
        (("--host", "192.0.2.1", "--port", "0"), 1),
        (("--allowed-host", "http://x", "--port", "0"), 2),
        (("--project", "nowhere"), 2),
        (("--reloads",), 2),
    ],
)
def test_wrong_input_is_an_error_with_a_hint(
    kitchen: Path, run: Callable[..., Running], arguments: tuple[str, ...], code: int
) -> None:
    running = run(kitchen, *arguments)
    assert running.wait() == code
    assert running.lines[0].startswith("error: ")
    assert "Traceback" not in running.text


def test_outside_a_project_it_says_so(tmp_path: Path, run: Callable[..., Running]) -> None:
    running = run(tmp_path)
    assert running.wait() == 1
    assert "no dolittle.toml" in running.lines[0]


def test_a_broken_configuration_is_told_with_line_and_column(
    kitchen: Path, run: Callable[..., Running]
) -> None:
    (kitchen / "dolittle.toml").write_text('[microservice]\nname = "kitchen\n')
    running = run(kitchen)
    assert running.wait() == 1
    assert re.search(r"dolittle\.toml:2:\d+: ", running.lines[0])


def test_a_host_that_is_named_is_answered(kitchen: Path, run: Callable[..., Running]) -> None:
    running = run(kitchen, "--port", "0", "--host", "0.0.0.0", "--allowed-host", "kitchen.test")
    url = running.url()
    assert re.search(r"reachable +from other machines; it answers for kitchen\.test", running.text)
    for host, status in (("kitchen.test", 200), ("evil.test", 421)):
        assert httpx.get(f"{url}/health", headers={"host": host}).status_code == status


def test_a_second_run_waits_for_the_delivery_of_the_first(
    kitchen: Path, run: Callable[..., Running]
) -> None:
    first = run(kitchen, "--port", "0")
    first.url()
    second = run(kitchen, "--port", "0")
    url = second.url()
    assert re.search(r"delivery +process \d+ delivers; this one takes over", second.text)
    first.signal_and_wait(signal.SIGINT)
    second.until("taken over")
    prepare(url)
    second.until("Yummm!")


# Applications


@modes
def test_an_application_runs_every_microservice(
    tmp_path: Path, run: Callable[..., Running], mode: tuple[str, ...]
) -> None:
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "tacos"\n')
    for name in ("kitchen", "counter", "broken"):
        make_project(tmp_path / name, name=name)
    save(tmp_path / "broken", "import nope_nope\n")
    running = run(tmp_path, "--port", "0", *mode)
    urls: dict[str, str] = {}
    failed = False
    while len(urls) < 2 or not failed:
        line = running.until(r"^\w+ +\| \w+  http://|nope_nope")
        found = re.fullmatch(r"(\w+) +\| (\w+)  (http://\S+)", line)
        if found:
            assert found[1] == found[2]
            urls[found[1]] = found[3]
        else:
            assert line.startswith("broken  | ")
            failed = True
    assert set(urls) == {"kitchen", "counter"}
    prepare(urls["kitchen"])
    assert running.until("Yummm!").startswith("kitchen | ")
    assert httpx.get(f"{urls['counter']}/events").json()["events"] == []
    assert running.signal_and_wait(signal.SIGINT)[0] == 130


def test_an_application_without_microservices_is_an_error(
    tmp_path: Path, run: Callable[..., Running]
) -> None:
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "tacos"\n')
    running = run(tmp_path)
    assert running.wait() == 1
    assert "has no microservice yet" in running.lines[0]


def test_an_application_in_which_nothing_runs_ends(
    tmp_path: Path, run: Callable[..., Running]
) -> None:
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "tacos"\n')
    make_project(tmp_path / "broken", "import nope_nope\n")
    running = run(tmp_path, "--no-reload", "--port", "0")
    assert running.wait() == 1
    shutil.rmtree(tmp_path / "broken")
