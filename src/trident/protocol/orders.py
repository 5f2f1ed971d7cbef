"""What the supervisor asks of an engine host that serves: signals, as they need nothing that is open.

The host answers ``status.Drained`` once nothing is in flight any more. Before it serves a signal would end it.
"""

from __future__ import annotations

import signal

REFUSE = signal.SIGUSR1
"""New requests are refused at every door; what is in flight goes on."""

HAND_OVER = signal.SIGWINCH
"""Another host has taken its place: the OpenAI server stops listening and lets its clients go; all else goes on."""

EXPEL = signal.SIGUSR2
"""What is in flight ends now, with an error that its client sees."""
