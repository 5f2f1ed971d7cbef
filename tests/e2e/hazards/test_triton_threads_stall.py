"""Triton's HTTP threads get no turn while answers come: no answer is lost (as Triton itself would lose it)."""

from __future__ import annotations

import threading

import pytest
from served import Served

from hazards import held_threads
from hazards.hurt import child, pid_of
from trident.supervisor.answer_pipes import make_patient

pytestmark = pytest.mark.e2e

STREAMS = 96
TOKENS = 48
HELD_S = 4.0
"""Less than what makes a tritonserver count as hung."""


def test_every_stream_ends_after_triton_s_threads_were_held(hurt: Served) -> None:
    pid, restarts = pid_of(hurt, "tritonserver"), child(hurt, "tritonserver")["restarts"]
    assert make_patient(pid) == 0, "the supervisor has left some"
    whole: list[bool] = []

    def ask() -> None:
        pieces = hurt.stream("Tell me a story", max_tokens=TOKENS, ignore_eos=True, return_num_output_tokens=True)
        whole.append(sum(piece["num_output_tokens"] for piece in pieces) == TOKENS)

    clients = [threading.Thread(target=ask) for _ in range(STREAMS)]
    for client in clients:
        client.start()
    threads = held_threads.that_wait_for_events(pid)
    assert held_threads.hold(threads, HELD_S) == len(threads) > 0
    for client in clients:
        client.join(90)
    assert whole == [True] * STREAMS
    assert child(hurt, "tritonserver")["restarts"] == restarts
