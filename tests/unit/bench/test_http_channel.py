from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trident.bench.channels.http import HttpChannel
from trident.bench.exchange import Exchange

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STREAM = [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"9\r\ndata: a\n\n\r\n",
    b"9\r\ndata: b\n\n\r\n9\r\ndata: c\n\n\r\n",
    b"0\r\n\r\n",
]
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _asked(answer: Answer, *, requests: int = 1, timeout_s: float = 10.0) -> tuple[list[Exchange], int]:
    """What became of ``requests`` on one channel, and how many connections they took."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await answer(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        channel = HttpChannel(f"http://127.0.0.1:{port}/x")
        exchanges = [Exchange(0) for _ in range(requests)]
        for exchange in exchanges:
            await channel.exchange(b"GET /x HTTP/1.1\r\n\r\n", exchange, timeout_s)
        await channel.close()
    return exchanges, connections


def ask(answer: Answer, **more: float) -> tuple[list[Exchange], int]:
    return asyncio.run(_asked(answer, **more))  # type: ignore[arg-type]


def test_connection_is_kept_for_the_next_request() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    exchanges, connections = ask(answer, requests=3)
    assert connections == 1
    assert [(one.status, one.pieces, one.failure) for one in exchanges] == [(200, [b"ok"], None)] * 3
    assert all(one.sent_ns <= one.stamps_ns[0] <= one.end_ns for one in exchanges)


def test_stream_is_stamped_read_by_read() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in STREAM:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)

    (exchange,), _ = ask(answer)
    assert exchange.pieces == [b"data: a\n\n", b"data: b\n\n", b"data: c\n\n"]
    assert exchange.stamps_ns == sorted(exchange.stamps_ns)
    assert exchange.failure is None


def test_connection_that_closes_in_the_middle_is_a_failure() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM[0] + STREAM[1])
        await writer.drain()
        writer.close()

    (exchange, again), connections = ask(answer, requests=2)
    assert exchange.failure is not None
    assert exchange.failure.kind == "disconnected"
    assert exchange.pieces == [b"data: a\n\n"]
    assert (again.failure is not None, connections) == (True, 2)


def test_response_that_does_not_end_is_a_timeout() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM[0])

    (exchange,), _ = ask(answer, timeout_s=0.05)
    assert exchange.failure == ("timeout", "no end within 0.05 s")


def test_what_is_no_http_is_a_failure() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\r\n\r\n")

    (exchange,), _ = ask(answer)
    assert exchange.failure is not None
    assert exchange.failure.kind == "protocol"


def test_nobody_listening_is_a_failure_of_connecting() -> None:
    async def run() -> Exchange:
        channel = HttpChannel("http://127.0.0.1:1/x")
        await channel.open(2)
        exchange = Exchange(0)
        await channel.exchange(b"GET /x HTTP/1.1\r\n\r\n", exchange, 1.0)
        return exchange

    exchange = asyncio.run(run())
    assert exchange.failure is not None
    assert exchange.failure.kind == "connect"
    assert exchange.end_ns > 0


def test_name_with_an_address_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """``localhost`` is ::1 first on many machines, and most servers listen on 127.0.0.1."""

    async def run() -> Exchange:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            loop = asyncio.get_running_loop()
            real = loop.getaddrinfo

            async def two_addresses(*_: object, **more: int) -> list[object]:
                return [*await real("127.0.0.1", 1, **more), *await real("127.0.0.1", port, **more)]

            monkeypatch.setattr(loop, "getaddrinfo", two_addresses)
            exchange = Exchange(0)
            await HttpChannel(f"http://localhost:{port}/").exchange(b"GET / HTTP/1.1\r\n\r\n", exchange, 5.0)
        return exchange

    assert asyncio.run(run()).pieces == [b"ok"]


def test_cancelled_request_closes_its_connection() -> None:
    async def run() -> None:
        gone = asyncio.Event()
        begun = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            begun.set()
            with contextlib.suppress(ConnectionError):
                await reader.read()
            gone.set()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            channel = HttpChannel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            exchange = Exchange(0)
            task = asyncio.ensure_future(channel.exchange(b"GET / HTTP/1.1\r\n\r\n", exchange, 60.0))
            await asyncio.wait_for(begun.wait(), 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(gone.wait(), 10)
            assert exchange.end_ns == 0

    asyncio.run(run())


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def run() -> Exchange:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"".join(STREAM))
            await reader.read()
            writer.close()

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            channel = HttpChannel(f"https://localhost:{server.sockets[0].getsockname()[1]}/")
            await channel.open(1)
            exchange = Exchange(0)
            await channel.exchange(b"GET / HTTP/1.1\r\n\r\n", exchange, 10.0)
            await channel.close()
        return exchange

    exchange = asyncio.run(run())
    assert (exchange.failure, b"".join(exchange.pieces)) == (None, b"data: a\n\ndata: b\n\ndata: c\n\n")


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Of localhost, signed by itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    signed = (
        x509.CertificateBuilder(name, name, private.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "c.pem").write_bytes(signed.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "k.pem").write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "c.pem", folder / "k.pem"
