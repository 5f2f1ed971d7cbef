"""Spans of the relay's requests, as vLLM makes them for its OpenAI server: the same name, the same attributes.

vLLM makes them where it makes text, in its output processor, which the relay does not have.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from vllm.config import VllmConfig
from vllm.tracing import SpanAttributes, SpanKind, extract_trace_context, init_tracer, instrument_manual
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.metrics.stats import RequestStateStats

from trident.protocol import tracing
from trident.protocol.spec import HostSpec

SERVICE = "trident"
WAIT = "trident.latency.time_in_front_of_engine"
"""Seconds until the admission let the request through."""


def prepare(spec: HostSpec) -> None:
    """Says to the exporters of this process and its children what the endpoint wants; the user's own word goes first.
    Must come before anything is forked."""
    endpoint = tracing.endpoint(spec.engine)
    if endpoint is not None:
        os.environ[tracing.PROTOCOL_VARIABLE] = tracing.protocol(endpoint, os.environ)
        os.environ.setdefault(tracing.SERVICE_VARIABLE, SERVICE)
        if not any(name in os.environ for name in tracing.TIMEOUT_VARIABLES):
            os.environ[tracing.TIMEOUT_VARIABLES[0]] = str(tracing.TIMEOUT_S)


class Begun(NamedTuple):
    """Of one sequence: the trace context of its request by header, and what is known before the engine has it."""

    headers: Mapping[str, str] | None
    attributes: dict[str, Any]


class Spans:
    """One for each sequence that ends. Exported by a thread of OpenTelemetry's, which drops what it is late with."""

    def __init__(self, endpoint: str, model_name: str) -> None:
        init_tracer("trident.relay", endpoint)
        self._model_name = model_name

    @classmethod
    def of(cls, config: VllmConfig) -> Spans | None:
        """None where nothing is traced."""
        endpoint = config.observability_config.otlp_traces_endpoint
        return None if endpoint is None else cls(endpoint, str(config.model_config.served_model_name))

    def begin(self, request: EngineCoreRequest, n: int, waited_s: float) -> Begun:
        """Before the engine has it; the request itself, which may hold images, is not kept."""
        params = request.sampling_params
        asked = {
            SpanAttributes.GEN_AI_RESPONSE_MODEL: self._model_name,
            SpanAttributes.GEN_AI_REQUEST_ID: request.external_req_id or request.request_id,
            SpanAttributes.GEN_AI_USAGE_PROMPT_TOKENS: len(request.prompt_token_ids or ()),
            SpanAttributes.GEN_AI_REQUEST_MAX_TOKENS: params.max_tokens if params else None,
            SpanAttributes.GEN_AI_REQUEST_TEMPERATURE: params.temperature if params else None,
            SpanAttributes.GEN_AI_REQUEST_TOP_P: params.top_p if params else None,
            SpanAttributes.GEN_AI_REQUEST_N: n,
            WAIT: waited_s,
        }
        return Begun(request.trace_headers, {name: value for name, value in asked.items() if value is not None})

    @staticmethod
    def end(begun: Begun, stats: RequestStateStats) -> None:
        """The sequence has its last token."""
        attributes = {
            SpanAttributes.GEN_AI_LATENCY_TIME_TO_FIRST_TOKEN: stats.first_token_latency,
            SpanAttributes.GEN_AI_LATENCY_E2E: time.time() - stats.arrival_time,
            SpanAttributes.GEN_AI_LATENCY_TIME_IN_QUEUE: stats.scheduled_ts - stats.queued_ts,
            SpanAttributes.GEN_AI_LATENCY_TIME_IN_MODEL_PREFILL: stats.first_token_ts - stats.scheduled_ts,
            SpanAttributes.GEN_AI_LATENCY_TIME_IN_MODEL_DECODE: stats.last_token_ts - stats.first_token_ts,
            SpanAttributes.GEN_AI_LATENCY_TIME_IN_MODEL_INFERENCE: stats.last_token_ts - stats.scheduled_ts,
            SpanAttributes.GEN_AI_USAGE_COMPLETION_TOKENS: stats.num_generation_tokens,
        }
        instrument_manual(
            span_name="llm_request",
            start_time=int(stats.arrival_time * 1e9),
            attributes=begun.attributes | attributes,
            context=extract_trace_context(begun.headers),
            kind=SpanKind.SERVER,
        )
