"""What a client is told that has to come again later."""

from __future__ import annotations

import math
from typing import NamedTuple

REASONS = ("requests", "tokens", "bytes", "displaced", "wait", "deadline", "held")
SOONEST_RETRY_S = 1.0
LATEST_RETRY_S = 60.0
"""Nobody knows what will be in a minute."""


class Refusal(NamedTuple):
    """``reason`` is one of ``REASONS``, for the counts; the message is the client's. For ``holds_s`` every request of
    this client that is no more urgent would be told the same; where somebody says it without asking, that is the reason
    "held"."""

    reason: str
    message: str
    retry_after_s: float
    holds_s: float = 0.0


def full(reason: str, queued_requests: int, wait_s: float) -> Refusal:
    """There is no room to wait, or the room is another client's."""
    which = " and this client has the most of them" if reason == "displaced" else ""
    return _refusal(reason, f"{queued_requests} requests wait{which}", wait_s)


def long_wait(wait_s: float, limit_s: float) -> Refusal:
    """It would wait too long, or has."""
    return _refusal("wait", f"the wait is about {_rounded(wait_s)} s and may be {limit_s:g} s", wait_s)


def late(needed_s: float, timeout_s: float, wait_s: float) -> Refusal:
    """It would be answered after its deadline."""
    what = f"an answer takes about {_rounded(needed_s)} s and the deadline is {timeout_s:g} s"
    return _refusal("deadline", what, wait_s)


def _refusal(reason: str, what: str, wait_s: float) -> Refusal:
    retry_after_s = float(math.ceil(min(max(wait_s, SOONEST_RETRY_S), LATEST_RETRY_S)))
    return Refusal(reason, f"overloaded: {what}; retry after {retry_after_s:g} s", retry_after_s)


def _rounded(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"
