"""The stub's engine thread against a small host that speaks the real protocol over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_host import DEADLINE_S, Host, submit
from triton_fakes import Heard

from trident.protocol.messages import (
    VERSION,
    Abort,
    Delta,
    Embedded,
    EngineReady,
    Logprob,
    Parsed,
    Rejected,
    Stopped,
    Submit,
    Tokens,
)
from trident.protocol.spec import StubSpec
from trident.triton.stub.engine import Engine
from trident.triton.stub.piece import Piece
from trident.triton.stub.refusals import Overloaded

LENGTH = 1


@contextmanager
def engine_held(engine: Engine, host: Host) -> Iterator[None]:
    """The engine's thread is busy with another answer for as long as this lasts."""
    begun, go_on = threading.Event(), threading.Event()

    class Holding(Heard):
        def fail(self, code: str, message: str) -> None:  # noqa: ARG002
            begun.set()
            go_on.wait(DEADLINE_S)

    id = engine.submit(Holding(), request_id="r", prompt="p", prompt_token_ids=None, sampling={}).id
    assert host.next(Submit).id == id
    host.send(Rejected(id, "invalid", "no"))
    assert begun.wait(DEADLINE_S)
    yield
    go_on.set()


def test_tokens_become_progress_and_one_finish(engine: Engine, host: Host, ids: Callable[[str], list[int]]) -> None:
    heard = Heard()
    id = submit(engine, host, heard)
    host.send(Tokens([Delta(id, ids("a"))]))
    assert heard.next() == ("progress", "a")
    host.send(Tokens([Delta(id, ids("b"), LENGTH)]))
    assert heard.next() == ("finish", "b", "length")


def test_whole_answer_says_nothing_before_its_end(engine: Engine, host: Host, ids: Callable[[str], list[int]]) -> None:
    heard = Heard(wants_progress=False)
    id = submit(engine, host, heard)
    host.send(Tokens([Delta(id, ids("a"))]))
    host.send(Tokens([Delta(id, ids("b"), LENGTH)]))
    assert heard.next() == ("finish", "ab", "length")


def test_stop_string_is_told_to_the_host(engine: Engine, host: Host, ids: Callable[[str], list[int]]) -> None:
    heard = Heard()
    id = submit(engine, host, heard, stop=["END"])
    host.send(Tokens([Delta(id, ids("xEND"))]))
    assert heard.next() == ("finish", "x", "stop")
    assert host.next(Stopped) == Stopped(id, 0)


def test_rejection_ends_the_request(engine: Engine, host: Host) -> None:
    heard = Heard()
    id = engine.submit(heard, request_id="r", prompt="p", prompt_token_ids=None, sampling={}).id
    host.send(Rejected(id, "invalid", "no"))
    assert heard.next() == ("fail", "invalid", "no")


def test_abort_reaches_the_host_and_silences_the_answer(
    engine: Engine, host: Host, ids: Callable[[str], list[int]]
) -> None:
    heard, other = Heard(), Heard()
    stream = engine.submit(heard, request_id="r", prompt="p", prompt_token_ids=None, sampling={})
    id = host.next(Submit).id
    engine.abort([stream])
    assert host.next(Abort) == Abort([id])
    host.send(Tokens([Delta(id, ids("late"))]))
    second = submit(engine, host, other)
    host.send(Tokens([Delta(second, ids("x"), LENGTH)]))
    assert other.next() == ("finish", "x", "length")
    assert heard.said.empty()


def test_broken_answer_does_not_end_the_others(engine: Engine, host: Host, ids: Callable[[str], list[int]]) -> None:
    class Broken(Heard):
        def progress(self, pieces: list[Piece]) -> None:
            raise RuntimeError(f"the client is gone and cannot read {pieces}")

    id = submit(engine, host, Broken())
    host.send(Tokens([Delta(id, ids("a"))]))
    assert host.next(Abort) == Abort([id])
    heard = Heard()
    id = submit(engine, host, heard)
    host.send(Tokens([Delta(id, ids("b"), LENGTH)]))
    assert heard.next() == ("finish", "b", "length")


