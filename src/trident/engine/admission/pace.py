"""How many sequences may run at once so that each gets its tokens fast enough."""

from __future__ import annotations

LOOK_S = 1.0
LEAST_TOKENS_PER_SEQUENCE = 4
"""Of a look: with fewer, one long prompt more or less would decide."""
LEAST_SHARE = 1 / 8
"""Of what may run at all: a time that no number of sequences can keep must not bring the engine to a stand."""
STEADY = 0.85
"""Of the longest time: with more the limit stays, or it would go up and down with every look."""
MOST_GROWTH = 1.125


class Pace:
    """Keeps the mean time per output token at ``max_tpot_s`` or below: ``limit`` is for the sequences that run, 1 to
    ``most``.

    By Little's law that time is the sequences which run, over the tokens that all of them get in a second. An engine
    takes longer for a step of more sequences, so fewer are let in when it is too long, and more when it is short and
    requests wait.
    """

    def __init__(self, most: int, max_tpot_s: float) -> None:
        self.limit = most
        self._most = most
        self._least = max(1, int(most * LEAST_SHARE))
        self._max_tpot_s = max_tpot_s
        self._begun_s = 0.0
        self._last_s: float | None = None
        self._sequence_s = 0.0
        self._tokens = 0

    def stepped(self, now_s: float, *, running: int, tokens: int, is_saturated: bool) -> None:
        """The engine has made so many tokens since it was said last; ``running`` sequences were getting them."""
        if self._last_s is None or running == 0:
            self._begin(now_s if running else None)
            return
        self._sequence_s += running * (now_s - self._last_s)
        self._tokens += tokens
        self._last_s = now_s
        seconds = now_s - self._begun_s
        if seconds >= LOOK_S and self._tokens >= LEAST_TOKENS_PER_SEQUENCE * self._sequence_s / seconds:
            self._look(self._sequence_s / seconds, self._sequence_s / self._tokens, is_saturated=is_saturated)
            self._begin(now_s)

    def _look(self, running: float, tpot_s: float, *, is_saturated: bool) -> None:
        wanted = running * self._max_tpot_s / tpot_s
        if tpot_s > self._max_tpot_s:
            self.limit = max(self._least, min(self.limit, int(wanted)))
        elif tpot_s < STEADY * self._max_tpot_s and is_saturated and running >= STEADY * self.limit:
            self.limit = min(self._most, max(self.limit + 1, int(min(wanted, self.limit * MOST_GROWTH))))

    def _begin(self, now_s: float | None) -> None:
        """Another look, now or with the next step."""
        self._last_s = now_s
        self._begun_s = now_s or 0.0
        self._sequence_s = 0.0
        self._tokens = 0
