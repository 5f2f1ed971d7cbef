from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from trident.engine import openai_in_flight
from trident.engine.openai_in_flight import Visit
from trident.protocol.in_flight import Question


def state(id: str, tokens: int, *, index: int = 0, prompt: str | None = "Hi", **changes: Any) -> Any:
    """One of vLLM's, as far as it is read."""
    values = {
        "external_req_id": id, "request_index": index, "is_prefilling": tokens == 0, "lora_name": None,
        "prompt_len": 10,
        "max_tokens_param": 64, "prompt": prompt, "prompt_token_ids": [1, 2, 3],
        "detokenizer": SimpleNamespace(num_output_tokens=lambda: tokens),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


def engine(*states: Any) -> Any:
    tokenizer = SimpleNamespace(decode=lambda ids: f"text of {ids}")
    processor = SimpleNamespace(request_states={str(number): one for number, one in enumerate(states)})
    return SimpleNamespace(output_processor=processor, get_tokenizer=lambda: tokenizer)


def visit(id: str, *, client: str = "10.0.0.1", path: str = "/v1/chat/completions", is_queued: bool = False) -> Visit:
    made = Visit(id, client, path)
    made.is_queued = is_queued
    return made


def test_a_request_without_an_id_gets_one_and_another_keeps_its_own() -> None:
    scope, id = openai_in_flight.named({"headers": [(b"host", b"x")]})
    assert (b"x-request-id", id.encode()) in scope["headers"]
    assert len(id) == 16
    theirs: dict[str, Any] = {"headers": [(b"x-request-id", b"mine")]}
    assert openai_in_flight.named(theirs) == (theirs, "mine")


def test_who_asks_is_joined_with_the_tokens_of_vllm() -> None:
    visits = [visit("aa"), visit("bb", is_queued=True), visit("cc"), visit("dd")]
    vllm = engine(state("chatcmpl-aa", 7), state("chatcmpl-cc", 0))
    told = openai_in_flight.told(visits, vllm, "demo", Question())
    assert [(one.id, one.state, one.output_tokens) for one in told.requests] == [
        ("aa", "decoding", 7), ("bb", "queued", 0), ("cc", "starting", 0), ("dd", "starting", 0),
    ]  # fmt: skip
    assert told.requests[0].door == "OpenAI chat/completions"
    assert told.requests[0].prompt_tokens == 10
    assert told.total == 4


def test_several_answers_and_several_prompts_are_one_request() -> None:
    n = [state("chatcmpl-aa", 3, index=0), state("chatcmpl-aa", 4, index=1)]
    prompts = [state("cmpl-b-b-0", 5), state("cmpl-b-b-1", 6)]
    told = openai_in_flight.told([visit("aa"), visit("b-b")], engine(*n, *prompts), "demo", Question())
    assert [(one.output_tokens, one.prompt_tokens) for one in told.requests] == [(7, 10), (11, 20)]


def test_prompts_are_told_only_when_asked_for() -> None:
    vllm = engine(state("chatcmpl-aa", 1), state("chatcmpl-bb", 1, prompt=None))
    visits = [visit("aa"), visit("bb")]
    plain = openai_in_flight.told(visits, vllm, "demo", Question())
    assert [one.prompt for one in plain.requests] == [None, None]
    asked = openai_in_flight.told(visits, vllm, "demo", Question(prompts=True))
    assert [one.prompt for one in asked.requests] == ["Hi", "text of [1, 2, 3]"]


def test_a_key_is_told_by_a_few_digits_of_its_digest() -> None:
    told = openai_in_flight.told([visit("aa", client="3f9a1c2d" + "0" * 56)], engine(), "demo", Question())
    assert told.requests[0].client == "key 3f9a1c2d"


def test_the_oldest_are_told_and_all_are_counted() -> None:
    told = openai_in_flight.told([visit(str(number)) for number in range(30)], engine(), "demo", Question(most=3))
    assert ([one.id for one in told.requests], told.total) == (["0", "1", "2"], 30)
