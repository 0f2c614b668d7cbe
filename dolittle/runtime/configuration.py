"""``dolittle.toml``: where it is, what may stand in it, and what it means."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from dolittle.errors import ConfigurationError, ProjectNotFound, Unknown, suggest
from dolittle.execution import DEVELOPMENT

FILE_NAME: Final = "dolittle.toml"
PORT_DEFAULT: Final = 8000
Durability = Literal["fsync", "os"]

_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_KNOWN: Final[Mapping[str, Mapping[str, type | tuple[type, ...]]]] = {
    "microservice": {
        "name": str,
        "package": str,
        "tenants": list,
        "version": str,
        "environment": str,
    },
    "application": {"name": str},
    "store": {"path": str, "durability": str},
    "http": {"port": int},
    "delivery": {
        "attempts_max": int,
        "delay_s": (int, float),
        "delay_s_max": (int, float),
    },
}


@dataclass(frozen=True)
class RetryPolicy:
    """How a failing partition is tried again.

    Attributes:
        attempts_max: After so many attempts it is parked, and waits for a person.
        delay_s: Seconds before the second attempt; doubled for each further one.
        delay_s_max: The longest wait, in seconds.
    """

    attempts_max: int = 10
    delay_s: float = 1.0
    delay_s_max: float = 60.0


@dataclass(frozen=True)
class Configuration:
    """What ``dolittle.toml`` says about one microservice.

    Attributes:
        project: The folder that holds the file.
        package: The Python package with the declarations.
        tenants: Every tenant that there is; ``development`` is always one.
        data_path: The folder that holds a folder for each tenant.
        durability: ``fsync``: a commit that was answered is on disk. ``os``: it is in the
            operating system's memory and survives a crash of the process, not of the machine.
        http_port: Asked for in the file; ``PORT_DEFAULT`` otherwise.
        has_port: Whether the file asks for that port.
    """

    project: Path
    name: str
    package: str
    tenants: tuple[str, ...]
    data_path: Path
    durability: Durability = "fsync"
    http_port: int = PORT_DEFAULT
    has_port: bool = False
    version: str = ""
    environment: str = ""
    retry: RetryPolicy = RetryPolicy()

    def tenant_folder(self, tenant: str) -> Path:
        """Return the folder of a tenant's events and state.

        Raises:
            Unknown: The tenant is not configured.
        """
        if tenant not in self.tenants:
            raise Unknown(
                "tenant",
                tenant,
                self.tenants,
                hint=f"{suggest(tenant, self.tenants)}; tenants are listed under "
                f'[microservice] in {FILE_NAME}: tenants = ["{DEVELOPMENT}", …]',
            )
        return self.data_path / tenant


@dataclass(frozen=True)
class Application:
    """A workspace of several microservices: every folder in it that has a ``dolittle.toml``."""

    project: Path
    name: str
    members: tuple[Path, ...]


def find_project(start: Path) -> Path:
    """Return the nearest folder with a ``dolittle.toml``, from ``start`` upwards.

    Raises:
        ProjectNotFound: There is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise ProjectNotFound(start)


