"""Chats over KServe: the same prompt and the same answer as the OpenAI server's."""

from __future__ import annotations

import json
import queue
from typing import Any

import httpx
import pytest
import tritonclient.grpc as grpc
from chat_doors import Body, by_kserve, by_kserve_stream, by_openai, by_openai_stream, kserve
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
# The demo model knows nothing of it and rambles: whatever else stood in the prompt would change every word.
UNKNOWN = {"role": "user", "content": "Describe the seven colours of a purple zebra, 请."}
ASKED = [{"role": "user", "content": QUESTION}]
SYSTEM = {"role": "system", "content": "Be brief."}
CALL = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
CALLED = [
    UNKNOWN,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "a", "content": "sunny"},
]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}
GREEDY = {"temperature": 0, "max_tokens": 40}

BODIES: dict[str, Body] = {
    "known": {"messages": ASKED, **GREEDY},
    "thinking off": {"messages": [UNKNOWN], "chat_template_kwargs": {"enable_thinking": False}, **GREEDY},
    "thinking on": {"messages": [UNKNOWN], "chat_template_kwargs": {"enable_thinking": True}, **GREEDY},
    "every role": {"messages": [SYSTEM, *CALLED, UNKNOWN], **GREEDY},
    "after a tool": {"messages": CALLED, "tools": TOOLS, "tool_choice": "none", **GREEDY},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Zebra?"}]}], **GREEDY},
    "continued": {"messages": [UNKNOWN, {"role": "assistant", "content": "It is"}], **CONTINUED, **GREEDY},
    "no generation prompt": {"messages": [UNKNOWN], "add_generation_prompt": False, **GREEDY},
    "a role of its own": {"messages": [{"role": "wizard", "content": "Zebra?"}], **GREEDY},
    "reasoning effort": {"messages": [UNKNOWN], "reasoning_effort": "none", **GREEDY},
    "stop string": {"messages": ASKED, "stop": ["is Par"], **GREEDY},
    "response format": {"messages": ASKED, "response_format": {"type": "json_object"}, **GREEDY},
    "as the model's authors sample": {"messages": [UNKNOWN], "seed": 7, "max_tokens": 40},
    "several": {"messages": [UNKNOWN], "n": 2, "seed": 7, "max_tokens": 40, "stop": ["e"]},
    "as long as the context allows": {"messages": ASKED, "temperature": 0},
    "fewer than the last tokens": {"messages": [UNKNOWN], "truncate_prompt_tokens": 9, **GREEDY},
}

BAD: list[tuple[Body, str]] = [
    ({"messages": "nothing"}, "input 'messages' must be a JSON list, but it is not JSON"),
    ({"messages": []}, "input 'messages' must be a list of at least one message, got []"),
    ({"messages": {}}, "input 'messages' must be a JSON list, got an object"),
    ({"messages": [3]}, "input 'messages': [0] must be an object with a role and a content, got 3"),
    ({"messages": [{"content": "x"}]}, "input 'messages': [0] must have a role such as 'system', 'user'"),
    ({"messages": [*ASKED, {"role": 7}]}, "input 'messages': [1] must have a role"),
    ({"messages": [{"role": "user", "content": 3}]}, "[0].content must be text or a list of parts, got 3"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "part or tool call [0].text: Field required"),
    ({"messages": [{"role": "assistant", "tool_calls": 3}]}, "[0].tool_calls must be a list of objects, got 3"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]},
        "input 'messages': demo is not a multimodal model",
    ),
    ({"messages": ASKED, "tools": "x"}, "input 'tools' must be a JSON list, but it is not JSON"),
    ({"messages": ASKED, "tools": []}, "input 'tools' must be a list of at least one tool, got []"),
    ({"messages": ASKED, "tools": [{"type": "function"}]}, "input 'tools': [0] must be"),
    ({"messages": ASKED, "tools": TOOLS}, "input 'tools': \"auto\" tool choice requires --enable-auto-tool-choice"),
    (
        {"messages": ASKED, "tools": TOOLS, "tool_choice": "required"},
        "input 'tools': tool_choice=\"required\" requires",
    ),
    ({"messages": ASKED, "tools": TOOLS, "tool_choice": "any"}, "input 'tool_choice': Invalid value"),
    ({"messages": ASKED, "tool_choice": "auto"}, "input 'tool_choice': When using `tool_choice`, `tools` must be set"),
    (
        {"messages": ASKED, "chat_template_kwargs": [1]},
        "input 'chat_template_kwargs' must be a JSON object, got a list",
    ),
    (
        {"messages": ASKED, "chat_template_kwargs": {"chat_template": "x"}},
        "input 'chat_template_kwargs': Chat template",
    ),
    ({"messages": ASKED, "reasoning_effort": "x"}, "sampling parameter 'reasoning_effort': Input should be 'none'"),
    ({"messages": ASKED, "max_tokens": 5000}, "max_tokens=5000 cannot be greater than max_model_len=2048"),
    ({"messages": ASKED, "min_tokens": 5000}, "min_tokens must be less than or equal to max_tokens="),
    ({"messages": ASKED, "max_token": 5}, "did you mean 'max_tokens'"),
    ({"messages": ASKED * 500}, "maximum context length is 2048 tokens"),
]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_chat_is_the_same_at_both_doors(server: Served, body: Body) -> None:
    expected = by_openai(server, body)
    assert by_kserve(server, body) == expected
    assert by_kserve_stream(server, body) == by_openai_stream(server, body) == expected


