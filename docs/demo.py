"""The demonstration: from an empty folder to a running, replayed microservice, by its commands.

``python docs/demo.py --dolittle PATH`` prints each command and runs it, against a real
``dolittle run``, and leaves the project for the person to play with. Exit code 0 if everything
went as it should, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

PORT = 8765
STARTED_S_MAX = 20.0
SEEN_S_MAX = 10.0

AGGREGATE = '''\
"""A kitchen that prepares dishes as long as it has ingredients."""

from dolittle import AggregateRoot, RuleViolation, aggregate_root, on

from kitchen.events.dish_prepared import DishPrepared


@aggregate_root
class Kitchen(AggregateRoot):
    """Guards the ingredients of one kitchen."""

    ingredients: int = 2

    def prepare_dish(self, dish: str, chef: str) -> None:
        """Prepare a dish, which takes one of the ingredients."""
        if self.ingredients == 0:
            raise RuleViolation("We have run out of ingredients, sorry!")
        self.apply(DishPrepared(dish=dish, chef=chef))

    @on(DishPrepared)
    def on_dish_prepared(self, event: DishPrepared) -> None:
        """Take an ingredient."""
        self.ingredients -= 1
'''

AGGREGATE_TEST = '''\
"""What a kitchen promises."""

from dolittle.testing import given

from kitchen.aggregates.kitchen import Kitchen
from kitchen.events.dish_prepared import DishPrepared

TACO = DishPrepared(dish="Bean Blaster Taco", chef="Mr. Taco")


def test_a_kitchen_prepares_a_dish() -> None:
    done = given(Kitchen, "Dolittle Tacos").when(
        Kitchen.prepare_dish, dish="Bean Blaster Taco", chef="Mr. Taco"
    )

    done.then(TACO)


def test_a_kitchen_without_ingredients_refuses_a_dish() -> None:
    done = given(Kitchen, "Dolittle Tacos", TACO, TACO).when(
        Kitchen.prepare_dish, dish="Chili Canon Wrap", chef="Mrs. Tex Mex"
    )

    done.then_refused("We have run out of ingredients, sorry!")
'''

HANDLER = '''\
"""Announces each dish."""

import logging

from dolittle import event_handler, handles

from kitchen.events.dish_prepared import DishPrepared

log = logging.getLogger(__name__)


@event_handler
class DishHandler:
    """Says who has prepared what."""

    @handles(DishPrepared)
    def announce(self, event: DishPrepared) -> None:
        """Announce a dish."""
        log.info("%s has prepared %s. Yummm!", event.chef, event.dish)
'''

HANDLER_TEST = '''\
"""What the handler of dishes says."""

import logging

import pytest
from dolittle.testing import given_events

from kitchen.events.dish_prepared import DishPrepared
from kitchen.handlers.dish_handler import DishHandler


def test_each_dish_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    given_events(
        DishPrepared(dish="Bean Blaster Taco", chef="Mr. Taco"), source="Dolittle Tacos"
    ).handled_by(DishHandler())

    assert caplog.messages == ["Mr. Taco has prepared Bean Blaster Taco. Yummm!"]
'''


class Unexpected(Exception):
    """Something in the demonstration did not go as it should."""


class Demonstration:
    """Prints and runs commands in a folder, beside a running microservice."""

    def __init__(self, dolittle: Path, folder: Path) -> None:
        self._dolittle = dolittle
        self._folder = folder
        self._environment = {
            **os.environ,
            "PATH": f"{dolittle.parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            # The project's tests run as its owner would run them, without the plug-ins of ours.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        self._server: subprocess.Popen[str] | None = None
        self._printed: list[str] = []
        self._grown = threading.Condition()

    def say(self, text: str) -> None:
        """Print a line of explanation."""
        show(f"\n# {text}")

    def type(self, command: str, *, exit_code: int = 0, expect: str = "") -> str:
        """Print a command, run it, print what it prints, and check its exit code."""
        show(f"$ {command}")
        if command.startswith("cd "):
            self._folder = self._folder / command[3:]
            return ""
        done = subprocess.run(
            shlex.split(command),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        if done.stdout:
            show(done.stdout.rstrip("\n"))
        if done.returncode != exit_code:
            raise Unexpected(f"{command}: exit code {done.returncode}, not {exit_code}")
        if expect not in done.stdout:
            raise Unexpected(f"{command}: {expect!r} is not in what it printed")
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Put the owner's own words into a generated file."""
        target = self._folder / path
        if not target.is_file():
            raise Unexpected(f"{path} was not generated")
        target.write_text(text)
        show(f"  (edited {path})")

    def start(self, command: str) -> None:
        """Start a command that goes on, with its output marked by a bar."""
        show(f"$ {command} &")
        self._server = subprocess.Popen(
            shlex.split(command),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._echo, daemon=True).start()

    def _echo(self) -> None:
        assert self._server is not None
        assert self._server.stdout is not None
        for line in self._server.stdout:
            show(f"  | {line}".rstrip())
            with self._grown:
                self._printed.append(line)
                self._grown.notify_all()

    def await_line(self, text: str, timeout_s: float = SEEN_S_MAX) -> None:
        """Wait until the running microservice has printed a text."""
        with self._grown:
            found = self._grown.wait_for(
                lambda: any(text in line for line in self._printed), timeout_s
            )
        if not found:
            raise Unexpected(f"dolittle run did not print {text!r} within {timeout_s:g} s")

    def get(self, path: str, *, body: dict[str, str] | None = None) -> object:
        """Ask the microservice over HTTP, as curl would."""
        url = f"http://127.0.0.1:{PORT}{path}"
        data = None if body is None else json.dumps(body).encode()
        shown = "" if body is None else f" --json '{json.dumps(body)}'"
        show(f"$ curl {url}{shown}")
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read().decode()
        show(text)
        return json.loads(text)

    def stop(self) -> None:
        """Stop the running microservice as Ctrl-C would."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
            raise Unexpected("dolittle run did not stop within 10 s of Ctrl-C") from None


def show(text: str) -> None:
    """Print lines whole, whichever thread they come from."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def demonstrate(demo: Demonstration) -> None:
    """Type the commands, one after another."""
    demo.say("A microservice, from nothing")
    demo.type("dolittle new microservice kitchen")
    demo.type("cd kitchen")
    demo.type("dolittle add event DishPrepared dish:str chef:str")
    demo.type(
        "dolittle add aggregate Kitchen ingredients:int=2 --command prepare_dish=DishPrepared"
    )
    demo.type("dolittle add handler DishHandler --on DishPrepared")
    demo.type(
        "dolittle add projection DishCounter --on DishPrepared --key dish dish:str count:int=0"
    )

    demo.say("Its tests pass as they were generated")
    demo.type("python -m pytest -q", expect="passed")

    demo.say("Its owner adds a rule, and words of their own")
    demo.write("kitchen/aggregates/kitchen.py", AGGREGATE)
    demo.write("kitchen/handlers/dish_handler.py", HANDLER)
    demo.write("tests/aggregates/test_kitchen.py", AGGREGATE_TEST)
    demo.write("tests/handlers/test_dish_handler.py", HANDLER_TEST)
    demo.type("python -m pytest -q", expect="passed")

    demo.say("It runs: no service to install, nothing to configure")
    demo.start(f"dolittle run --port {PORT}")
    demo.await_line("Ctrl-C", STARTED_S_MAX)

    demo.say("A second terminal: commands, guarded by the rule")
    perform = 'dolittle perform Kitchen "Dolittle Tacos" prepare_dish'
    demo.type(f'{perform} dish="Bean Blaster Taco" chef="Mr. Taco"')
    demo.await_line("Mr. Taco has prepared Bean Blaster Taco. Yummm!")
    demo.get(
        "/aggregates/Kitchen/Dolittle%20Tacos/prepare_dish",
        body={"dish": "Avocado Artillery Tortilla", "chef": "Mr. Taco"},
    )
    demo.type(
        f'{perform} dish="Chili Canon Wrap" chef="Mrs. Tex Mex"',
        exit_code=1,
        expect="We have run out of ingredients, sorry!",
    )

    demo.say("Events that no aggregate guards, and the read model that counts them")
    append = 'dolittle events append DishPrepared --source "Dolittle Tacos"'
    demo.type(f'{append} dish="Bean Blaster Taco" chef="Mrs. Tex Mex"')
    demo.get("/projections/DishCounter/Bean%20Blaster%20Taco?after_position=2")

    demo.say("Every event is visible, and each can be replayed")
    demo.type("dolittle events tail -n 10 --no-follow")
    demo.type("dolittle handlers list")
    demo.type("dolittle events replay --handler DishHandler --from start --yes")
    demo.type("dolittle events replay --projection DishCounter --yes")
    demo.type("dolittle projections show DishCounter", expect="Bean Blaster Taco")
    demo.type("dolittle events verify")


def fresh_folder(into: Path) -> Path:
    """Make and return the next free numbered folder, so that nobody's work is lost."""
    number = 1
    while (into / str(number)).exists():
        number += 1
    folder = into / str(number)
    folder.mkdir(parents=True)
    return folder


def main() -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dolittle", type=Path, required=True, help="the command to demonstrate")
    parser.add_argument("--into", type=Path, default=Path(".demo"), help="where projects go")
    options = parser.parse_args()
    begun = time.monotonic()
    folder = fresh_folder(options.into.absolute())
    demo = Demonstration(options.dolittle.absolute(), folder)
    try:
        demonstrate(demo)
    except (Unexpected, OSError, subprocess.TimeoutExpired) as error:
        print(f"\nthe demonstration failed: {error}", file=sys.stderr)
        return 1
    finally:
        demo.stop()
    took_s = time.monotonic() - begun
    where = os.path.relpath(folder / "kitchen")
    show(f"\n# Done in {took_s:.0f} s. The project is in {where}: go on with")
    show(f"  cd {where}")
    show(f"  {os.path.relpath(options.dolittle.absolute(), folder / 'kitchen')} run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
