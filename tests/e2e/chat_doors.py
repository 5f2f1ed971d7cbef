"""The same chat through both doors: KServe and OpenAI, whole and streamed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
from served import REQUEST_TIMEOUT_S, Served

INPUTS = ("messages", "tools", "tool_choice", "chat_template_kwargs")
Body = dict[str, Any]


@dataclass
class Said:
    """One answer: of each sequence the content, the reasoning and the calls, without what is random in them."""

    contents: list[str]
    reasonings: list[str]
    calls: list[list[tuple[str, str]]]
    reasons: list[str]
    prompt_tokens: int
    completion_tokens: int


def kserve_body(body: Body) -> Body:
    """An OpenAI body as KServe's inputs; what has no input of its own goes with the sampling parameters."""
    inputs = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    given = {name: inputs[name] for name in INPUTS if name in body}
    rest = {name: value for name, value in body.items() if name not in INPUTS}
    returns = {f"return_{name}": True for name in ("finish_reason", "num_input_tokens", "num_output_tokens")}
    return {**given, **returns, "sampling_parameters": json.dumps(rest)}


def kserve(server: Served, body: Body, **inputs: Any) -> httpx.Response:
    """One whole answer of the generate contract."""
    url = f"{server.http_url}/v2/models/generate/generate"
    return httpx.post(url, json={**kserve_body(body), **inputs}, timeout=REQUEST_TIMEOUT_S)


def by_kserve(server: Served, body: Body) -> Said:
    answer = kserve(server, body)
    assert answer.status_code == 200, answer.text
    return _said([answer.json()], calls_are_whole=True)


def by_kserve_stream(server: Served, body: Body) -> Said:
    url = f"{server.http_url}/v2/models/generate/generate_stream"
    text = httpx.post(url, json={**kserve_body(body), "stream": True}, timeout=REQUEST_TIMEOUT_S).text
    return _said(
        [json.loads(event) for event in re.findall(r"^data: (.*)$", text, re.MULTILINE)], calls_are_whole=False
    )


def by_openai(server: Served, body: Body) -> Said:
    answer = _openai(server, body).json()
    choices = sorted(answer["choices"], key=lambda choice: choice["index"])
    messages = [choice["message"] for choice in choices]
    calls = [[call["function"] for call in message.get("tool_calls") or ()] for message in messages]
    return Said(
        [message["content"] or "" for message in messages],
        [message.get("reasoning") or "" for message in messages],
        [[(call["name"], call["arguments"]) for call in each] for each in calls],
        [choice["finish_reason"] for choice in choices],
        answer["usage"]["prompt_tokens"],
        answer["usage"]["completion_tokens"],
    )


def by_openai_stream(server: Served, body: Body) -> Said:
    text = _openai(server, {**body, "stream": True, "stream_options": {"include_usage": True}}).text
    events = [json.loads(event) for event in re.findall(r"^data: (\{.*)$", text, re.MULTILINE)]
    usage = events[-1]["usage"]
    said = Said([], [], [], [], usage["prompt_tokens"], usage["completion_tokens"])
    for index in range(body.get("n", 1)):
        choices = [choice for event in events for choice in event["choices"] if choice["index"] == index]
        deltas = [choice["delta"] for choice in choices]
        said.contents.append("".join(delta.get("content") or "" for delta in deltas))
        said.reasonings.append("".join(delta.get("reasoning") or "" for delta in deltas))
        said.calls.append(_put_together([call for delta in deltas for call in delta.get("tool_calls") or ()]))
        said.reasons.append(choices[-1]["finish_reason"])
    return said


def _openai(server: Served, body: Body) -> httpx.Response:
    url = f"{server.openai_url}/chat/completions"
    answer = httpx.post(url, json={"model": server.model_name, **body}, timeout=REQUEST_TIMEOUT_S)
    assert answer.status_code == 200, answer.text
    return answer


def _said(events: list[dict[str, Any]], *, calls_are_whole: bool) -> Said:
    assert not [event for event in events if "error" in event], events
    rows = {name: list(zip(*(_listed(event[name]) for event in events), strict=True)) for name in events[0]}
    calls = [[call for text in texts if text for call in json.loads(text)] for texts in rows["tool_calls"]]
    if calls_are_whole:
        called = [[(call["function"]["name"], call["function"]["arguments"]) for call in each] for each in calls]
    else:
        called = [_put_together(each) for each in calls]
    return Said(
        ["".join(texts) for texts in rows["text_output"]],
        ["".join(texts) for texts in rows["reasoning"]],
        called,
        [reasons[-1] for reasons in rows["finish_reason"]],
        rows["num_input_tokens"][0][-1],
        sum(sum(counts) for counts in rows["num_output_tokens"]),
    )


def _listed(value: Any) -> list[Any]:
    """Triton's /generate writes an array of one element without its brackets."""
    return value if isinstance(value, list) else [value]


def _put_together(deltas: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Whole calls of OpenAI's tool-call deltas."""
    calls: dict[int, list[str]] = {}
    for delta in deltas:
        call = calls.setdefault(delta["index"], ["", ""])
        call[0] += delta["function"].get("name") or ""
        call[1] += delta["function"].get("arguments") or ""
    return [(name, arguments) for name, arguments in (calls[index] for index in sorted(calls))]