def is_application(project: Path) -> bool:
    """Tell whether a project is an application.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    return "application" in _read(project / FILE_NAME)


def load_application(project: Path) -> Application:
    """Load an application and find its members, sorted by name.

    Raises:
        ConfigurationError: The file cannot be used, or is not that of an application.
    """
    path = project / FILE_NAME
    document = _read(path)
    if "application" not in document:
        raise ConfigurationError(path, "there is no [application] here")
    members = sorted(
        folder.parent
        for folder in project.glob(f"*/{FILE_NAME}")
        if not is_application(folder.parent)
    )
    name = document["application"].get("name", project.name)
    return Application(project, name, tuple(members))


def load_configuration(project: Path) -> Configuration:
    """Load what ``dolittle.toml`` says about the microservice in a folder.

    Raises:
        ProjectNotFound: The folder has no ``dolittle.toml``.
        ConfigurationError: The file cannot be used: syntax, an unknown key, a wrong value.
    """
    path = project / FILE_NAME
    document = _read(path)
    if "application" in document:
        members = ", ".join(folder.name for folder in load_application(project).members) or "none"
        raise ConfigurationError(
            path,
            "this is an application, not a microservice",
            hint=f"name one of its microservices with --project ({members})",
        )
    section = document.get("microservice", {})
    if "name" not in section:
        raise _at(
            path,
            "microservice",
            "",
            "[microservice] with a name is missing",
            f'write: [microservice] name = "{project.name}"',
        )
    name = section["name"]
    package = section.get("package", name.replace("-", "_"))
    if not all(part.isidentifier() for part in package.split(".")):
        raise _at(
            path,
            "microservice",
            "package" if "package" in section else "name",
            f"{package!r} is no name for a package",
            "letters, digits and _; the package is that of the name unless it is given",
        )
    store = document.get("store", {})
    http = document.get("http", {})
    port = http.get("port", PORT_DEFAULT)
    if not 1 <= port <= 65_535:
        raise _at(path, "http", "port", f"[http] port = {port} is no port", "use 1 to 65535")
    durability = store.get("durability", "fsync")
    if durability not in ("fsync", "os"):
        raise _at(
            path,
            "store",
            "durability",
            f'durability = "{durability}" is not known',
            'use "fsync" or "os"',
        )
    return Configuration(
        project=project,
        name=name,
        package=package,
        tenants=_tenants(path, section.get("tenants", [])),
        data_path=project / store.get("path", ".dolittle"),
        durability=durability,
        http_port=port,
        has_port="port" in http,
        version=section.get("version", ""),
        environment=section.get("environment", ""),
        retry=_retry(path, document.get("delivery", {})),
    )


def _tenants(path: Path, listed: list[Any]) -> tuple[str, ...]:
    for tenant in listed:
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise _at(
                path,
                "microservice",
                "tenants",
                f"{tenant!r} is no name for a tenant",
                "a tenant names a folder: lower-case letters, digits, - and _, at most 63",
            )
    return tuple(dict.fromkeys([DEVELOPMENT, *listed]))


def _retry(path: Path, section: Mapping[str, Any]) -> RetryPolicy:
    policy = RetryPolicy(**section)
    if policy.attempts_max < 1:
        reason = f"attempts_max = {policy.attempts_max} cannot work"
        raise _at(path, "delivery", "attempts_max", reason, "it is 1 or more")
    for key in ("delay_s", "delay_s_max"):
        value = getattr(policy, key)
        if not (math.isfinite(value) and value >= 0):
            reason = f"{key} = {value} cannot work"
            raise _at(path, "delivery", key, reason, "it is a number of seconds, 0 or more")
    if policy.delay_s > policy.delay_s_max:
        key = "delay_s" if "delay_s" in section else "delay_s_max"
        reason = f"delay_s = {policy.delay_s} is more than delay_s_max = {policy.delay_s_max}"
        raise _at(path, "delivery", key, reason, "delay_s_max is the longest wait: raise it")
    return policy


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ProjectNotFound(path.parent) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(path, f"it cannot be read: {error}") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, column = _line_and_column(str(error), text)
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigurationError(
            path,
            reason[0].lower() + reason[1:],
            line=line,
            column=column,
            hint="the file is TOML: https://toml.io",
        ) from error
    _check_keys(path, document)
    return document


def _check_keys(path: Path, document: Mapping[str, Any]) -> None:
    for title, section in document.items():
        if title == "tool":
            continue
        if title not in _KNOWN:
            raise _at(path, title, "", f"[{title}] is not known", suggest(title, _KNOWN))
        if not isinstance(section, dict):
            hint = f"write [{title}] on a line of its own"
            raise _at(path, title, "", f"{title} is a table", hint)
        for key, value in section.items():
            reason, hint = _wrong_value(title, key, value)
            if reason:
                raise _at(path, title, key, reason, hint)


def _wrong_value(title: str, key: str, value: object) -> tuple[str, str]:
    """Return what is wrong with a key or its kind of value, and a hint; empty if nothing is."""
    wanted = _KNOWN[title].get(key)
    if wanted is None:
        return f"[{title}] {key} is not known", suggest(key, _KNOWN[title])
    if not isinstance(value, wanted) or isinstance(value, bool):
        names = wanted if isinstance(wanted, tuple) else (wanted,)
        said = " or ".join(item.__name__ for item in names)
        return f"[{title}] {key} = {value!r} is no {said}", ""
    if value == "" and key in ("name", "package", "path"):
        return f"[{title}] {key} = '' is empty", "write something, or leave the line out"
    return "", ""


def _at(path: Path, title: str, key: str, reason: str, hint: str) -> ConfigurationError:
    """Point to a key of a section, or to the section; to the start of the file if neither is."""
    lines = path.read_text(encoding="utf-8").splitlines()
    place = _find(lines, title, key) or _find(lines, title, "") or (1, 1)
    return ConfigurationError(path, reason, line=place[0], column=place[1], hint=hint)


def _find(lines: list[str], title: str, key: str) -> tuple[int, int] | None:
    """Return line and column of a key of a section, or of the section where the key is empty."""
    section = ""
    inside = rf"\s*{re.escape(title)}\s*(?:=\s*{{(?:.*?[,\s])?|\.)\s*"
    for number, line in enumerate(lines, start=1):
        header = re.match(r"\s*\[\s*([\w.-]+)", line)
        section = header[1] if header else section
        if key:
            before = r"\s*" if section == title and not header else inside
            found = re.match(rf"({before})[\"']?{re.escape(key)}[\"']?\s*[.=]", line)
        else:
            found = re.match(rf"(\s*\[?\s*){re.escape(title)}\b", line)
        if found:
            return number, len(found[1]) + 1
    return None


def _line_and_column(message: str, text: str) -> tuple[int, int]:
    found = re.search(r"line (\d+), column (\d+)", message)
    if found:
        return int(found[1]), int(found[2])
    lines = text.splitlines() or [""]
    return len(lines), len(lines[-1]) + 1
