"""Tells a process that is deaf or stopped from one that is busy, while it leaves a question unanswered.

The engine host judges its engines so, and the supervisor the engine host and tritonserver. One long step keeps an
engine from answering for as long as it takes, so silence alone says nothing. Suspicious is

- a process that is stopped,
- an engine whose later steps have arrived: it would have answered between two of them,
- one whose processes have used almost no CPU time meanwhile, and waited for no core, no disk and no GPU either.
"""

from __future__ import annotations

from collections import deque

from trident.protocol.vital_signs import VitalSigns

LOOK_S = 0.1
"""How often the caller looks. More than twice of it between two looks is the caller's own sleep and counts nothing."""
WINDOW_S = 0.5
"""One look proves nothing; so long must the signs point the same way."""
IDLE_SHARE = 0.05
LATER_STEPS = 30
LATER_STEPS_S = 1.5
"""On a machine with far too much to do, the engine's thread that listens may get no turn while others make steps: 16 or
more in 0.5 s were seen, after which it answered."""
LOSS_S = 3.0
"""Suspicious for so long without a break, the engine is given up."""


class Pulse:
    """One question to ``who``, from its asking on. Times are the caller's monotonic clock.

    ``suspicion`` and ``loss`` say why, once there is cause. A suspicion stays until the question is answered.
    """

    def __init__(self, now_s: float, timeout_s: float, who: str = "the engine") -> None:
        """Who is busy all the time is lost after ``timeout_s``."""
        self._who = who
        self.suspicion: str | None = None
        self.loss: str | None = None
        self._timeout_s = timeout_s
        self._seen_s = now_s
        self._waited_s = 0.0
        self._suspicious_s = 0.0
        self._looks: deque[tuple[float, VitalSigns]] = deque()

    def look(self, now_s: float, signs: VitalSigns, later_steps: int) -> None:
        """Still no answer. ``later_steps`` have arrived that were made after the question."""
        passed_s = min(now_s - self._seen_s, 2 * LOOK_S)
        self._seen_s = now_s
        self._waited_s += passed_s
        self._looks.append((self._waited_s, signs))
        while len(self._looks) > 1 and self._looks[1][0] <= self._waited_s - WINDOW_S:
            self._looks.popleft()
        why = self._evidence(later_steps)
        self._suspicious_s = self._suspicious_s + passed_s if why else 0.0
        self.suspicion = why or self.suspicion
        if self._suspicious_s >= LOSS_S:
            self.loss = why
        elif self._waited_s >= self._timeout_s:
            self.loss = f"{self._who} has not answered for {self._timeout_s:g} s"

    def _evidence(self, later_steps: int) -> str | None:
        signs = [signs for _, signs in self._looks]
        if len(signs) > 1 and all(sign.is_stopped for sign in signs[-2:]):
            return f"{self._who}'s process is stopped"
        window_s = self._waited_s - self._looks[0][0]
        if window_s < WINDOW_S - LOOK_S / 2:
            return None
        if later_steps >= LATER_STEPS and self._waited_s >= LATER_STEPS_S:
            return f"{self._who} answers nothing, yet has made {later_steps} steps since it was asked"
        if any(sign.is_on_gpu for sign in signs):
            return None
        cpu_s = signs[-1].cpu_s - signs[0].cpu_s
        runnable = sum(sign.is_runnable for sign in signs)
        if cpu_s < IDLE_SHARE * window_s and 2 * runnable < len(signs):
            return f"{self._who} answers nothing and does nothing"
        return None
