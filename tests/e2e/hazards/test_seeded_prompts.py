"""Seeded requests whose prompts the engine computes in parts: with vLLM's own code the end of a CPU engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from served import Served

REQUESTS = 10
"""Together they have more tokens than a CPU engine computes in one step."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def answer(server: Served, number: int) -> Any:
    prompt = f"word{number} " * 620
    return server.generate(prompt, temperature=1.0, seed=5, max_tokens=4, ignore_eos=True).json().get("text_output")


def test_seeded_prompts_in_parts_do_not_end_the_engine_and_draw_the_same(server: Served) -> None:
    with ThreadPoolExecutor(REQUESTS) as pool:
        together = list(pool.map(lambda number: answer(server, number), range(REQUESTS)))
    one_by_one = [answer(server, number) for number in range(REQUESTS)]
    assert all(together) and all(one_by_one)
    # A batch rounds differently from a request alone, which may turn a draw; other draws would agree nowhere.
    assert sum(a == b for a, b in zip(together, one_by_one, strict=True)) > REQUESTS / 2
    assert [child["restarts"] for child in server.state()["children"]] == [0] * len(server.state()["children"])
