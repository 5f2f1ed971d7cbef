from __future__ import annotations

from typing import Any

import pytest

from trident.engine.admission.ticket import MOST_SEQUENCES, UNBOUNDED_TOKENS, Ticket, ticket
from trident.protocol.messages import Submit

MODEL_LEN = 4096


def placed(size_bytes: int = 400, sampling: dict[str, Any] | None = None, **fields: Any) -> Ticket:
    fields = {"prompt": "x", "prompt_token_ids": None, **fields}
    return ticket(Submit(1, "r", sampling=sampling or {}, **fields), size_bytes, 100.0, MODEL_LEN)


def test_prompt_is_estimated_from_its_size_within_the_models_context() -> None:
    assert placed(400).prompt_tokens == 100
    assert placed(10**6).prompt_tokens == MODEL_LEN
    assert placed(0).prompt_tokens == 1
    assert placed(5000, prompt=None, prompt_token_ids=[1, 2, 3]).prompt_tokens == 3


def test_image_counts_less_than_text_of_its_size() -> None:
    assert placed(256_400, images=["A" * 256_000]).prompt_tokens == 1100


@pytest.mark.parametrize(
    ("sampling", "tokens"),
    [
        ({}, 16),
        ({"max_tokens": 100}, 100),
        ({"max_tokens": "100"}, 100),
        ({"max_tokens": None}, UNBOUNDED_TOKENS),
        ({"max_tokens": -5}, 1),
        ({"max_tokens": 10**9}, MODEL_LEN),
        ({"max_tokens": float("inf")}, UNBOUNDED_TOKENS),
        ({"max_tokens": [1]}, UNBOUNDED_TOKENS),
    ],
)
def test_answer_is_estimated_from_what_the_client_allows(sampling: dict[str, Any], tokens: int) -> None:
    assert placed(sampling=sampling).output_tokens == tokens


def test_chat_without_a_limit_may_be_long() -> None:
    chat: dict[str, Any] = {"prompt": None, "chat": {"messages": []}}
    assert placed(**chat).output_tokens == UNBOUNDED_TOKENS
    assert placed(sampling={"max_completion_tokens": 7}, **chat).output_tokens == 7


@pytest.mark.parametrize(("n", "slots"), [(3, 3), ("2", 2), (0, 1), ("many", 1), (10**12, MOST_SEQUENCES)])
def test_each_sequence_takes_a_place(n: Any, slots: int) -> None:
    place = placed(sampling={"n": n, "max_tokens": 10})
    assert place.slots == slots and place.cost_tokens == 100 + slots * 10


def test_embedding_makes_no_tokens() -> None:
    place = placed(prompt=None, embed={"input": "x"})
    assert (place.slots, place.output_tokens, place.cost_tokens) == (1, 0, 100)


def test_deadline_counts_from_arrival() -> None:
    assert placed(deadline_s=2.5).expires_s == 102.5
    assert placed().expires_s is None


def test_request_with_tokens_of_another_engine_is_continued() -> None:
    assert placed(resume_from=[1]).is_continued and not placed().is_continued