def test_request_ends_once_when_stop_string_and_deadline_meet(
    engine: Engine, host: Host, ids: Callable[[str], list[int]]
) -> None:
    heard = Heard()
    id = submit(engine, host, heard, stop=["END"])
    with engine_held(engine, host):
        host.send(Tokens([Delta(id, ids("xEND"))]))
        host.send(Rejected(id, "deadline", "too late"))
        time.sleep(0.1)  # both must wait in the stub's socket
    assert heard.next()[0] == "fail"
    assert host.next(Stopped) == Stopped(id, 0)
    other = Heard()
    id = submit(engine, host, other)
    host.send(Tokens([Delta(id, ids("b"), LENGTH)]))
    assert other.next() == ("finish", "b", "length")
    assert heard.said.empty()


def test_defect_in_one_request_is_its_failure_alone(
    engine: Engine, host: Host, ids: Callable[[str], list[int]]
) -> None:
    broken, heard = Heard(), Heard()
    first, second = submit(engine, host, broken), submit(engine, host, heard)
    host.send(Tokens([Delta(first, ids("a"), index=7), Delta(second, ids("b"), LENGTH)]))
    assert broken.next()[:2] == ("fail", "internal")
    assert host.next(Abort) == Abort([first])
    assert heard.next() == ("finish", "b", "length")


def test_integer_beyond_64_bits_is_the_callers_error(engine: Engine) -> None:
    with pytest.raises(OverflowError):
        engine.submit(Heard(), request_id="r", prompt="p", prompt_token_ids=None, sampling={"seed": 2**70})


def test_falling_behind_joins_tokens(engine: Engine, host: Host, ids: Callable[[str], list[int]]) -> None:
    class Slow(Heard):
        def __init__(self) -> None:
            super().__init__()
            self.gate = threading.Event()

        def progress(self, pieces: list[Piece]) -> None:
            super().progress(pieces)
            self.gate.wait(DEADLINE_S)

    heard = Slow()
    id = submit(engine, host, heard)
    host.send(Tokens([Delta(id, ids("a"))]))
    assert heard.next() == ("progress", "a")
    for letter in "bcdefg":
        host.send(Tokens([Delta(id, ids(letter))]))
    host.send(Tokens([Delta(id, ids("h"), LENGTH)]))
    threading.Event().wait(0.2)  # the messages are in the stub's queue; nothing tells when
    heard.gate.set()
    assert heard.next() == ("finish", "bcdefgh", "length")


def test_cancelled_request_is_aborted_and_told(engine: Engine, host: Host, ids: Callable[[str], list[int]]) -> None:
    streamed, whole, other = Heard(), Heard(wants_progress=False), Heard()
    first, second, third = (submit(engine, host, heard) for heard in (streamed, whole, other))
    streamed.cancelled = whole.cancelled = True
    aborted = [host.next(Abort), host.next(Abort)]
    assert sorted(abort.ids[0] for abort in aborted) == [first, second]
    for heard in (streamed, whole):
        assert heard.next()[:2] == ("fail", "cancelled")
    host.send(Tokens([Delta(third, ids("a"), LENGTH)]))
    assert other.next() == ("finish", "a", "length")


def test_logprobs_and_token_counts_wait_with_the_text(
    engine: Engine, host: Host, ids: Callable[[str], list[int]]
) -> None:
    heard = Heard(wants_progress=False)
    id = submit(engine, host, heard)
    first, second = Logprob(1, -0.5, 1, "a"), Logprob(2, -0.25, 1, "b")
    host.send(Tokens([Delta(id, ids("a"), logprobs=[[first]], cumulative_logprob=-0.5)]))
    host.send(Tokens([Delta(id, ids("b"), LENGTH, logprobs=[[second]], cumulative_logprob=-0.75)]))
    assert heard.next() == ("finish", "ab", "length")
    (piece,) = heard.pieces
    assert piece.logprobs == [[first], [second]]
    assert (piece.num_tokens, piece.cumulative_logprob) == (2, -0.75)


