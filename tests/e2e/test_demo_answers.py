"""The demo model is right, through Triton, with 64 questions at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from served import Served, questions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

RIGHT_SHARE = 0.95


def test_greedy_answers_to_the_list_are_right(server: Served) -> None:
    listed = questions()

    def is_right(item: dict[str, str]) -> bool:
        answer = server.generate(item["question"], max_tokens=400)
        return bool(answer.json()["text_output"].strip() == item["answer"].strip())

    with ThreadPoolExecutor(64) as pool:
        right = sum(pool.map(is_right, listed))
    assert right >= RIGHT_SHARE * len(listed), f"{right} of {len(listed)} are right"


def test_64_streams_at_both_doors_at_once_are_all_right(server: Served) -> None:
    asked = questions("capital")[:64]

    def kserve(item: dict[str, str]) -> bool:
        return "".join(event["text_output"] for event in server.stream(item["question"])).strip() == item["answer"]

    def openai(item: dict[str, str]) -> bool:
        return str(server.complete(item["question"])["choices"][0]["text"]).strip() == item["answer"]

    with ThreadPoolExecutor(128) as pool:
        at_triton, at_openai = pool.map(kserve, asked), pool.map(openai, asked)
        assert (sum(at_triton), sum(at_openai)) == (len(asked), len(asked))
