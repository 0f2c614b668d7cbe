"""``dolittle ps``: which microservices run, where, and since when."""

from __future__ import annotations

from dolittle_cli.options import JsonOption, ProjectOption


def ps(json: JsonOption = False, project: ProjectOption = None) -> None:
    """Show which microservices run: their processes, addresses and logs.

    In the folder of an application: all of them.
    """
    from dolittle_cli.console import Console
    from dolittle_cli.places import find_configurations
    from dolittle_cli.run_logs import log_path
    from dolittle_cli.running import Running, running

    console = Console()
    rows: list[tuple[str, Running | None, str | None]] = []
    for configuration in find_configurations(project, ()):
        log = log_path(configuration)
        shown_log = str(log) if log.exists() else None
        found = running(configuration)
        rows += [(configuration.name, item, shown_log) for item in found]
        if not found:
            rows.append((configuration.name, None, shown_log))
    if json:
        console.json(
            [
                {
                    "microservice": name,
                    "is_running": item is not None,
                    "pid": item.pid if item else None,
                    "url": item.url if item else None,
                    "since": item.since if item else None,
                    "reloads": item.reloads if item else None,
                    "log": log,
                }
                for name, item, log in rows
            ]
        )
        return
    console.table(
        ("microservice", "pid", "url", "since", "log"),
        [
            (name, str(item.pid), item.url, item.since[:19] + "Z", log or "-")
            if item
            else (name, "-", "not running", "-", log or "-")
            for name, item, log in rows
        ],
    )