def test_parsed_text_takes_the_place_of_tokens(engine: Engine, host: Host, ids: Callable[[str], list[int]]) -> None:
    heard = Heard(wants_progress=False)
    id = submit(engine, host, heard)
    host.send(Tokens([Delta(id, ids("x"), parsed=Parsed("", "so", '[{"index": 0}]'))]))
    host.send(Tokens([Delta(id, ids("y"), LENGTH, parsed=Parsed("yes", "", '[{"index": 1}]'))]))
    assert heard.next() == ("finish", "yes", "length")
    (piece,) = heard.pieces
    assert (piece.reasoning, piece.tool_calls) == ("so", '[{"index": 0}, {"index": 1}]')


def test_embedding_is_one_answer(engine: Engine, host: Host) -> None:
    heard = Heard()
    id = engine.submit(heard, request_id="r", prompt=None, prompt_token_ids=None, sampling={}, embed={"input": "a"}).id
    host.send(Embedded(id, [0.5, -1.0], 3))
    assert heard.next() == ("embedded", "0.5", "-1.0")
    assert heard.num_prompt_tokens == 3


def test_embedding_that_cannot_be_sent_is_a_failure(engine: Engine, host: Host) -> None:
    class Broken(Heard):
        def embedded(self, embedding: list[float]) -> None:  # noqa: ARG002
            raise RuntimeError("no room for it")

    heard = Broken()
    id = engine.submit(heard, request_id="r", prompt=None, prompt_token_ids=None, sampling={}, embed={"input": "a"}).id
    host.send(Embedded(id, [0.5, -1.0], 3))
    assert heard.next()[:2] == ("fail", "internal")


def test_greeting_that_cannot_be_used_does_not_end_the_others(
    engine: Engine, host: Host, ids: Callable[[str], list[int]]
) -> None:
    host.send(EngineReady(VERSION, 2, host.address, "m", 99, 1, "/nowhere/tokenizer.json", "demo"))
    heard = Heard(wants_progress=False)
    id = submit(engine, host, heard)
    host.send(Tokens([Delta(id, ids("a"), LENGTH)]))
    assert heard.next() == ("finish", "a", "length")


def test_client_that_cannot_be_asked_for_does_not_end_the_others(
    engine: Engine, host: Host, ids: Callable[[str], list[int]]
) -> None:
    asked = threading.Event()

    class Unknown(Heard):
        def is_cancelled(self) -> bool:
            asked.set()
            raise RuntimeError("Triton knows no such request")

    heard = Unknown(wants_progress=False)
    id = submit(engine, host, heard)
    assert asked.wait(DEADLINE_S)
    host.send(Tokens([Delta(id, ids("a"), LENGTH)]))
    assert heard.next() == ("finish", "a", "length")


def test_closing_is_prompt_and_leaves_no_socket(host: Host, tmp_path: Path) -> None:
    spec = StubSpec(relays=[host.address], sockets_dir=str(tmp_path), start_timeout_s=5, response_share=1, defaults={})
    engine = Engine(spec, "generate_0_0")
    assert engine.wait_until_ready(DEADLINE_S)
    begun_s = time.monotonic()
    engine.close()
    assert time.monotonic() - begun_s < 0.3
    assert not list(tmp_path.glob("stub-*"))


def test_refusal_that_holds_is_said_again_without_asking_and_counted(engine: Engine, host: Host) -> None:
    heard = Heard()
    request = {"request_id": "r", "prompt": "p", "prompt_token_ids": None, "sampling": {}, "client": "a"}
    id = engine.submit(heard, **request).id
    assert host.next(Submit).refused == 0
    host.send(Rejected(id, "overloaded", "later", 1.0, holds_s=60.0))
    assert heard.next() == ("fail", "overloaded", "later")
    for _ in range(2):
        with pytest.raises(Overloaded, match="later"):
            engine.check("a", 0)
    engine.check("b", 0)
    engine.submit(Heard(), **{**request, "client": "b"})
    assert host.next(Submit).refused == 2
