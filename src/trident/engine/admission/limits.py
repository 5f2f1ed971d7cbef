"""The bounds of an admission."""

from __future__ import annotations

from dataclasses import dataclass

from trident.protocol.spec import HostSpec

MAX_QUEUED_BYTES = 256 * 2**20
"""Messages that wait: what bounds memory, whatever the requests are."""
LEAST_AHEAD = 4
AHEAD_SHARE = 1 / 32
"""So much of what the engine runs at once is handed over beyond it: a place that becomes free is taken in the next
step, not a round trip later. With 2 ahead of 16 a CPU engine made 8 % fewer short answers, with 4 as many as with all
of them. It is little, and given only when places are about to become free, as it waits in the engine on top of
``max_queue_wait_s``: of equal requests, which all end at once, so many came too late in an overload."""
LEAST_STARTING = 8


@dataclass(frozen=True)
class Limits:
    """``max_running`` sequences are in the engine, or fewer where each would get its tokens more slowly than
    ``max_tpot_s``; the last ``ahead`` of them wait there. ``max_starting`` of them may have no output yet; of these,
    the prompts have ``max_starting_tokens`` where one counts ``step_tokens`` at most. None is no bound."""

    max_running: int
    ahead: int = 0
    max_queued_requests: int = 10_000
    max_queued_tokens: int | None = None
    max_queue_wait_s: float | None = None
    max_tpot_s: float | None = None
    max_queued_bytes: int = MAX_QUEUED_BYTES
    max_starting: int = 2**31
    max_starting_tokens: int = 2**31
    step_tokens: int = 2**31


def limits(spec: HostSpec, *, max_num_seqs: int, max_num_batched_tokens: int, replicas: int) -> Limits:
    """From the settings and the engine's own bounds.

    What is given to the engine beyond what it can run would wait there, out of reach of fairness and deadlines: it is
    kept short also where memory for the KV cache is the bound, and then the engine shows it by not starting.
    """
    at_once = max_num_seqs * replicas
    ahead = 0 if spec.max_running_requests else max(LEAST_AHEAD, int(at_once * AHEAD_SHARE))
    running = spec.max_running_requests or at_once + ahead
    return Limits(
        max_running=running,
        ahead=ahead,
        max_queued_requests=spec.max_queued_requests,
        max_queued_tokens=spec.max_queued_tokens,
        max_queue_wait_s=spec.max_queue_wait_s,
        max_tpot_s=spec.max_tpot_s,
        max_starting=max(LEAST_STARTING, running // 4),
        max_starting_tokens=2 * max_num_batched_tokens * replicas,
        step_tokens=max_num_batched_tokens,
    )
