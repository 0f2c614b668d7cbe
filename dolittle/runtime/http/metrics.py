"""Counts what the HTTP interface did, and writes metrics as Prometheus text.

Source: Prometheus, Exposition formats, text-based format 0.0.4.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

MetricKind = Literal["counter", "gauge"]


@dataclass
class Counters:
    """What was counted since this process started.

    Attributes:
        requests: By route, method and status.
        commits: By tenant; those asked for over HTTP.
        refused: By tenant and code of the error.
        streams: Clients that follow the event log now.
    """

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    commits: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    streams: int = 0


class Sample(NamedTuple):
    """One value of a metric."""

    labels: Mapping[str, str]
    value: float


class Metric(NamedTuple):
    """A metric with its values."""

    name: str
    kind: MetricKind
    text: str
    samples: Iterable[Sample]


def exposition(metrics: Iterable[Metric]) -> str:
    """Return metrics as text."""
    lines: list[str] = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {_escaped(metric.text)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for sample in metric.samples:
            pairs = ",".join(
                f'{name}="{_escaped(value, quotes=True)}"' for name, value in sample.labels.items()
            )
            labels = f"{{{pairs}}}" if pairs else ""
            lines.append(f"{metric.name}{labels} {_number(sample.value)}")
    return "\n".join(lines) + "\n"


def counted(counters: Counters) -> list[Metric]:
    """Return what was counted as metrics."""
    return [
        Metric(
            "dolittle_http_requests_total",
            "counter",
            "Requests answered, by route.",
            [
                Sample({"route": route, "method": method, "status": str(status)}, count)
                for (route, method, status), count in sorted(counters.requests.items())
            ],
        ),
        Metric(
            "dolittle_commits_total",
            "counter",
            "Commits made over HTTP since the start.",
            [Sample({"tenant": tenant}, n) for tenant, n in sorted(counters.commits.items())],
        ),
        Metric(
            "dolittle_refused_total",
            "counter",
            "Requests refused, by the code of the error.",
            [
                Sample({"tenant": tenant, "code": code}, count)
                for (tenant, code), count in sorted(counters.refused.items())
            ],
        ),
        Metric(
            "dolittle_event_streams",
            "gauge",
            "Clients that follow the event log now.",
            [Sample({}, counters.streams)],
        ),
    ]


def process_metrics() -> list[Metric]:
    """Return what the operating system knows about this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    metrics = [
        Metric(
            "process_cpu_seconds_total",
            "counter",
            "Processor time used, in seconds.",
            [Sample({}, usage.ru_utime + usage.ru_stime)],
        ),
        Metric(
            "process_resident_memory_bytes",
            "gauge",
            "Memory in use, in bytes.",
            [Sample({}, _resident_bytes(usage.ru_maxrss))],
        ),
        Metric(
            "process_uptime_seconds",
            "gauge",
            "Time since the host was started, in seconds.",
            [Sample({}, time.monotonic() - _STARTED_S)],
        ),
    ]
    files = Path("/proc/self/fd")
    if files.is_dir():
        count = len(list(files.iterdir()))
        metrics.append(
            Metric("process_open_fds", "gauge", "Open file descriptors.", [Sample({}, count)])
        )
    return metrics


_STARTED_S: Final = time.monotonic()


def _resident_bytes(peak: int) -> int:
    """Return the resident memory; where it cannot be asked for, the largest that it was."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        # Source: getrusage(2): kilobytes on Linux, bytes on macOS.
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _escaped(text: str, *, quotes: bool = False) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if quotes else escaped


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
