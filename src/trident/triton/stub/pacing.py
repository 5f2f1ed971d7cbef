"""How often a stub answers under load.

Triton's path for one response costs about 100 µs of CPU whatever it carries, so tokens that come faster than that pays
for are joined. After a round of responses that took T seconds the stub rests T/share - T: at a few streams that is less
than one engine step and every token goes out by itself; at many, each response carries what has come in the meantime.
First tokens and last ones never wait.
"""

from __future__ import annotations

LONGEST_REST_S = 0.05
"""However busy, a reader sees news twenty times a second."""


class Pacer:
    """Decides when the next round of responses is due."""

    def __init__(self, share: float) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], got {share}")
        self._rest_for_each_second = 1 / share - 1
        self._due_s = 0.0

    def due_in_s(self, now_s: float) -> float:
        """Seconds until the next round may go out; 0 when it may now."""
        return max(0.0, self._due_s - now_s)

    def sent(self, begun_s: float, ended_s: float) -> None:
        """A round went out between these times."""
        self._due_s = ended_s + min(LONGEST_REST_S, (ended_s - begun_s) * self._rest_for_each_second)
