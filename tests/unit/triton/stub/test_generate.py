from __future__ import annotations

import json
from typing import Any

import pytest
from triton_fakes import Engine, Request, TritonError, piece, strings

from trident.protocol.spec import StubSpec
from trident.triton.stub.engine import EngineUnavailable
from trident.triton.stub.generate import TritonPythonModel


def ask(request: Request, engine: Engine | None = None, *, is_decoupled: bool = True) -> Engine:
    engine = engine or Engine()
    model = TritonPythonModel()
    model.name, model.is_decoupled = "generate", is_decoupled
    model.engine = engine  # type: ignore[assignment]
    model.spec = StubSpec(relays=[], sockets_dir="", start_timeout_s=1, response_share=1, defaults={})
    model.execute([request])
    return engine


def refusal(request: Request) -> tuple[int, str]:
    (response,) = request.sender.responses
    assert request.sender.final and response.error is not None
    return response.error.code, response.error.message


def texts(request: Request) -> list[list[str]]:
    return [[text.decode() for text in response.tensors["text_output"]] for response in request.sender.responses]


def test_request_parameters_become_sampling_without_tritons_own() -> None:
    parameters = {
        "temperature": 0.5,
        "id": "42",
        "priority": 1,
        "timeout": 2_000_000,
        "triton_x": 1,
        "traceparent": "00-1",
    }
    engine = ask(Request({"text_input": strings("hi")}, json.dumps(parameters), id="r1"))
    (submitted,) = engine.submitted
    assert submitted["sampling"] == {"temperature": 0.5}
    assert submitted["priority"] == 1
    assert submitted["request_id"] == "r1"
    assert submitted["deadline_s"] == 2.0


@pytest.mark.parametrize(("user", "client"), [(None, ""), ("ann", "ann"), (7, "7"), ("x" * 999, "x" * 256)])
def test_user_is_the_client_and_no_sampling_parameter(user: str | int | None, client: str) -> None:
    engine = ask(Request({"text_input": strings("hi")}, json.dumps({"user": user, "top_p": 0.5})))
    assert (engine.submitted[0]["client"], engine.submitted[0]["sampling"]) == (client, {"top_p": 0.5})


def test_sampling_parameters_tensor_replaces_request_parameters() -> None:
    inputs = {"text_input": strings("hi"), "sampling_parameters": strings('{"top_p": 0.5, "lora_name": "a"}')}
    engine = ask(Request(inputs, '{"temperature": 1}'))
    assert engine.submitted[0]["sampling"] == {"top_p": 0.5}
    assert engine.submitted[0]["lora_name"] == "a"


def test_structured_outputs_as_text_are_read() -> None:
    engine = ask(Request({"text_input": strings("hi")}, json.dumps({"structured_outputs": '{"regex": "a+"}'})))
    assert engine.submitted[0]["sampling"] == {"structured_outputs": {"regex": "a+"}}


@pytest.mark.parametrize(
    ("exclude", "expected"), [(None, "hi there"), (False, "hi there"), (True, " there")], ids=["absent", "no", "yes"]
)
def test_whole_answer_has_the_prompt_in_front_unless_excluded(exclude: bool | None, expected: str) -> None:
    inputs: dict[str, Any] = {"text_input": strings("hi")}
    if exclude is not None:
        inputs["exclude_input_in_output"] = [exclude]
    request = Request(inputs)
    ask(request).answers[0].finish([piece(" there")], ["stop"])
    assert texts(request) == [[expected]] and request.sender.final


def test_stream_sends_each_text_and_marks_the_last() -> None:
    request = Request({"text_input": strings("hi"), "stream": [True]})
    answer = ask(request).answers[0]
    answer.progress([piece("a")])
    assert not request.sender.final
    answer.finish([piece("b")], ["length"])
    assert texts(request) == [["a"], ["b"]] and request.sender.final


def test_answer_knows_whether_its_client_has_gone() -> None:
    request = Request({"text_input": strings("hi")})
    answer = ask(request).answers[0]
    assert not answer.is_cancelled()
    request.sender.cancelled = True
    assert answer.is_cancelled()
    answer.fail("cancelled", "the client has cancelled the request")
    assert refusal(request)[0] == TritonError.CANCELLED


