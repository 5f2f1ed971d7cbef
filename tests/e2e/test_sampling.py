"""vLLM's sampling parameters over KServe: as request parameters, as a tensor, and as vLLM's own server obeys them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "What is the capital of France?\n"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}, "known": {"type": "boolean"}},
    "required": ["city", "known"],
    "additionalProperties": False,
}
TOKENIZER = Path(__file__).parents[2] / "src" / "trident" / "models" / "demo" / "tokenizer.json"
VOCABULARY = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"]
# JSON allows spaces without end, and the demo model likes them.
WITHOUT_SPACES = {str(id): -100 for token, id in VOCABULARY.items() if token[0] in "ĠĊĉč"}
DIGITS = "root ::= digit digit\ndigit ::= [0-9]"


def by_tensor(server: Served, **sampling: Any) -> Any:
    tensor = json.dumps({"temperature": 0, "max_tokens": 64, **sampling})
    answer = server.generate(QUESTION, sampling_parameters=tensor)
    assert answer.status_code == 200, answer.text
    return answer.json()["text_output"]


def by_parameter(server: Served, **sampling: Any) -> Any:
    answer = server.generate(QUESTION, **sampling)
    assert answer.status_code == 200, answer.text
    return answer.json()["text_output"]


@pytest.mark.parametrize(
    ("constraint", "pattern"),
    [
        ({"json": CITY}, r'\{"city":"(Paris|Rome)","known":(true|false)\}'),
        ({"json": json.dumps(CITY)}, r'\{"city":"(Paris|Rome)","known":(true|false)\}'),
        ({"regex": "[A-C]{3}-[0-9]{2}"}, r"[A-C]{3}-[0-9]{2}"),
        ({"choice": ["Berlin", "Rome"]}, r"Berlin|Rome"),
        ({"grammar": DIGITS}, r"[0-9]{2}"),
    ],
    ids=["json", "json-text", "regex", "choice", "grammar"],
)
def test_text_obeys_its_constraint(server: Served, constraint: dict[str, Any], pattern: str) -> None:
    sampling = {"structured_outputs": constraint, "logit_bias": WITHOUT_SPACES}
    text = by_tensor(server, **sampling)
    assert re.fullmatch(pattern, text), text
    tensor = json.dumps({"temperature": 0, "max_tokens": 64, **sampling})
    assert "".join(event["text_output"] for event in server.stream(QUESTION, sampling_parameters=tensor)) == text
    assert server.complete(QUESTION, **sampling)["choices"][0]["text"] == text


def test_constraint_as_a_request_parameter_is_json_in_text(server: Served) -> None:
    assert by_parameter(server, structured_outputs='{"choice": ["Berlin", "Rome"]}') in ("Berlin", "Rome")


def test_any_json_object_begins_as_one(server: Served) -> None:
    assert by_tensor(server, structured_outputs={"json_object": True}).lstrip().startswith("{")


def test_each_of_several_sequences_obeys(server: Served) -> None:
    constraint = {"regex": "[A-C]{3}-[0-9]{2}"}
    texts = by_tensor(server, structured_outputs=constraint, n=3, temperature=1.5, seed=3)
    assert len(texts) == 3
    assert all(re.fullmatch(constraint["regex"], text) for text in texts), texts


ALIKE: list[dict[str, Any]] = [
    {"bad_words": ["Paris"]},
    {"logit_bias": {"50": 100}, "max_tokens": 8},
    {"allowed_token_ids": [50, 51], "max_tokens": 8},
    {"min_tokens": 20, "max_tokens": 24},
    {"ignore_eos": True, "max_tokens": 24},
    {"stop": ["is", " of"]},
    {"stop": "Paris", "include_stop_str_in_output": True},
    {"stop_token_ids": [276]},
    {"presence_penalty": 2, "frequency_penalty": 2, "repetition_penalty": 1.5, "ignore_eos": True, "max_tokens": 24},
    {"temperature": 1.8, "seed": 7, "top_p": 0.9, "top_k": 20, "min_p": 0.05},
    {"temperature": 1.8, "seed": 7, "min_p": 0.9},
    {"skip_special_tokens": False, "stop_token_ids": [2023], "ignore_eos": True, "max_tokens": 16},
    {"prompt_logprobs": 1, "logprobs": 1},
    {"top_p": None, "presence_penalty": None, "seed": None, "stop": None, "max_tokens": None},
    {"repetition_detection": {"max_pattern_size": 2, "min_count": 3}},
]


@pytest.mark.parametrize("sampling", ALIKE, ids=lambda value: "-".join(value)[:40])
def test_sampling_parameter_works_as_at_vllms_own_server(server: Served, sampling: dict[str, Any]) -> None:
    expected = server.complete(QUESTION, **sampling)["choices"][0]["text"]
    assert by_tensor(server, **sampling) == expected
    plain = {name: value for name, value in sampling.items() if isinstance(value, (bool, int, float, str))}
    if plain == sampling:  # Triton's request parameters are no lists and no nulls
        assert by_parameter(server, **sampling) == expected
        as_text = {name: str(value) for name, value in plain.items()}
        assert by_parameter(server, **as_text) == expected
