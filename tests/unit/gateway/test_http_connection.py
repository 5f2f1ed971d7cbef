from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from pathlib import Path

import gateway_fakes as fakes
import pytest
from gateway_fakes import AUTHORIZED, Recorder, ask, post

from trident.gateway.door import Patience
from trident.gateway.request import Reason, Refusal, Request

HEALTH = "GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n"


def refused(answer: bytes, status: int) -> bool:
    """The one answer of the connection is this refusal, with a message in JSON."""
    head, _, content = answer.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 %d " % status) and b"Connection: close" in head and "error" in json.loads(content)


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ("", False),
        ("Authorization: Bearer wrong\r\n", False),
        ("Authorization: Basic the-right-key\r\n", False),
        ("Authorization: the-right-key\r\n", False),
        ("Authorization: Bearer wrong\r\nAuthorization: Bearer the-right-key\r\n", False),
        ("X-Api-Key: the-right-key2\r\n", False),
        (AUTHORIZED, True),
        ("authorization: bearer  the-right-key \r\n", True),
        ("X-Api-Key: the-right-key\r\n", True),
    ],
)
def test_request_passes_with_a_key_only(tmp_path: Path, fields: str, passes: bool) -> None:
    async def scenario() -> None:
        server = Recorder()
        async with fakes.behind(tmp_path / "s", server.talk) as path, fakes.door(path) as port:
            sent = post(fields=fields, body="hello")
            answer = await ask(port, sent)
            if passes:
                assert answer.endswith(b"7\r\nanswer \r\n1\r\n1\r\n0\r\n\r\n")
                assert server.requests == [(sent.encode()[:-5], b"hello")], "bytes must pass as they are"
            else:
                assert refused(answer, 401) and b"WWW-Authenticate: Bearer" in answer
                assert not server.requests

    fakes.run(scenario())


