"""Requests outlive their engine: the next one goes on from the tokens that were delivered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small_host import DEADLINE_S, Host, submit
from triton_fakes import Heard

from trident.protocol import sockets
from trident.protocol.messages import (
    FINISH_REASONS,
    Abort,
    Accepted,
    Delivered,
    Delta,
    EngineLost,
    Logprob,
    Rejected,
    Submit,
    Tokens,
)
from trident.protocol.spec import StubSpec
from trident.triton.stub.engine import Engine
from trident.triton.stub.hosts import EngineUnavailable

LENGTH = FINISH_REASONS.index("length")

Ids = Callable[[str], list[int]]


@pytest.fixture
def successor(host: Host, tmp_path: Path, tokenizer_path: Path) -> Iterator[Callable[..., Host]]:
    """Ends the host that is there and starts another one at the same address."""
    hosts = [host]

    def start(**differences: Any) -> Host:
        hosts[-1].close()
        hosts.append(Host(tmp_path, tokenizer_path, **{"epoch": len(hosts) + 1, **differences}))
        return hosts[-1]

    yield start
    hosts[-1].close()


def accept(host: Host, submission: Submit, n: int = 1) -> None:
    host.send(Accepted(submission.id, [], n, [], False, 0, True, True, True))


def ask(engine: Engine, heard: Heard, **request: Any) -> None:
    engine.submit(heard, **{"request_id": "r", "prompt": "p", "prompt_token_ids": None, "sampling": {}, **request})


def test_stream_goes_on_in_the_next_engine_from_its_tokens(
    engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids
) -> None:
    heard = Heard()
    first = submit(engine, host, heard)
    host.send(Tokens([Delta(first, ids("ab"))]))
    assert heard.next() == ("progress", "ab")
    second = successor()
    again = second.next(Submit)
    assert again.prompt == "p" and again.resume_from == [Delivered(ids("ab"))]
    accept(second, again)
    second.send(Tokens([Delta(again.id, ids("c"), LENGTH)]))
    assert heard.next() == ("finish", "c", "length")
    assert heard.said.empty()


def test_request_that_no_engine_had_begun_with_is_sent_again_whole(
    engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids
) -> None:
    heard = Heard(wants_progress=False)
    ask(engine, heard)
    host.next(Submit)
    second = successor()
    again = second.next(Submit)
    assert again.resume_from == []
    accept(second, again)
    second.send(Tokens([Delta(again.id, ids("ab"), LENGTH)]))
    assert heard.next() == ("finish", "ab", "length")


def test_half_a_character_survives(engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids) -> None:
    heard = Heard(wants_progress=False)
    first = submit(engine, host, heard)
    one, two, three = ids("你")
    host.send(Tokens([Delta(first, [one, two])]))
    host.send(EngineLost(1, "it dies"))
    second = successor()
    again = second.next(Submit)
    assert again.resume_from == [Delivered([one, two])]
    accept(second, again)
    second.send(Tokens([Delta(again.id, [three], LENGTH)]))
    assert heard.next() == ("finish", "你", "length")


def test_finished_sequences_are_not_made_again(
    engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids
) -> None:
    heard = Heard(wants_progress=False)
    first = submit(engine, host, heard, n=2)
    host.send(Tokens([Delta(first, ids("done"), LENGTH, 1), Delta(first, ids("a"))]))
    second = successor()
    again = second.next(Submit)
    assert again.resume_from == [Delivered(ids("a")), None]
    accept(second, again, n=2)
    second.send(Tokens([Delta(again.id, ids("b"), LENGTH)]))
    assert heard.next() == ("finish", "ab", "done", "length", "length")


def test_logprobs_are_summed_over_both_engines(
    engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids
) -> None:
    heard = Heard(wants_progress=False)
    first = submit(engine, host, heard)
    entry = [[Logprob(1, -0.5, 1, "a")]]
    host.send(Tokens([Delta(first, ids("a"), logprobs=entry, cumulative_logprob=-0.5)]))
    second = successor()
    again = second.next(Submit)
    accept(second, again)
    second.send(Tokens([Delta(again.id, ids("b"), LENGTH, logprobs=entry, cumulative_logprob=-0.5)]))
    heard.next()
    assert heard.pieces[0].cumulative_logprob == -1.0 and len(heard.pieces[0].logprobs or ()) == 2


def test_chat_tells_how_its_tokens_came(engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids) -> None:
    ask(engine, Heard(), prompt=None, chat={"messages": []})
    submission = host.next(Submit)
    accept(host, submission)
    host.send(Tokens([Delta(submission.id, ids("ab"))]))
    host.send(Tokens([Delta(submission.id, ids("c"))]))
    assert successor().next(Submit).resume_from == [Delivered(ids("abc"), [2, 1])]


def test_late_tokens_of_the_lost_engine_are_not_taken_twice(engine: Engine, host: Host, ids: Ids) -> None:
    heard = Heard()
    first = submit(engine, host, heard)
    host.send(EngineLost(1, "suspicious"))
    host.greet()
    again = host.next(Abort), host.next(Submit)
    assert again[0] == Abort([first])
    accept(host, again[1])
    host.send(Tokens([Delta(first, ids("late"))]))
    host.send(Tokens([Delta(again[1].id, ids("new"), LENGTH)]))
    assert heard.next() == ("finish", "new", "length")


def test_engine_that_is_not_quite_back_is_asked_again(
    engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids
) -> None:
    heard = Heard(wants_progress=False)
    submit(engine, host, heard)
    second = successor()
    second.send(Rejected(second.next(Submit).id, "unavailable", "the engine is stopped"))
    second.next(Abort)
    again = second.next(Submit)
    accept(second, again)
    second.send(Tokens([Delta(again.id, ids("a"), LENGTH)]))
    assert heard.next() == ("finish", "a", "length")


def test_expelled_request_is_over_though_another_engine_had_lost_it(
    engine: Engine, host: Host, successor: Callable[..., Host]
) -> None:
    heard = Heard()
    submit(engine, host, heard)
    second = successor()
    second.send(Rejected(second.next(Submit).id, "expelled", "the server stops"))
    assert heard.next() == ("fail", "expelled", "the server stops")


def test_other_model_does_not_go_on(engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids) -> None:
    heard = Heard()
    first = submit(engine, host, heard)
    host.send(Tokens([Delta(first, ids("a"))]))
    heard.next()
    successor(fingerprint="another")
    code, message = heard.next()[1:]
    assert code == "unavailable" and "the model was changed" in message


def test_abort_of_a_request_without_an_engine_is_its_end(
    engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids
) -> None:
    gone, heard = Heard(), Heard()
    stream = engine.submit(gone, request_id="r", prompt="p", prompt_token_ids=None, sampling={})
    host.next(Submit)
    host.close()
    engine.abort([stream])
    second = successor()
    until(lambda: submitted(engine, heard))
    again = second.next(Submit)
    assert again.id != stream.id
    accept(second, again)
    second.send(Tokens([Delta(again.id, ids("a"), LENGTH)]))
    assert heard.next() == ("finish", "a", "length")
    assert gone.said.empty()


def test_client_that_leaves_while_its_engine_is_lost_is_told_nothing_more(
    engine: Engine, host: Host, successor: Callable[..., Host]
) -> None:
    heard = Heard()
    submit(engine, host, heard)
    host.close()
    heard.cancelled = True
    assert heard.next()[:2] == ("fail", "cancelled")
    second = successor()
    until(lambda: submitted(engine, Heard()))
    second.next(Submit)
    assert second.heard.empty()


def test_new_requests_are_refused_while_the_engine_is_away(engine: Engine, host: Host) -> None:
    host.close()
    until(lambda: not submitted(engine, Heard()))


def test_deadline_holds_while_the_engine_is_away(engine: Engine, host: Host) -> None:
    heard = Heard()
    ask(engine, heard, deadline_s=0.3)
    host.next(Submit)
    host.close()
    assert heard.next()[:2] == ("fail", "deadline")


def test_rest_of_the_deadline_is_told_to_the_next_engine(
    engine: Engine, host: Host, successor: Callable[..., Host]
) -> None:
    ask(engine, Heard(), deadline_s=60.0)
    assert host.next(Submit).deadline_s == pytest.approx(60.0)
    assert 50 < successor().next(Submit).deadline_s < 60


def test_patience_with_a_lost_engine_ends(host: Host, tmp_path: Path) -> None:
    spec = StubSpec(relays=[host.address], sockets_dir=str(tmp_path), start_timeout_s=5, response_share=1, defaults={})
    engine = Engine(msgspec.structs.replace(spec, engine_patience_s=0.2), "generate_0_0")
    try:
        assert engine.wait_until_ready(DEADLINE_S)
        heard = Heard()
        ask(engine, heard)
        host.next(Submit)
        host.close()
        code, message = heard.next()[1:]
        assert code == "unavailable" and "not back after 0.2 s" in message
    finally:
        engine.close()


def test_last_tokens_of_a_lost_engine_do_not_make_the_patience_endless(host: Host, tmp_path: Path, ids: Ids) -> None:
    spec = StubSpec(relays=[host.address], sockets_dir=str(tmp_path), start_timeout_s=5, response_share=1, defaults={})
    engine = Engine(msgspec.structs.replace(spec, engine_patience_s=0.2), "generate_0_0")
    try:
        assert engine.wait_until_ready(DEADLINE_S)
        heard = Heard()
        first = submit(engine, host, heard)
        host.send(EngineLost(1, "it dies"))
        host.send(Tokens([Delta(first, ids("a"))]))
        assert heard.next() == ("progress", "a")
        assert "not back after 0.2 s" in heard.next()[2]
    finally:
        engine.close()


def test_nobody_waits_for_the_next_engine_of_a_server_that_stops(engine: Engine, host: Host, tmp_path: Path) -> None:
    heard = Heard()
    ask(engine, heard)
    host.next(Submit)
    host.close()
    (tmp_path / sockets.FAREWELL).touch()
    code, message = heard.next()[1:]
    assert code == "expelled" and "the server stops" in message


def test_second_host_goes_on_at_once(tmp_path: Path, tokenizer_path: Path, ids: Ids) -> None:
    hosts = [Host(tmp_path, tokenizer_path, epoch=epoch, name=f"relay-{epoch}") for epoch in (1, 2)]
    relays = [host.address for host in hosts]
    spec = StubSpec(relays=relays, sockets_dir=str(tmp_path), start_timeout_s=5, response_share=1, defaults={})
    engine = Engine(spec, "generate_0_0")
    try:
        assert engine.wait_until_ready(DEADLINE_S)
        heard = Heard(wants_progress=False)
        ask(engine, heard)
        until(lambda: any(not host.heard.empty() for host in hosts))
        first, second = hosts if not hosts[0].heard.empty() else hosts[::-1]
        submission = first.next(Submit)
        accept(first, submission)
        first.send(Tokens([Delta(submission.id, ids("a"))]))
        first.close()
        again = second.next(Submit)
        accept(second, again)
        second.send(Tokens([Delta(again.id, ids("b"), LENGTH)]))
        assert heard.next()[-1] == "length"
    finally:
        engine.close()
        for host in hosts:
            host.close()


def test_request_under_which_engines_die_is_given_up_and_its_neighbours_are_not(
    engine: Engine, host: Host, successor: Callable[..., Host], ids: Ids
) -> None:
    neighbour, poison = Heard(wants_progress=False), Heard()
    for heard, prompt in ((poison, "poison"), (neighbour, "fine")):
        ask(engine, heard, prompt=prompt)
        host.next(Submit)
    second = successor()
    assert {second.next(Submit).prompt, second.next(Submit).prompt} == {"poison", "fine"}
    third = successor()
    assert third.next(Submit).prompt == "poison", "two have died under both: one at a time now"
    fourth = successor()
    code, message = poison.next()[1:]
    assert code == "internal" and "3 engines in a row have died" in message
    again = fourth.next(Submit)
    accept(fourth, again)
    fourth.send(Tokens([Delta(again.id, ids("a"), LENGTH)]))
    assert neighbour.next() == ("finish", "a", "length")


def submitted(engine: Engine, heard: Heard) -> bool:
    try:
        ask(engine, heard)
    except EngineUnavailable:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.02)  # another thread's sockets: nothing to wait on
