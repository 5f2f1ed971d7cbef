"""Triton's metrics port tells what all doors have done, under vLLM's names."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import tritonclient.grpc as grpc
from kserve import Stream, tensors
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from served import Served

QUESTION = "What is the capital of France?\n"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def families(port: int) -> dict[str, Metric]:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def of_vllm(found: dict[str, Metric]) -> Iterator[Sample]:
    yield from (sample for name, family in found.items() if name.startswith("vllm:") for sample in family.samples)


def settled(server: Served) -> dict[str, float]:
    """Sums over all labels, once everything is written down."""
    server.settled_metrics()
    sums: dict[str, float] = {}
    for sample in of_vllm(families(server.metrics_port)):
        sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_families_of_both_servers_are_on_one_page(server: Served) -> None:
    assert server.generate(QUESTION).status_code == 200
    page, vllm = families(server.metrics_port), families(server.openai_port)
    assert vllm.keys() <= page.keys()
    assert {name: family.type for name, family in vllm.items()} == {name: page[name].type for name in vllm}
    assert "nv_inference_count" in page
    for wanted in ("num_requests_running", "kv_cache_usage_perc", "num_preemptions", "request_queue_time_seconds"):
        assert f"vllm:{wanted}" in page


def test_samples_carry_both_kinds_of_labels(server: Served) -> None:
    assert server.generate(QUESTION).status_code == 200
    for sample in of_vllm(families(server.metrics_port)):
        assert (sample.labels["model_name"], sample.labels["model"], sample.labels["version"]) == (
            "demo",
            "generate",
            "1",
        )


def test_times_begin_at_a_millisecond_and_keep_vllms_bounds(server: Served) -> None:
    assert server.complete(QUESTION) and server.generate(QUESTION).status_code == 200
    seconds = {
        name: {sample.labels["le"] for sample in family.samples if "le" in sample.labels}
        for name, family in families(server.metrics_port).items()
        if name.startswith("vllm:") and name.endswith("_seconds") and family.type == "histogram"
    }
    assert len(seconds) >= 7
    assert all("0.001" in bounds for bounds in seconds.values()), seconds
    assert {"0.3", "0.5", "7680.0"} <= seconds["vllm:e2e_request_latency_seconds"]


def test_requests_through_every_door_are_counted_once(server: Served) -> None:
    before = settled(server)
    assert server.generate(QUESTION).status_code == 200
    assert server.stream(QUESTION)
    assert server.infer([QUESTION, QUESTION]).status_code == 200
    streams = Stream(server.grpc_url)
    streams.ask(text_input=QUESTION, stream=True)
    assert list(streams.responses())
    streams.close()
    with grpc.InferenceServerClient(server.grpc_url) as client:
        client.infer("generate_infer", tensors(grpc, text_input=QUESTION))
    assert server.complete(QUESTION)
    after = settled(server)
    requests = 7
    for name in (
        "request_success_total",
        "e2e_request_latency_seconds_count",
        "time_to_first_token_seconds_count",
        "request_queue_time_seconds_count",
        "request_prefill_time_seconds_count",
        "request_decode_time_seconds_count",
    ):
        assert after[f"vllm:{name}"] - before.get(f"vllm:{name}", 0) == requests, name
    latency_s = after["vllm:e2e_request_latency_seconds_sum"] - before["vllm:e2e_request_latency_seconds_sum"]
    assert latency_s > 0
