"""Traces by OpenTelemetry: one leads from a request to the site, over the work it asked for, to an engine's orders.

Nothing is traced unless OTEL_EXPORTER_OTLP_ENDPOINT names a collector, to which spans go by OTLP over HTTP. A span
holds names of routes, tasks and acts, ids of rows and requests, and figures; never a person, a body, a header or words.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["HEADER", "Span", "SpanKind", "current", "on", "span", "start", "stop"]

HEADER = "traceparent"
VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
CONTEXT = TraceContextTextMapPropagator()
TRACER = trace.get_tracer("mdlc-handoff")
LONGEST = 55  # of a traceparent, https://www.w3.org/TR/trace-context/


def on() -> bool:
    """Tell whether somebody takes traces."""
    return any(os.environ.get(name) for name in VARIABLES) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def start(service: str) -> None:
    """Send the spans of this process, as a service of this name or OTEL_SERVICE_NAME, where somebody takes them."""
    if not on():
        return
    # 20 MB, and needed where spans are sent only.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or service})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def stop() -> None:
    """Send what is left, before a process ends in a way that Python does not hear of."""
    if (flush := getattr(trace.get_tracer_provider(), "force_flush", None)) is not None:
        flush(2000)


@contextmanager
def span(name: str, *, parent: str = "", kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int) -> Iterator[Span]:
    """Open a span below the one under way, or below a traceparent that somebody sent.

    A failure is told by its kind alone, for its words may hold anything. Two underscores in the name of an attribute
    stand for a dot.
    """
    context = CONTEXT.extract({HEADER: parent}) if len(parent) == LONGEST else None
    told = {key.replace("__", "."): value for key, value in attributes.items()}
    with TRACER.start_as_current_span(
        name, context, kind, told, record_exception=False, set_status_on_exception=False
    ) as opened:
        try:
            yield opened
        except Exception as error:
            opened.set_attribute("error.type", type(error).__name__)
            opened.set_status(StatusCode.ERROR)
            raise


def current() -> str:
    """Return the traceparent of the span under way; "" where there is none."""
    carrier: dict[str, str] = {}
    CONTEXT.inject(carrier)
    return carrier.get(HEADER, "")
