"""Where traces go, decided once for all processes: OpenTelemetry's exporters and tritonserver's speak different
protocols unless they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

ENDPOINT = "otlp_traces_endpoint"
"""vLLM's argument. Given, the whole server traces."""
PROTOCOL_VARIABLE = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
SERVICE_VARIABLE = "OTEL_SERVICE_NAME"
OVER_HTTP = "http/protobuf"
OVER_GRPC = "grpc"
TIMEOUT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
TIMEOUT_S = 2
"""For one export with its retries. A process waits for the last one when it ends: with OpenTelemetry's own 10 s a
collector that is gone held up a stop for as long (measured)."""
HEADERS = ("traceparent", "tracestate")
"""Of W3C's trace context."""


def endpoint(engine: Mapping[str, Any]) -> str | None:
    """Of an engine's arguments; None: nothing is traced."""
    given = engine.get(ENDPOINT)
    return str(given) if given else None


def protocol(endpoint: str, environ: Mapping[str, str]) -> str:
    """The one that is said, else what the endpoint looks like: a collector's HTTP door is a path (``/v1/traces``), its
    gRPC door is none."""
    said = environ.get(PROTOCOL_VARIABLE)
    if said:
        return said
    is_path = "://" in endpoint and urlsplit(endpoint).path.strip("/")
    return OVER_HTTP if is_path else OVER_GRPC