@pytest.mark.parametrize(
    ("inputs", "parameters", "named"),
    [
        ({}, "{}", "'text_input' is missing"),
        ({"text_input": strings()}, "{}", "'text_input' is empty"),
        ({"text_input": strings("x"), "stream": [True, False]}, "{}", "'stream' has 2 elements"),
        ({"text_input": strings("x"), "sampling_parameters": strings("{")}, "{}", "not JSON"),
        ({"text_input": strings("x"), "sampling_parameters": strings("[]")}, "{}", "got a list"),
        ({"text_input": strings("x"), "sampling_parameters": strings("[" * 9999)}, "{}", "deeper than 100"),
        (
            {"text_input": strings("x"), "sampling_parameters": strings('{"a": %s}' % ("[" * 101 + "]" * 101))},
            "{}",
            "'a' nests deeper",
        ),
        ({"text_input": strings("x"), "sampling_parameters": strings('{"seed": %s}' % ("9" * 5000))}, "{}", "2**64"),
        ({"text_input": strings("x"), "sampling_parameters": strings(f'{{"a": [{2**64}]}}')}, "{}", "'a': an integer"),
        ({"text_input": strings("x"), "sampling_parameters": strings(r'{"a": {"\ud800": 1}}')}, "{}", "'a' has text"),
        ({"text_input": strings("x"), "stream": [True], "exclude_input_in_output": [False]}, "{}", "When streaming"),
        ({"text_input": strings("x")}, '{"timeout": "soon"}', "microseconds"),
        ({"text_input": strings("x")}, '{"lora_name": 7}', "lora_name must be a string"),
        ({"text_input": strings("x"), "sampling_parameters": strings('{"user": []}')}, "{}", "user must be a string"),
    ],
)
def test_input_that_cannot_be_understood_is_refused(inputs: dict[str, Any], parameters: str, named: str) -> None:
    request = Request(inputs, parameters)
    assert ask(request).submitted == []
    code, message = refusal(request)
    assert code == TritonError.INVALID_ARG and named in message


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (EngineUnavailable("no engine"), TritonError.UNAVAILABLE),
        (OverflowError("too large"), TritonError.INVALID_ARG),
        (RuntimeError("a bug"), TritonError.INTERNAL),
    ],
    ids=["unavailable", "overflow", "bug"],
)
def test_request_that_cannot_be_submitted_still_ends(problem: Exception, code: int) -> None:
    request = Request({"text_input": strings("x")})
    ask(request, Engine(problem))
    assert refusal(request)[0] == code


def test_long_message_is_cut_where_a_character_ends() -> None:
    request = Request({"text_input": strings("x"), "stream": [True]})
    ask(request).answers[0].fail("invalid", "错" * 100_000)
    (response,) = request.sender.responses
    assert response.error is not None
    assert len(response.error.message.encode()) < 1600 and response.error.message.endswith("错 …")


@pytest.mark.parametrize("stream", [False, True])
def test_chat_is_handed_on_by_vllms_names(stream: bool) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    inputs = {
        "messages": strings('[{"role": "user", "content": "hi"}]'),
        "tools": strings(json.dumps(tools)),
        "tool_choice": strings("required"),
        "chat_template_kwargs": strings('{"enable_thinking": false}'),
        "stream": [stream],
    }
    (submitted,) = ask(Request(inputs, '{"temperature": 0}')).submitted
    assert submitted["prompt"] is None
    assert submitted["sampling"] == {"temperature": 0}
    assert submitted["chat"] == {
        "messages": [{"role": "user", "content": "hi"}],
        "tools": tools,
        "tool_choice": "required",
        "chat_template_kwargs": {"enable_thinking": False},
        "stream": stream,
    }


def test_named_tool_choice_is_an_object() -> None:
    choice = '{"type": "function", "function": {"name": "f"}}'
    engine = ask(Request({"messages": strings("[1]"), "tool_choice": strings(choice)}))
    assert engine.submitted[0]["chat"]["tool_choice"] == json.loads(choice)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"messages": strings("{}")}, "input 'messages' must be a JSON list, got an object"),
        ({"messages": strings("[")}, "input 'messages' must be a JSON list, but it is not JSON"),
        ({"messages": strings("[1]"), "tools": strings("1")}, "input 'tools' must be a JSON list, got a number"),
        ({"messages": strings("[1]"), "tool_choice": strings("{")}, "input 'tool_choice' must be a JSON object"),
        ({"messages": strings("[1]"), "text_input": strings("a")}, "inputs 'text_input' and 'messages' are both there"),
    ],
)
def test_bad_chat_input_is_named(inputs: dict[str, Any], message: str) -> None:
    request = Request(inputs)
    ask(request)
    assert message in refusal(request)[1]
