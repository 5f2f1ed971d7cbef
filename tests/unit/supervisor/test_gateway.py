from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import supervisor_fakes as fakes

from trident.config import load
from trident.config.models import Config
from trident.errors import ConfigurationError
from trident.supervisor import gateway
from trident.supervisor.child import Child
from trident.supervisor.reach import http_status


def key_file(folder: Path, mode: int = 0o600) -> Path:
    file = folder / "keys"
    file.write_text("a-key\n", encoding="utf-8")
    file.chmod(mode)
    return file


def config(**flags: Any) -> Config:
    free = dict(zip(("http_port", "grpc_port", "metrics_port", "openai_port"), fakes.free_ports(4), strict=True))
    return load({**free, **flags}, environ={})


@pytest.mark.parametrize(
    ("flags", "has_gateway"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1"}, False),
        ({"gateway": True}, True),
        ({"api_key": ["k"]}, True),
        ({"openai": {"api_key": "k"}}, True),
        ({"api_key_file": "/keys"}, True),
        ({"tls_cert": "/c", "tls_key": "/k"}, True),
        ({"host": "0.0.0.0", "allow_no_key": True}, True),
        ({"host": "", "allow_no_key": True}, True),
    ],
)
def test_gateway_is_there_when_something_asks_for_it(flags: dict[str, Any], has_gateway: bool) -> None:
    made = config(**flags)
    assert made.has_gateway is has_gateway
    assert all((place.socket is not None) is has_gateway for place in made.places)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "example.org"])
def test_host_that_others_reach_wants_a_key(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config(host=host)
    assert "--api-key-file" in str(caught.value)
    assert config(host=host, allow_no_key=True).has_gateway
    assert config(host=host, api_key_file=str(key_file(tmp_path))).has_keys


@pytest.mark.parametrize(("text", "keys"), [("abc", ["abc"]), ("123", ["123"]), ('["a", "b"]', ["a", "b"])])
def test_keys_of_a_variable_are_texts(text: str, keys: list[str]) -> None:
    assert load({}, environ={"TRIDENT_API_KEY": text}).api_keys == keys


def test_bad_key_file_is_told_before_anything_starts(tmp_path: Path) -> None:
    gateway.check(config(api_key_file=str(key_file(tmp_path))))
    with pytest.raises(ConfigurationError, match="The API keys cannot be used") as caught:
        gateway.check(config(api_key_file=str(key_file(tmp_path, 0o644))))
    assert "chmod 600" in caught.value.why


def test_certificate_that_is_none_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("no certificate")
    with pytest.raises(ConfigurationError, match="TLS cannot be used"):
        gateway.check(config(tls_cert=str(tmp_path / "c"), tls_key=str(tmp_path / "c")))
    with pytest.raises(ConfigurationError, match="Bad setting security") as caught:
        config(tls_cert=str(tmp_path / "c"))
    assert "go together" in caught.value.why


def test_keys_are_in_a_file_of_the_user_alone_and_in_no_command_line(tmp_path: Path) -> None:
    made = config(api_key=["a-secret"])
    made.run_dir.mkdir(parents=True)
    command = gateway.command(made, list(made.ports), name="gateway", log_path=tmp_path / "gateway.log")
    assert "a-secret" not in " ".join(command.argv)
    file = made.run_dir / "gateway.json"
    assert "a-secret" in file.read_text() and file.stat().st_mode & 0o077 == 0


def test_gateway_is_ready_once_its_ports_are_open_and_tells_a_busy_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        made = config(api_key_file=str(key_file(tmp_path)))
        made.run_dir.mkdir(parents=True)
        command = gateway.command(made, list(made.ports), name="gateway", log_path=tmp_path / "gateway.log")
        child, second = Child(command, lambda: None), Child(command, lambda: None)
        child.start()
        await child.wait_until_ready(10)
        assert await http_status("127.0.0.1", made.listen.http_port, "/v2/x") == 401
        assert await http_status("127.0.0.1", made.listen.http_port, "/v2/health/ready") == 503  # nobody is behind
        second.start()
        await second.wait()
        assert second.failed is not None and "--http-port" in second.failed.next_step
        await child.stop(10, asyncio.Event())
        assert child.exit_code == 0

    fakes.run(scenario())


def test_servers_behind_are_asked_over_their_sockets(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_unix_server(answer, tmp_path / "s")
        assert await http_status(f"unix:{tmp_path}/s", 1, "/") == 204
        server.close()
        (tmp_path / "s").unlink()
        assert await http_status(f"unix:{tmp_path}/s", 1, "/") is None

    fakes.run(scenario())
