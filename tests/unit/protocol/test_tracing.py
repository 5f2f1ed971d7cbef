from __future__ import annotations

import pytest

from trident.protocol import tracing


@pytest.mark.parametrize("engine", [{}, {"otlp_traces_endpoint": None}, {"otlp_traces_endpoint": ""}])
def test_nothing_is_traced_without_an_endpoint(engine: dict[str, object]) -> None:
    assert tracing.endpoint(engine) is None


@pytest.mark.parametrize(
    ("endpoint", "protocol"),
    [
        ("http://localhost:4318/v1/traces", "http/protobuf"),
        ("https://collector.example/otlp/v1/traces", "http/protobuf"),
        ("http://localhost:4317", "grpc"),
        ("http://localhost:4317/", "grpc"),
        ("localhost:4317", "grpc"),
    ],
)
def test_protocol_is_what_the_endpoint_looks_like(endpoint: str, protocol: str) -> None:
    assert tracing.protocol(endpoint, {}) == protocol


def test_protocol_that_is_said_goes_first() -> None:
    said = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}
    assert tracing.protocol("http://localhost:4318/v1/traces", said) == "grpc"
