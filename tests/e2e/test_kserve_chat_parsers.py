"""Chats over KServe where vLLM's parsers are at work: reasoning and tool calls as the OpenAI server tells them.

The demo model neither thinks nor calls: it is made to by an opened think block with a budget, and by a grammar.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from chat_doors import Body, Said, by_kserve, by_kserve_stream, by_openai, by_openai_stream, kserve
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ASKED = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."
CITIES = {"type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}}, "required": ["city"]}
FUNCTION = {"name": "weather", "strict": True, "parameters": {**CITIES, "additionalProperties": False}}
TOOLS = {"tools": [{"type": "function", "function": FUNCTION}]}
NAMED = {"tool_choice": {"type": "function", "function": {"name": "weather"}}}
GREEDY = {"temperature": 0, "max_tokens": 120}
SAMPLED = {"temperature": 1, "seed": 7, "n": 2, "max_tokens": 120}
THINKS = {"chat_template_kwargs": {"enable_thinking": True}}
OPENED = {
    "messages": [*ASKED, {"role": "assistant", "content": "<think>\nLet me"}],
    "continue_final_message": True,
    "add_generation_prompt": False,
    "thinking_token_budget": 12,
    **THINKS,
}


def calling(*cities: str) -> Body:
    """A grammar under which the model calls the tool for these (each a regular expression)."""
    calls = [
        rf'<tool_call>\n\{{"name": "weather", "arguments": \{{"city": "{city}"\}}\}}\n</tool_call>' for city in cities
    ]
    return {"messages": ASKED, "structured_outputs": {"regex": "Hi " + r"\n".join(calls)}, **TOOLS}


AGREEING: dict[str, Body] = {
    "reasoning, then content": {**OPENED, **GREEDY},
    "reasoning that is not wanted": {**OPENED, "include_reasoning": False, **GREEDY},
    "reasoning that does not end": {"messages": ASKED, **THINKS, **GREEDY},
    "reasoning cut by a stop string": {**OPENED, "stop": ["prompt"], **GREEDY},
    "several that think": {**OPENED, **SAMPLED},
    "no thinking, as the server's default says": {"messages": ASKED, **GREEDY},
    "content cut by a stop string": {"messages": ASKED, "stop": ["is Par"], **GREEDY},
    "stop string kept": {"messages": ASKED, "stop": ["is Par"], "include_stop_str_in_output": True, **GREEDY},
    "sampled as the model's configuration says": {**OPENED, "max_tokens": 40},
    "null for what is left out": {**OPENED, "max_tokens": 40, "temperature": None, "top_p": None},
    "tools that are not called": {"messages": ASKED, **TOOLS, **GREEDY},
    "one call": {**calling("Rome|Paris"), **GREEDY},
    "two calls": {**calling("Rome", "Paris"), **GREEDY},
    "two calls where one is allowed": {**calling("Rome", "Paris"), "parallel_tool_calls": False, **GREEDY},
    "calls that are only text": {**calling("Rome"), "tool_choice": "none", **GREEDY},
    "several that call": {**calling("Rome|Paris"), **SAMPLED},
}
"""Chats of which vLLM says the same whole and streamed."""

DIFFERING: dict[str, Body] = {
    "call of a named tool": {"messages": ASKED, **TOOLS, **NAMED, **GREEDY},
    "call that must be": {"messages": ASKED, **TOOLS, "tool_choice": "required", **GREEDY},
    "call cut by a stop string": {**calling("Rome"), "stop": ["Rome"], **GREEDY},
    "call cut by its length": {**calling("Rome"), "temperature": 0, "max_tokens": 45},
}
"""vLLM streams the arguments as the model writes them, and shows a call that is cut as text of a whole answer."""


@pytest.fixture(scope="module")
def parsing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served.plan(tmp_path_factory.mktemp("p"))
    flags = ["--stubs", "1", "--reasoning-parser", "qwen3", "--tool-call-parser", "hermes", "--enable-auto-tool-choice"]
    flags += ["--default-chat-template-kwargs", '{"enable_thinking": false}']
    flags += ["--override-generation-config", '{"temperature": 0}']
    started = served.serve("demo", *flags)
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    assert served.trident("stop").returncode == 0


@pytest.mark.parametrize("body", AGREEING.values(), ids=AGREEING)
def test_parsed_chat_is_the_same_at_both_doors(parsing: Served, body: Body) -> None:
    expected = by_openai(parsing, body)
    assert by_kserve(parsing, body) == expected
    assert by_kserve_stream(parsing, body) == by_openai_stream(parsing, body) == expected


@pytest.mark.parametrize("body", DIFFERING.values(), ids=DIFFERING)
def test_whole_and_streamed_each_agree_with_the_other_door(parsing: Served, body: Body) -> None:
    assert by_kserve(parsing, body) == by_openai(parsing, body)
    assert by_kserve_stream(parsing, body) == by_openai_stream(parsing, body)


def test_reasoning_stands_apart_from_content(parsing: Served) -> None:
    said = by_kserve(parsing, AGREEING["reasoning, then content"])
    assert said.contents[0] and said.reasonings[0]
    assert "think>" not in said.contents[0] + said.reasonings[0]


def test_calls_are_reported_with_their_finish_reason(parsing: Served) -> None:
    called = [("weather", '{"city": "Rome"}'), ("weather", '{"city": "Paris"}')]
    said = by_kserve_stream(parsing, AGREEING["two calls"])
    assert said == Said(["Hi "], [""], [called], ["tool_calls"], said.prompt_tokens, said.completion_tokens)


def test_hidden_reasoning_is_not_told_by_logprobs(parsing: Served) -> None:
    for wants_reasoning, shows in ((True, True), (False, False)):
        body = {**OPENED, **GREEDY, "logprobs": 1, "include_reasoning": wants_reasoning}
        answer = kserve(parsing, body, return_logprobs=True).json()
        assert (answer["logprobs"] != "null") is shows


def test_prompt_as_text_is_not_parsed(parsing: Served) -> None:
    answer = parsing.generate("What is the capital of France?\n").json()
    assert answer["text_output"] == ANSWER
    assert "reasoning" not in answer


def test_parser_is_counted_with_those_of_the_openai_server(parsing: Served) -> None:
    before = _invocations(parsing)
    by_kserve(parsing, AGREEING["one call"])
    assert _invocations(parsing) == before + 1


def _invocations(server: Served) -> float:
    metrics = httpx.get(f"http://127.0.0.1:{server.openai_port}/metrics", timeout=30).text
    lines = [line for line in metrics.splitlines() if line.startswith("vllm:tool_call_parser_invocations_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
