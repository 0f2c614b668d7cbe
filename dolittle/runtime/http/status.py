"""The routes that tell how the microservice is: health, metrics, OpenAPI; and its status itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.responses import Response

from dolittle.runtime.http.call import Call, json_response
from dolittle.runtime.http.metrics import (
    MEDIA_TYPE,
    Metric,
    Sample,
    counted,
    exposition,
    process_metrics,
)
from dolittle.runtime.http.openapi import openapi_document
from dolittle.runtime.http.parameters import only
from dolittle.runtime.microservice import Microservice
from dolittle.runtime.reports import ProcessorReport, TenantReport


async def tenant_report(microservice: Microservice) -> TenantReport:
    """Return how a tenant is: its event log, who delivers, and how far the processors are."""
    definition = microservice.definition
    facts = await microservice.store.facts()
    processors = []
    for name in [*definition.handlers, *definition.projections]:
        status = await microservice.processor_status(name)
        processors.append(
            ProcessorReport(
                status.name, status.kind, status.position, status.behind, len(status.failing)
            )
        )
    deliverer = microservice.deliverer
    # Where there is nothing to deliver to, nobody is waited for.
    is_held = deliverer is not None and bool(processors) and not deliverer.is_delivering
    return TenantReport(
        tenant=microservice.tenant,
        engine=facts.engine,
        location=facts.location,
        durability=facts.durability,
        events=facts.events,
        held_by=deliverer.holder if deliverer is not None and is_held else "",
        processors=processors,
    )


async def health(call: Call) -> Response:
    """Answer ``GET /health``: ``ok``, or ``failing`` where a partition waits to be tried again."""
    only(call.request.query_params, ())
    tenants = [
        await tenant_report(call.microservice.for_tenant(tenant))
        for tenant in call.microservice.tenants
    ]
    is_failing = any(item.failing for report in tenants for item in report.processors)
    return json_response(
        {
            "status": "failing" if is_failing else "ok",
            "microservice": call.microservice.name,
            "version": call.context.version,
            "tenants": tenants,
        }
    )


async def metrics(call: Call) -> Response:
    """Answer ``GET /metrics``."""
    only(call.request.query_params, ())
    microservices = [call.microservice.for_tenant(name) for name in call.microservice.tenants]
    reports = [await tenant_report(microservice) for microservice in microservices]
    found = [
        await _events(microservices),
        *_processors(reports),
        *counted(call.counters),
        *process_metrics(),
    ]
    return Response(exposition(found), headers={"content-type": MEDIA_TYPE})


async def openapi(call: Call) -> Response:
    """Answer ``GET /openapi.json``."""
    only(call.request.query_params, ())
    microservice = call.microservice
    return json_response(
        openapi_document(
            microservice.definition, name=microservice.name, version=call.context.version
        )
    )


async def _events(microservices: Sequence[Microservice]) -> Metric:
    samples = []
    for microservice in microservices:
        counts = await microservice.store.type_counts()
        for type_id, count in sorted(counts.items()):
            alias = microservice.definition.event_types.alias(type_id)
            samples.append(Sample({"tenant": microservice.tenant, "type": alias}, count))
    return Metric("dolittle_events_total", "counter", "Events in the event log, by type.", samples)


def _processors(reports: Sequence[TenantReport]) -> list[Metric]:
    def metric(name: str, text: str, value: Callable[[ProcessorReport], int]) -> Metric:
        return Metric(
            f"dolittle_processor_{name}",
            "gauge",
            text,
            [
                Sample(
                    {"tenant": report.tenant, "kind": item.kind, "processor": item.name},
                    value(item),
                )
                for report in reports
                for item in report.processors
            ],
        )

    return [
        metric("position", "The next position to be handled.", lambda item: item.position),
        metric("lag_events", "Events of its types still to come.", lambda item: item.lag),
        metric("failing_partitions", "Partitions that wait.", lambda item: item.failing),
        Metric(
            "dolittle_delivering",
            "gauge",
            "1 where this process delivers, 0 where another one does.",
            [Sample({"tenant": report.tenant}, 0 if report.held_by else 1) for report in reports],
        ),
    ]
