"""The stub's engine thread against a small host that speaks the real protocol over real sockets."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from triton_fakes import Heard

from trident.protocol import sockets
from trident.protocol.messages import (
    VERSION,
    Abort,
    Accepted,
    Delta,
    Embedded,
    EngineLost,
    EngineReady,
    FromStub,
    Hello,
    Logprob,
    Parsed,
    Rejected,
    Stopped,
    Submit,
    Tokens,
)
from trident.protocol.spec import StubSpec
from trident.triton.stub.engine import Engine, EngineUnavailable
from trident.triton.stub.piece import Piece

DEADLINE_S = 5
LENGTH = 1


class Host:
    """Answers ``Hello`` and keeps everything else for the test to look at."""

    def __init__(self, folder: Path, tokenizer_path: Path) -> None:
        self.address = sockets.address(folder, "relay.sock")
        self.heard: queue.Queue[FromStub] = queue.Queue()
        self._tokenizer_path = tokenizer_path
        self._context: zmq.Context[Any] = zmq.Context()
        self._codec: sockets.Codec[FromStub] = sockets.Codec(FromStub)
        self._inbound = sockets.pull(self._context, self.address)
        self._outbound: zmq.Socket[Any] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            if not self._inbound.poll(20):
                continue
            _, frame = self._inbound.recv_multipart()
            message = self._codec.decode(frame)
            if isinstance(message, Hello):
                self._outbound = sockets.push(self._context, queue_unconnected=True)
                self._outbound.connect(message.address)
                self.send(EngineReady(VERSION, 1, self.address, "m", 99, 1, str(self._tokenizer_path)))
            else:
                self.heard.put(message)

    def send(self, message: Any) -> None:
        assert self._outbound is not None
        sockets.send(self._outbound, self._codec.encode(message))

    def next(self, kind: type[Any]) -> Any:
        message = self.heard.get(timeout=DEADLINE_S)
        assert isinstance(message, kind), message
        return message

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        self._inbound.close()
        if self._outbound is not None:
            self._outbound.close(linger=0)
        self._context.destroy(linger=0)


@pytest.fixture(scope="module")
def tokenizer_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    path = tmp_path_factory.mktemp("t") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture
def host(tmp_path: Path, tokenizer_path: Path) -> Iterator[Host]:
    host = Host(tmp_path, tokenizer_path)
    yield host
    host.close()


@pytest.fixture
def engine(host: Host, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(
        StubSpec(relays=[host.address], sockets_dir=str(tmp_path), start_timeout_s=5, response_share=1, defaults={}),
        "generate_0_0",
    )
    assert engine.wait_until_ready(DEADLINE_S)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def ids(tokenizer_path: Path) -> Callable[[str], list[int]]:
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    return lambda text: list(tokenizer.encode(text).ids)


def submit(engine: Engine, host: Host, heard: Heard, **accepted: Any) -> int:
    id = engine.submit(heard, request_id="r", prompt="p", prompt_token_ids=None, sampling={})
    assert host.next(Submit).id == id
    fields = {"n": 1, "stop": [], "include_stop_str_in_output": False, "min_tokens": 0, "detokenize": True}
    host.send(Accepted(id, [], **{**fields, **accepted}, skip_special_tokens=True, spaces_between_special_tokens=True))
    return id


@contextmanager
def engine_held(engine: Engine, host: Host) -> Iterator[None]:
    """The engine's thread is busy with another answer for as long as this lasts."""
    begun, go_on = threading.Event(), threading.Event()

    class Holding(Heard):
        def fail(self, code: str, message: str) -> None:  # noqa: ARG002
            begun.set()
            go_on.wait(DEADLINE_S)

    id = engine.submit(Holding(), request_id="r", prompt="p", prompt_token_ids=None, sampling={})
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
    id = engine.submit(heard, request_id="r", prompt="p", prompt_token_ids=None, sampling={})
    host.send(Rejected(id, "invalid", "no"))
    assert heard.next() == ("fail", "invalid", "no")


def test_lost_engine_fails_what_is_in_flight_and_refuses_more(engine: Engine, host: Host) -> None:
    heard = Heard()
    submit(engine, host, heard)
    host.send(EngineLost(1, "stopping"))
    assert heard.next()[:2] == ("fail", "unavailable")
    with pytest.raises(EngineUnavailable):
        engine.submit(Heard(), request_id="r", prompt="p", prompt_token_ids=None, sampling={})


def test_vanished_host_fails_what_is_in_flight(engine: Engine, host: Host) -> None:
    heard = Heard()
    submit(engine, host, heard)
    host.close()
    assert heard.next()[:2] == ("fail", "unavailable")


def test_restarted_host_is_used_again(
    engine: Engine, host: Host, tmp_path: Path, tokenizer_path: Path, ids: Callable[[str], list[int]]
) -> None:
    waiting = Heard()
    submit(engine, host, waiting)
    host.close()
    assert waiting.next()[0] == "fail"
    second = Host(tmp_path, tokenizer_path)
    try:
        heard = Heard()
        for _ in range(200):
            try:
                id = submit(engine, second, heard)
                break
            except EngineUnavailable:
                threading.Event().wait(0.02)
        host_tokens = Tokens([Delta(id, ids("ok"), LENGTH)])
        second.send(host_tokens)
        assert heard.next() == ("finish", "ok", "length")
    finally:
        second.close()


def test_abort_reaches_the_host_and_silences_the_answer(
    engine: Engine, host: Host, ids: Callable[[str], list[int]]
) -> None:
    heard, other = Heard(), Heard()
    id = submit(engine, host, heard)
    engine.abort([id])
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
    id = engine.submit(heard, request_id="r", prompt=None, prompt_token_ids=None, sampling={}, embed={"input": "a"})
    host.send(Embedded(id, [0.5, -1.0], 3))
    assert heard.next() == ("embedded", "0.5", "-1.0")
    assert heard.num_prompt_tokens == 3


def test_closing_is_prompt_and_leaves_no_socket(host: Host, tmp_path: Path) -> None:
    spec = StubSpec(relays=[host.address], sockets_dir=str(tmp_path), start_timeout_s=5, response_share=1, defaults={})
    engine = Engine(spec, "generate_0_0")
    assert engine.wait_until_ready(DEADLINE_S)
    begun_s = time.monotonic()
    engine.close()
    assert time.monotonic() - begun_s < 0.3
    assert not list(tmp_path.glob("stub-*"))
