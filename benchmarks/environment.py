"""The peers' environment, apart from the project's; and the machine that all run on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

PEERS: Final = ("eventsourcing==9.5.6", "umadb==0.7.8", "protean==0.18.0", "msgspec")
"""What is installed beside dolittle's own environment. protean needs a Python of 3.11 or newer."""

_INSTALL_S_MAX: Final = 300


def peers_python(build: Path) -> tuple[str, str]:
    """Make the environment where there is none; return its Python, or why there is none."""
    folder = build / "bench-venv"
    python = folder / "bin" / "python"
    marker = folder / "installed.txt"
    wanted = "\n".join([sys.version, *PEERS])
    if marker.is_file() and marker.read_text() == wanted:
        return str(python), ""
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *PEERS],
    )
    for step in steps:
        try:
            subprocess.run(step, check=True, timeout=_INSTALL_S_MAX, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            return "", f"installing them took longer than {_INSTALL_S_MAX} s"
        except subprocess.CalledProcessError as error:
            said = (error.stderr.strip().splitlines() or ["no message"])[-1]
            return "", f"they could not be installed: {said}"
    marker.write_text(wanted)
    return str(python), ""


def machine(folder: Path) -> str:
    """Describe the machine in one line: processor, kernel, file system, Python."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return (
        f"{os.cpu_count()} cores ({processor}), {platform.system()} {platform.release()}, "
        f"{file_system(folder)}, {platform.python_implementation()} {platform.python_version()}"
    )


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on, as far as it can be told."""
    mounts = Path("/proc/mounts")
    if not mounts.is_file():
        return "unknown file system"
    kind, longest = "unknown file system", -1
    for line in mounts.read_text().splitlines():
        _, point, found, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= longest:
            kind, longest = found, len(point)
    return kind


def code(folder: Path) -> str:
    """Return which commit of dolittle is measured, as far as git can tell."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def load() -> str:
    """Return the machine's load of the last minute."""
    return f"{os.getloadavg()[0]:.2f}"
