from __future__ import annotations

from trident.config.models import Config
from trident.triton import tracing

FORWARD = ["--http-header-forward-pattern=(?i)(traceparent|tracestate)",
           "--grpc-header-forward-pattern=(?i)(traceparent|tracestate)"]  # fmt: skip


def config(endpoint: str | None) -> Config:
    return Config(engine={"otlp_traces_endpoint": endpoint} if endpoint else {})


def test_without_an_endpoint_triton_does_not_trace() -> None:
    assert tracing.flags(config(None), {}) == []


def test_triton_exports_over_http() -> None:
    flags = tracing.flags(config("http://localhost:4318/v1/traces"), {})
    assert flags[:2] == FORWARD
    assert "--trace-config=mode=opentelemetry" in flags and "--trace-config=rate=1" in flags
    assert "--trace-config=opentelemetry,url=http://localhost:4318/v1/traces" in flags
    assert "--trace-config=opentelemetry,resource=service.name=tritonserver" in flags


def test_over_grpc_triton_hands_on_what_the_client_says_and_no_more() -> None:
    assert tracing.flags(config("http://localhost:4317"), {}) == FORWARD


def test_name_of_the_service_is_the_users() -> None:
    flags = tracing.flags(config("http://localhost:4318/v1/traces"), {"OTEL_SERVICE_NAME": "chat"})
    assert "--trace-config=opentelemetry,resource=service.name=chat" in flags