def test_every_request_of_a_connection_is_judged(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Recorder()
        async with fakes.behind(tmp_path / "s", server.talk) as path, fakes.door(path) as port:
            good = f"POST /a HTTP/1.1\r\n{AUTHORIZED}Content-Length: 2\r\n\r\nhi"
            answer = await ask(port, good + good + post("/b"))  # all in one piece, as smugglers and pipelines send
            first, second, third = answer.split(b"HTTP/1.1 ")[1:]
            assert b"1\r\n1\r\n" in first and b"1\r\n2\r\n" in second and third.startswith(b"401")
            assert len(server.requests) == 2

    fakes.run(scenario())


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/health/live"])
def test_health_is_open_and_lets_nothing_else_through(tmp_path: Path, path: str) -> None:
    async def scenario() -> None:
        server = Recorder()
        async with fakes.behind(tmp_path / "s", server.talk) as socket, fakes.door(socket) as port:
            question = f"GET {path} HTTP/1.1\r\nHost: x\r\n"
            answer = await ask(port, question + "\r\n" + post("/v2/models/x/infer"))
            assert answer.count(b"HTTP/1.1") == 1 and answer.startswith(b"HTTP/1.1 200")
            for body in ("Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"):
                assert (await ask(port, question + body)).split()[1] in (b"401", b"413")
            assert [head.split()[1] for head, _ in server.requests] == [path.encode()]

    fakes.run(scenario())


def test_other_ways_to_write_an_open_path_are_not_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Recorder()
        async with fakes.behind(tmp_path / "s", server.talk) as path, fakes.door(path) as port:
            for target in (
                "/v2/health/ready/",
                "//v2/health/ready",
                "/v2/health/ready/../../models",
                "http://x/health",
            ):
                assert refused(await ask(port, f"GET {target} HTTP/1.1\r\n\r\n"), 401)
            assert refused(await ask(port, "POST /v2/health/ready HTTP/1.1\r\n\r\n"), 401)
            assert refused(await ask(port, "OPTIONS /v2 HTTP/1.1\r\n\r\n"), 401)
            assert not server.requests

    fakes.run(scenario())


def test_browsers_may_ask_the_openai_door_whether_they_may(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Recorder()
        async with fakes.behind(tmp_path / "s", server.talk) as path, fakes.door(path, "openai") as port:
            assert b" 200 " in await ask(port, "OPTIONS /v1/x HTTP/1.1\r\nOrigin: http://page\r\n\r\n")
            assert b"origin: http://page" in server.requests[0][0]
            answer = await ask(port, post("/v1/chat/completions"))
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_api_key"

    fakes.run(scenario())


def test_body_has_a_limit_with_and_without_a_length(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Recorder()
        async with (
            fakes.behind(tmp_path / "s", server.talk) as path,
            fakes.door(path, most_body_bytes=1000) as port,
        ):
            assert refused(await ask(port, post(fields=AUTHORIZED, body="x" * 1001)), 413)
            assert b" 200 " in await ask(port, post(fields=AUTHORIZED, body="x" * 1000))
            chunked = f"POST /x HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n"
            assert refused(await ask(port, chunked, "1f4\r\n" + "x" * 500 + "\r\n", "1f5\r\n"), 413)
            assert len(server.requests) == 1

    fakes.run(scenario())


def test_head_has_a_limit(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with fakes.door(tmp_path / "s") as port:
            with contextlib.suppress(ConnectionError):
                assert refused(await ask(port, "GET / HTTP/1.1\r\n" + "A: " + "b" * 70_000), 431)
            assert refused(await ask(port, "GET / HTTP/1.1\r\n" + "A: b\r\n" * 101 + "\r\n"), 431)

    fakes.run(scenario())


def test_head_that_comes_slowly_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with fakes.door(tmp_path / "s", patience=Patience(head_s=0.2)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for letter in b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb":
                writer.write(bytes([letter]))
                await asyncio.sleep(0.02)
                if reader.at_eof():
                    break
            assert refused(await reader.read(), 408)
            writer.close()
            assert await ask(port) == b"", "a connection that says nothing is closed too"

    fakes.run(scenario())


def test_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Recorder()
        async with (
            fakes.behind(tmp_path / "s", server.talk) as path,
            fakes.door(path, patience=Patience(body_s=0.2)) as port,
        ):
            head = f"POST /x HTTP/1.1\r\n{AUTHORIZED}Content-Length: 100\r\n\r\n"
            assert refused(await ask(port, head + "only this"), 408)
            await asyncio.wait_for(server.lost.wait(), 5)

    fakes.run(scenario())


def test_connections_are_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Recorder()
        async with fakes.behind(tmp_path / "s", server.talk) as path, fakes.door(path, connections=2) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            with contextlib.suppress(ConnectionError):
                assert await ask(port, HEALTH + "\r\n") == b""
            held[0][1].close()
            await held[0][1].wait_closed()
            answer = b""
            while not answer:
                with contextlib.suppress(ConnectionError):
                    answer = await ask(port, HEALTH + "\r\n")
            assert b" 200 " in answer
            held[1][1].close()

    fakes.run(scenario())


def test_streamed_pieces_go_out_as_they_come_and_a_client_that_leaves_is_seen_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Recorder()
        server.go_on.clear()
        async with fakes.behind(tmp_path / "s", server.talk) as path, fakes.door(path) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"POST /x HTTP/1.1\r\n{AUTHORIZED}\r\n".encode())
            assert (await reader.readuntil(b"answer \r\n")).startswith(b"HTTP/1.1 200")
            writer.close()
            await asyncio.wait_for(server.lost.wait(), 5)

    fakes.run(scenario())


def test_server_that_is_away_is_503_with_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with fakes.door(tmp_path / "nobody") as port:
            answer = await ask(port, post(fields=AUTHORIZED, body="hello"))
            assert refused(answer, 503) and b"Retry-After: 1" in answer

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        async with fakes.behind(tmp_path / "s", hang_up) as path, fakes.door(path) as port:
            assert refused(await ask(port, post(fields=AUTHORIZED)), 503)

    fakes.run(scenario())


def test_answer_until_the_end_of_the_connection_arrives_whole(tmp_path: Path) -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 300_000)
        writer.close()

    async def scenario() -> None:
        async with fakes.behind(tmp_path / "s", old) as path, fakes.door(path) as port:
            assert len(await ask(port, post(fields=AUTHORIZED))) == 300_019

    fakes.run(scenario())


def test_continue_and_upgrade_pass(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"Upgrade" in head:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello ")
            writer.write(await reader.readexactly(4))
        else:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(5)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n" + body)
        writer.close()

    async def scenario() -> None:
        async with fakes.behind(tmp_path / "s", talk) as path, fakes.door(path) as port:
            head = f"POST /x HTTP/1.1\r\n{AUTHORIZED}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
            answer = await ask(port, head, "hello")
            assert b"100 Continue" in answer and answer.endswith(b"hello")
            assert (await ask(port, f"GET /x HTTP/1.1\r\n{AUTHORIZED}Upgrade: ws\r\n\r\n", "you!")).endswith(
                b"hello you!"
            )
            assert refused(await ask(port, "GET /x HTTP/1.1\r\nUpgrade: ws\r\n\r\n"), 401)

    fakes.run(scenario())


def test_inspector_may_answer_in_the_place_of_the_server(tmp_path: Path) -> None:
    class Busy:
        def inspect(self, request: Request) -> Refusal | None:
            return Refusal(Reason.OVERLOADED, "too much", 7) if request.path == b"/v1/completions" else None

    async def scenario() -> None:
        server = Recorder()
        async with fakes.behind(tmp_path / "s", server.talk) as path, fakes.door(path, inspectors=[Busy()]) as port:
            answer = await ask(port, post("/v1/completions?x", AUTHORIZED))
            assert refused(answer, 429) and b"Retry-After: 7" in answer
            assert b" 200 " in await ask(port, post("/v1/models", AUTHORIZED))

    fakes.run(scenario())


def test_tls_by_files_and_never_without(tmp_path: Path, certificate: tuple[str, str]) -> None:
    async def scenario() -> None:
        server = Recorder()
        trusting = ssl.create_default_context(cafile=certificate[0])
        trusting.check_hostname = False  # the address is no name
        async with (
            fakes.behind(tmp_path / "s", server.talk) as path,
            fakes.door(path, certificate=certificate, patience=Patience(head_s=1)) as port,
        ):
            assert b" 200 " in await ask(port, post(fields=AUTHORIZED), tls=trusting)
            assert refused(await ask(port, post(), tls=trusting), 401)
            old = ssl.create_default_context(cafile=certificate[0])
            old.check_hostname = False
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises(OSError):
                await ask(port, post(fields=AUTHORIZED), tls=old)
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await ask(port, post(fields=AUTHORIZED))
            assert len(server.requests) == 1

    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        fakes.run(scenario())


def test_client_that_does_not_read_costs_little_and_is_cut_off(tmp_path: Path) -> None:
    sent_bytes, is_cut = 0, asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent_bytes += 65536
        except OSError:
            is_cut.set()
        finally:
            writer.close()

    async def scenario() -> None:
        patience = Patience(unread_s=0.5)
        async with fakes.behind(tmp_path / "s", flood) as path, fakes.door(path, patience=patience) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post(fields=AUTHORIZED).encode())
            await asyncio.wait_for(is_cut.wait(), 10)
            assert sent_bytes < 30_000_000, "what the system's buffers hold, and no more"
            writer.close()

    fakes.run(scenario())


def test_flood_of_refusals_is_one_line_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with fakes.door(tmp_path / "s", connections=100) as port:
            answers = await asyncio.gather(*(ask(port, post()) for _ in range(50)))
            assert all(refused(answer, 401) for answer in answers)

    fakes.run(scenario())
    assert 1 <= len(caplog.records) <= 3
