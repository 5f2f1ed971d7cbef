from __future__ import annotations

from typing import Any

import pytest

from trident.engine.limits import excess
from trident.protocol.messages import Submit
from trident.protocol.spec import RequestLimits

LIMITS = RequestLimits(max_prompt_bytes=10, max_schema_bytes=20)


def submit(prompt: str | None = None, sampling: dict[str, Any] | None = None, **more: Any) -> Submit:
    return Submit(1, "r", prompt, None, sampling or {}, **more)


@pytest.mark.parametrize(
    "request_",
    [
        submit("0123456789"),
        submit("日本国"),
        submit(chat={"messages": [{"content": "01234"}, {"content": [{"text": "56789"}, {"image_url": "x" * 99}]}]}),
        submit("x", {"structured_outputs": {"regex": "123456"}}),
        submit(chat={"messages": "odd", "tools": None}),
        submit(embed={"input": [1] * 99}),
        submit("\ud800"),
    ],
)
def test_request_within_the_limits_passes(request_: Submit) -> None:
    assert excess(request_, LIMITS) is None


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (submit("0123456789a"), "the prompt has 11 bytes; the limit is 10"),
        (submit("日本国日"), "the prompt has 12 bytes"),
        (submit(chat={"messages": [{"content": "0123456789"}, {"content": [{"text": "a"}]}]}), "the prompt has 11"),
        (submit(embed={"input": "0123456789a"}), "the prompt has 11"),
        (
            submit("x", {"structured_outputs": {"regex": "12345678"}}),
            "structured_outputs has 21 bytes; the limit is 20",
        ),
        (submit("x", {"structured_outputs": '{"json": 1234567890}x'}), "structured_outputs has 21"),
        (submit(chat={"tools": [{"name": "a" * 10}]}), "tools has 24"),
        (submit("x", {"response_format": {"type": "json_schema"}}), "response_format has 23"),
    ],
)
def test_request_beyond_a_limit_is_told_which(request_: Submit, words: str) -> None:
    assert words in (excess(request_, LIMITS) or "")
