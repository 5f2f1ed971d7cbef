"""The same errors at every door, with the status that the door's protocol has for them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import httpx
import pytest
import tritonclient.grpc as grpc
from kserve import tensors
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


class Case(NamedTuple):
    inputs: dict[str, str]
    named: str
    grpc_status: str
    infer_status: int
    timeout_us: int | None = None


CASES = {
    "bad value": Case(
        {"text_input": "Hi", "sampling_parameters": json.dumps({"temperature": -1})},
        "temperature must be non-negative, got -1.0",
        "INVALID_ARGUMENT",
        400,
    ),
    "unknown adapter": Case(
        {"text_input": "Hi", "sampling_parameters": json.dumps({"lora_name": "x"})},
        "lora_name",
        "INVALID_ARGUMENT",
        400,
    ),
    "another kind of model": Case(
        {"embedding_request": json.dumps({"input": "a"})},
        "Model demo does not support 'embed' request",
        "UNIMPLEMENTED",
        501,
    ),
    "deadline": Case(
        {"text_input": "Hi", "sampling_parameters": json.dumps({"max_tokens": 1900, "ignore_eos": True})},
        "not finished within its deadline of 0.3 s",
        "CANCELLED",
        400,
        300_000,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_error_has_the_status_of_its_cause(server: Served, case: Case) -> None:
    limit: dict[str, Any] = {} if case.timeout_us is None else {"timeout": case.timeout_us}
    models = f"{server.http_url}/v2/models"
    generated = httpx.post(f"{models}/generate/generate", json={**case.inputs, **limit}, timeout=60)
    assert generated.status_code == 400 and case.named in generated.json()["error"]

    inputs = [{"name": name, "datatype": "BYTES", "shape": [1], "data": [text]} for name, text in case.inputs.items()]
    body = {"inputs": inputs, "parameters": limit, "id": "4711"}
    inferred = httpx.post(f"{models}/generate_infer/infer", json=body, timeout=60)
    assert inferred.status_code == case.infer_status
    assert inferred.json()["error"].startswith("[request id: 4711] ") and case.named in inferred.json()["error"]

    with (
        grpc.InferenceServerClient(server.grpc_url) as client,
        pytest.raises(grpc.InferenceServerException) as raised,
    ):
        client.infer("generate_infer", tensors(grpc, **case.inputs), timeout=case.timeout_us)
    assert raised.value.status() == f"StatusCode.{case.grpc_status}"
    assert case.named in raised.value.message()
