"""A thousand malformed requests: each gets a status and a message, nothing dies, good requests go on being answered.

``TRIDENT_TEST_SEED`` chooses another thousand; a failure prints the seed and the case.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import Any

import grpc
import httpx
import psutil
import pytest
from google.protobuf.message import DecodeError
from malformed import Case, cases
from served import Served
from tritonclient.grpc import service_pb2 as kserve

SEED = int(os.environ.get("TRIDENT_TEST_SEED", "20260731"))
COUNT = 1000
AT_ONCE = 12
GOOD_EVERY = 50
ANSWER_WITHIN_S = 30
PYTHONS_OWN_WORDS = re.compile(r"Traceback|NoneType|<class |object at 0x|\b[A-Z]\w+Error\(|RecursionError|File \"")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_thousand_malformed_requests_are_answered_and_harm_nobody(server: Served) -> None:
    before = _family(server)
    problems = asyncio.run(_send_all(server))
    assert not problems, f"seed {SEED}, {len(problems)} problems:\n" + "\n".join(problems[:20])
    assert _family(server) == before
    assert {child["restarts"] for child in server.state()["children"]} == {0}
    assert server.generate("The capital of France is").json()["text_output"] == " Paris."


def _family(server: Served) -> set[int]:
    supervisor = psutil.Process(server.state()["process"]["pid"])
    return {supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))}


async def _send_all(server: Served) -> list[str]:
    gate = asyncio.Semaphore(AT_ONCE)
    problems: list[str] = []
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with (
        httpx.AsyncClient(base_url=server.http_url, limits=limits, timeout=ANSWER_WITHIN_S) as http,
        grpc.aio.insecure_channel(server.grpc_url) as channel,
    ):

        async def send(case: Case) -> None:
            async with gate:
                try:
                    status, message = await asyncio.wait_for(
                        _over_grpc(channel, case) if case.is_grpc else _over_http(http, case), ANSWER_WITHIN_S
                    )
                    problem = _judge(status, message)
                except (httpx.HTTPError, asyncio.TimeoutError) as error:
                    problem = f"no answer: {error!r}"
                if problem:
                    problems.append(f"{problem}\n    {case}")
                if case.number % GOOD_EVERY == 0 and (wrong := await _good(http)):
                    problems.append(f"a good request after case {case.number}: {wrong}")

        await asyncio.gather(*(send(case) for case in cases(SEED, COUNT)))
    return problems


def _judge(status: str, message: str) -> str | None:
    """What is wrong with an answer, if anything is. An answer without an error has "ok" for its status."""
    if status != "ok" and not message.strip():
        return f"status {status} without a message"
    if status != "ok" and PYTHONS_OWN_WORDS.search(message):
        return f"status {status}, Python's own words: {message[:500]}"
    return None


async def _good(http: httpx.AsyncClient) -> str | None:
    body = {"text_input": "The capital of France is", "exclude_input_in_output": True, "temperature": 0}
    answer = await http.post("/v2/models/generate/generate", json=body)
    return None if answer.status_code == 200 and answer.json()["text_output"] == " Paris." else answer.text


async def _over_http(http: httpx.AsyncClient, case: Case) -> tuple[str, str]:
    answer = await http.post(case.path, content=case.body, headers=case.headers)
    if answer.headers.get("content-type", "").startswith("text/event-stream") or answer.text.startswith("data: "):
        events = re.findall(r"^data: (.*)$", answer.text, re.MULTILINE)
        return _outcome(answer.status_code, events[-1] if events else "")
    return _outcome(answer.status_code, answer.text)


def _outcome(status: int, text: str) -> tuple[str, str]:
    try:
        content: Any = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict) and "error" in content:
        return f"{status} with an error", str(content["error"])
    return ("ok", "") if status == 200 and content else (str(status), text)


def _is_message(body: bytes) -> bool:
    try:
        kserve.ModelInferRequest.FromString(body)
    except DecodeError:
        return False
    return True


async def _over_grpc(channel: grpc.aio.Channel, case: Case) -> tuple[str, str]:
    # Bytes as they are: some are no message of protobuf at all.
    method = f"/inference.GRPCInferenceService/{case.path}"
    try:
        if case.path == "ModelInfer":
            await channel.unary_unary(method)(case.body)
            return "ok", ""
        call = channel.stream_stream(method)()
        await call.write(case.body)
        await call.done_writing()
        answers = [kserve.ModelStreamInferResponse.FromString(answer) async for answer in call]
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details() or ""
    if not answers:
        # gRPC's own doing: a stream whose bytes are no message is over as if the client had ended it.
        return ("OK without an answer", "" if _is_message(case.body) else "not a message of protobuf")
    last = answers[-1]
    return ("error in the stream", last.error_message) if last.error_message else ("ok", "")
