"""tritonserver's part in traces: spans of its own, and where a request's trace comes from, handed on to the stub."""

from __future__ import annotations

import os
from collections.abc import Mapping

from trident.config.models import Config
from trident.protocol import tracing

SERVICE = "tritonserver"


def is_traced(config: Config) -> bool:
    """Spans go somewhere."""
    return tracing.endpoint(config.engine) is not None


def flags(config: Config, environ: Mapping[str, str] = os.environ) -> list[str]:
    """What tritonserver is started with. It exports over HTTP alone."""
    endpoint = tracing.endpoint(config.engine)
    if endpoint is None:
        return []
    pattern = f"(?i)({'|'.join(tracing.HEADERS)})"
    forward = [f"--{api}-header-forward-pattern={pattern}" for api in ("http", "grpc")]
    if tracing.protocol(endpoint, environ) != tracing.OVER_HTTP:
        return forward
    return [
        *forward,
        "--trace-config=mode=opentelemetry",
        "--trace-config=level=TIMESTAMPS",
        # Its own default is one request in a thousand; which ones are wanted is said by their traceparent.
        "--trace-config=rate=1",
        "--trace-config=count=-1",
        f"--trace-config=opentelemetry,url={endpoint}",
        f"--trace-config=opentelemetry,resource=service.name={environ.get(tracing.SERVICE_VARIABLE) or SERVICE}",
    ]
