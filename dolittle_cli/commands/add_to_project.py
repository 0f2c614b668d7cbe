"""``dolittle add api``, ``compose`` and ``ci``: what stands around a microservice's code."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from dolittle_cli.console import Console
from dolittle_cli.options import JsonOption, ProjectOption
from dolittle_cli.scaffold.opening import open_for_change
from dolittle_cli.scaffold.options import DiffOption, DryRunOption, OnConflictOption
from dolittle_cli.scaffold.outcome import Showing, carry_out
from dolittle_cli.scaffold.request import plan_request, request


def api(
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add routes of your own: a FastAPI application beside the built-in routes, with a test.

    It stands in api.py of the package, and pyproject.toml gets to depend on fastapi, which you
    install.
    """
    _add("api", project, Showing(dry_run, as_json, diff), on_conflict, ["dolittle run"])
    if not dry_run and importlib.util.find_spec("fastapi") is None:
        Console().note('fastapi is not installed here: pip install "fastapi>=0.115" "httpx>=0.28"')


def compose(
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add a compose file that builds and runs the microservice, and a Dockerfile if it has none."""
    follow = ["pip wheel --no-deps -w wheels PATH/TO/DOLITTLE", "docker compose up --build"]
    _add("compose", project, Showing(dry_run, as_json, diff), on_conflict, follow)


def ci(
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add a workflow that lints, checks types and runs the tests, for GitHub Actions."""
    root = _add("ci", project, Showing(dry_run, as_json, diff), on_conflict, [])
    above = next((folder for folder in root.parents if (folder / ".git").exists()), None)
    if above is not None and not (root / ".git").exists():
        Console().note(
            f"workflows are read at the root of the repository, which is {above}: move it there, "
            f"with working-directory: {root.relative_to(above)}"
        )


def _add(
    kind: str,
    project: Path | None,
    showing: Showing,
    on_conflict: str,
    follow: Sequence[str],
) -> Path:
    opened = open_for_change(project, dry_run=showing.dry_run)
    made = request(kind, "")
    carry_out(
        plan_request(opened, made),
        Console(),
        dry_run=showing.dry_run,
        as_json=showing.as_json,
        follow=follow,
        diff=showing.diff,
        on_conflict=on_conflict,
        request=made,
        manifest=opened.manifest,
    )
    return opened.root