def test_messages_and_prompt_exclude_each_other(server: Served) -> None:
    body = {"messages": json.dumps(ASKED), "text_input": QUESTION}
    answer = httpx.post(f"{server.http_url}/v2/models/generate/generate", json=body, timeout=60)
    assert answer.status_code == 400
    assert "inputs 'text_input' and 'messages' are both there" in answer.json()["error"]


@pytest.mark.parametrize(("body", "named"), BAD, ids=lambda value: json.dumps(value)[:50])
def test_bad_chat_is_named(server: Served, body: Body, named: str) -> None:
    answer = kserve(server, body)
    assert answer.status_code == 400
    message = answer.json()["error"]
    assert named in message
    assert "Traceback" not in message


def test_fields_of_a_chat_are_unknown_beside_a_prompt(server: Served) -> None:
    answer = server.generate(QUESTION, sampling_parameters='{"reasoning_effort": "low"}')
    assert answer.status_code == 400
    assert "unknown sampling parameter 'reasoning_effort'" in answer.json()["error"]


def test_plain_infer_answers_a_chat(server: Served) -> None:
    inputs = [_json_tensor("messages", ASKED), _json_tensor("sampling_parameters", GREEDY)]
    url = f"{server.http_url}/v2/models/generate_infer/infer"
    answer = httpx.post(url, json={"inputs": inputs}, timeout=60).json()
    assert {output["name"]: output["data"] for output in answer["outputs"]} == {
        "text_output": [ANSWER],
        "reasoning": [""],
        "tool_calls": [""],
    }


def test_grpc_streams_a_chat(server: Served) -> None:
    tensors = [_grpc_tensor("messages", ASKED), _grpc_tensor("sampling_parameters", GREEDY)]
    wants_stream = grpc.InferInput("stream", [1], "BOOL")
    wants_stream.set_data_from_numpy(_array([True], bool))
    answers: queue.Queue[Any] = queue.Queue()
    with grpc.InferenceServerClient(server.grpc_url) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("generate", [*tensors, wants_stream], enable_empty_final_response=True)
        texts, final = [], False
        while not final:
            result, error = answers.get(timeout=60)
            assert error is None
            texts.append(result.as_numpy("text_output")[0].decode())
            final = result.get_response().parameters["triton_final_response"].bool_param
        client.stop_stream()
    assert len(texts) > 1
    assert "".join(texts) == ANSWER


def test_conversation_of_thousands_of_turns_is_refused_for_its_length(server: Served) -> None:
    turns = [{"role": "user" if turn % 2 == 0 else "assistant", "content": "word " * 30} for turn in range(4000)]
    answer = kserve(server, {"messages": turns, **GREEDY})
    assert answer.status_code == 400
    assert "maximum context length" in answer.json()["error"]
    assert by_kserve(server, BODIES["known"]).contents == [ANSWER]


def _json_tensor(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "datatype": "BYTES", "shape": [1], "data": [json.dumps(value)]}


def _grpc_tensor(name: str, value: Any) -> grpc.InferInput:
    tensor = grpc.InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(_array([json.dumps(value).encode()], object))
    return tensor


def _array(values: list[Any], kind: type) -> Any:
    import numpy as np

    return np.array(values, dtype=kind)
