"""End-to-end latency from the scheduled time: ``last token event - scheduled``, in ms.

What a user waits when sending is late: a client that measures from its own late sending hides the delay it causes
(coordinated omission; Gil Tene, "How NOT to measure latency"). In a closed loop the schedule is the end of the answer
before.
"""

from __future__ import annotations

from trident.bench.result import RequestRow


def e2e_from_schedule_ms(row: RequestRow) -> float | None:
    """None where nothing has come."""
    return None if row.last_ns is None else (row.last_ns - row.scheduled_ns) / 1e6
