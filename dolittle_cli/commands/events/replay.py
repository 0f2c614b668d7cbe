"""What ``dolittle events replay`` takes; the work is in the files beside this one."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from dolittle_cli.commands.events.options import FromOption, ToOption
from dolittle_cli.errors import WrongUsage
from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption

SHOWN: Final = 20
"""Read models of a projection that are shown one by one, unless it is said otherwise."""


def replay(
    handler: Annotated[
        str, typer.Option("--handler", metavar="NAME", help="Handle the events again.")
    ] = "",
    projection: Annotated[
        str, typer.Option("--projection", metavar="NAME", help="Rebuild its read models.")
    ] = "",
    start: FromOption = None,
    stop: ToOption = None,
    source: Annotated[
        str, typer.Option("--source", metavar="S", help="Only events of this source.")
    ] = "",
    speed: Annotated[
        str,
        typer.Option("--speed", metavar="original|Nx|max", help="Keep the gaps between events."),
    ] = "max",
    side_effects: Annotated[
        list[str] | None,
        typer.Option(
            "--side-effect",
            metavar="METHOD",
            help="Call this side-effect method too; may be repeated.",
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, though a replay is under way.")
    ] = False,
    end: Annotated[bool, typer.Option("--stop", help="End the replay under way.")] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Project into a copy, and show what differs.")
    ] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Let readers see the shadow.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Delete the shadow.")] = False,
    count: Annotated[
        int | None,
        typer.Option(
            "-n",
            min=0,
            help="With --shadow: show at most so many read models. Default: 20.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Handle events again, or rebuild a projection, or try changed code in a shadow.

    Says first what it will do, and asks on a terminal; elsewhere it needs --yes.
    It works while the microservice runs, and without it. It never writes an event.
    With --shadow and without a name it is about every projection.
    """
    from dolittle_cli.commands.events.replay_wish import Wish, check_only, mode_of
    from dolittle_cli.project import find_place

    modes = {"--shadow": shadow, "--promote": promote, "--discard": discard, "--stop": end}
    mode = mode_of(modes)
    given = {
        "--handler": handler,
        "--projection": projection,
        "--from": start,
        "--to": stop,
        "--source": source,
        "--speed": speed != "max",
        "--side-effect": side_effects,
        "--restart": restart,
        "--dry-run": dry_run,
        "-n": count is not None,
    }
    if mode:
        check_only(mode, [option for option, value in given.items() if value])
        place = find_place(project, tenant)
        if mode == "--stop":
            from dolittle_cli.commands.events.replaying import stop_replay

            run_loop(stop_replay(place, handler, as_json=json))
            return
        from dolittle_cli.commands.events import shadowing

        if mode == "--shadow":
            shown = SHOWN if count is None else count
            run_loop(shadowing.make_shadows(place, projection, count=shown, as_json=json))
        elif mode == "--promote":
            run_loop(shadowing.promote_shadows(place, projection, yes=yes, as_json=json))
        else:
            run_loop(shadowing.discard_shadows(place, projection, as_json=json))
        return
    from dolittle_cli.commands.events.replaying import replay_events

    if count is not None:
        raise WrongUsage("-n is for --shadow")
    wish = Wish.parse(handler, projection, start, stop, source, speed, side_effects or ())
    run_loop(
        replay_events(
            find_place(project, tenant),
            wish,
            dry_run=dry_run,
            yes=yes,
            restart=restart,
            as_json=json,
        )
    )
