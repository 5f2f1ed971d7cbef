"""One server with keys and TLS: who gets in at each door, and what stays closed to everybody."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import psutil
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from hpack import Encoder
from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame
from served import Served
from tritonclient.utils import InferenceServerException

KEYS = ("first-key-of-the-test", "second-key-of-the-test")
PROMPT = "The capital of France is"
LIMITS = ("--max-body-bytes", "200000", "--max-prompt-bytes", "3000", "--max-n", "3", "--max-schema-bytes", "2000")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Guarded:
    """The server, and how clients trust it."""

    served: Served
    certificate: Path

    def client(self, door: str, key: str | None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"https://localhost:{getattr(self.served, f'{door}_port')}"
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.Client(base_url=url, headers=headers, verify=trusted, timeout=60)

    def grpc(self) -> Any:
        url = f"localhost:{self.served.grpc_port}"
        return triton_grpc.InferenceServerClient(url, ssl=True, root_certificates=str(self.certificate))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("g")
    cert, key, keys = folder / "cert.pem", folder / "key.pem", folder / "keys"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    keys.write_text("# of the test\n" + "\n".join(KEYS) + "\n", encoding="utf-8")
    keys.chmod(0o600)
    served = Served.plan(folder)
    tls = ("--tls-cert", str(cert), "--tls-key", str(key))
    started = served.serve("demo", "--stubs", "1", "--api-key-file", str(keys), *tls, *LIMITS)
    assert started.returncode == 0, started.stdout + started.stderr
    yield Guarded(served, cert)
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


GENERATE = {"text_input": PROMPT, "max_tokens": 8, "temperature": 0}
COMPLETE = {"model": "demo", "prompt": PROMPT, "max_tokens": 8}
DOORS = [
    ("http", "POST", "/v2/models/generate/generate", GENERATE),
    ("http", "POST", "/v2/models/generate/generate_stream", GENERATE | {"stream": True}),
    ("http", "POST", "/v2/repository/index", {}),
    ("http", "GET", "/v2/models/generate/stats", None),
    ("metrics", "GET", "/metrics", None),
    ("openai", "POST", "/v1/completions", COMPLETE),
    ("openai", "GET", "/v1/models", None),
    ("openai", "GET", "/metrics", None),
    ("openai", "POST", "/tokenize", {"model": "demo", "prompt": PROMPT}),
]


@pytest.mark.parametrize(("door", "method", "path", "body"), DOORS, ids=[f"{door[0]}{door[2]}" for door in DOORS])
def test_every_http_door_wants_a_key(
    guarded: Guarded, door: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    for key, status in ((None, 401), ("wrong", 401), (KEYS[0][:-1], 401), *((key, 200) for key in KEYS)):
        with guarded.client(door, key) as client:
            answer = client.request(method, path, json=body)
        assert answer.status_code == status, (key, answer.text)


def test_health_is_open_at_every_door_and_says_no_more(guarded: Guarded) -> None:
    for door, path in (("http", "/v2/health/ready"), ("http", "/v2/health/live"), ("openai", "/health")):
        with guarded.client(door, None) as client:
            answer = client.get(path)
            assert (answer.status_code, answer.text) == (200, "")


def test_grpc_wants_a_key(guarded: Guarded) -> None:
    for key in (None, "wrong", *KEYS):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        client = guarded.grpc()
        assert client.is_server_ready(headers=headers)
        if key in KEYS:
            assert client.get_server_metadata(headers=headers).name == "triton"
            assert _grpc_stream(client, headers).endswith(" Paris.")
            continue
        with pytest.raises(InferenceServerException) as caught:
            client.get_model_repository_index(headers=headers)
        assert caught.value.status() == "StatusCode.UNAUTHENTICATED"
        client.close()


def _grpc_stream(client: Any, headers: dict[str, str]) -> str:
    import queue

    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    tensor = triton_grpc.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([PROMPT.encode()], dtype=object))
    client.start_stream(lambda result, error: answers.put((result, error)), headers=headers)
    client.async_stream_infer("generate", [tensor])
    result, error = answers.get(timeout=60)
    client.stop_stream()
    client.close()
    assert error is None, error
    return str(result.as_numpy("text_output")[0].decode())


def test_tritonclient_and_openai_s_own_client_get_through(guarded: Guarded) -> None:
    headers = {"Authorization": f"Bearer {KEYS[1]}"}
    trusted = {"ssl": True, "ssl_context_factory": lambda: ssl.create_default_context(cafile=str(guarded.certificate))}
    http = triton_http.InferenceServerClient(f"localhost:{guarded.served.http_port}", **trusted)
    tensor = triton_http.InferInput("prompt", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([PROMPT.encode()], dtype=object))
    answer = http.infer("qwen3_vllm", [tensor], headers=headers).as_numpy("generated_text")
    http.close()
    assert b"Paris" in answer.ravel()[0]
    with guarded.client("openai", None) as transport:
        url = f"https://localhost:{guarded.served.openai_port}/v1"
        client = openai.OpenAI(base_url=url, api_key=KEYS[0], http_client=transport)
        pieces = [chunk.choices[0].text for chunk in client.completions.create(**COMPLETE, temperature=0, stream=True)]
        assert "".join(pieces).startswith(" Paris")
        with pytest.raises(openai.AuthenticationError, match="API key"):
            openai.OpenAI(base_url=url, api_key="wrong", http_client=transport, max_retries=0).models.list()


CLOSED = [
    ("GET", "/v2/logging"),
    ("POST", "/v2/logging"),
    ("GET", "/v2/trace/setting"),
    ("POST", "/v2/models/generate/trace/setting"),
    ("GET", "/v2/systemsharedmemory/status"),
    ("POST", "/v2/systemsharedmemory/region/a/register"),
    ("GET", "/v2/cudasharedmemory/status"),
]


def test_what_changes_the_server_is_closed_with_a_key_too(guarded: Guarded) -> None:
    with guarded.client("http", KEYS[0]) as client:
        for method, path in CLOSED:
            answer = client.request(method, path, json={} if method == "POST" else None)
            assert answer.status_code == 403 and "keeps it closed" in answer.json()["error"], path
        for verb in ("load", "unload"):
            answer = client.post(f"/v2/repository/models/generate/{verb}", json={})
            assert answer.status_code == 503 and "not allowed" in answer.json()["error"]
    headers = {"authorization": f"Bearer {KEYS[0]}"}
    client = guarded.grpc()
    for call in (
        client.get_log_settings,
        client.get_trace_settings,
        client.get_system_shared_memory_status,
        client.get_cuda_shared_memory_status,
        lambda headers: client.register_system_shared_memory("a", "/a", 8, headers=headers),
        lambda headers: client.unload_model("generate", headers=headers),
    ):
        with pytest.raises(InferenceServerException, match=r"closed|not allowed"):
            call(headers=headers)
    client.close()


def test_header_that_would_open_what_is_closed_cannot_be_sent(guarded: Guarded) -> None:
    """Straight at tritonserver's own sockets, which only this user can reach."""
    import socket

    place = _sockets(guarded)
    name = "none: this server keeps it closed"
    for fields in (f"{name}:\r\n", f"{name}: \r\n", f"{name}:\n\r\n", f"{name}: \r\n \r\n", f"{name}\r\n"):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(10)
            raw.connect(str(place / "http"))
            raw.sendall(f"GET /v2/logging HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n".encode())
            assert b" 200 " not in raw.recv(4096)[:20], fields
    for key, value in ((f"triton-grpc-protocol-{name}", "\n"), (f"triton-grpc-protocol-{name}", "")):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(10)
            raw.connect(str(place / "grpc:1"))
            listed = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/inference.GRPCInferenceService/LogSettings"),
            ]
            listed += [(":authority", "x"), ("te", "trailers"), ("content-type", "application/grpc"), (key, value)]
            head = HeadersFrame(1, data=Encoder().encode(listed), flags=["END_HEADERS"])
            body = DataFrame(1, b"\0\0\0\0\0", flags=["END_STREAM"])
            raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize())
            raw.sendall(head.serialize() + body.serialize())
            assert b"log_verbose_level" not in _until_quiet(raw)


def _until_quiet(raw: Any) -> bytes:
    raw.settimeout(1)
    answer = b""
    try:
        while piece := raw.recv(65536):
            answer += piece
    except TimeoutError:
        pass
    return answer


def test_nobody_gets_round_the_gateway(guarded: Guarded) -> None:
    supervisor = psutil.Process(guarded.served.state()["process"]["pid"])
    listening = [
        (process.name(), connection.laddr)
        for process in supervisor.children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    served = guarded.served
    doors = {served.http_port, served.grpc_port, served.metrics_port, served.openai_port}
    others = [(name, address) for name, address in listening if address.port not in doors]
    # torch's processes of one engine find each other so.
    assert not [name for name, address in others if "EngineCor" not in name or address.ip != "127.0.0.1"], others
    assert len({name for name, address in listening if address.port in doors}) == 1
    assert _sockets(guarded).stat().st_mode & 0o777 == 0o700


def _sockets(guarded: Guarded) -> Path:
    spec = json.loads((guarded.served.run_dir / "gateway.json").read_text())
    return Path(next(door["upstream"] for door in spec["doors"] if door["protocol"] == "kserve")).parent


def test_keys_are_in_no_command_line_log_or_readable_file(guarded: Guarded) -> None:
    supervisor = psutil.Process(guarded.served.state()["process"]["pid"])
    words = " ".join(
        word for process in (supervisor, *supervisor.children(recursive=True)) for word in process.cmdline()
    )
    files = [path for path in guarded.served.run_dir.rglob("*") if path.is_file() and not path.is_symlink()]
    for key in KEYS:
        assert key not in words
        assert not [path for path in files if key.encode() in path.read_bytes()]
    for name in ("config.json", "gateway.json", "engine-host.json", "state.json", "launch.json"):
        assert (guarded.served.run_dir / name).stat().st_mode & 0o077 == 0, name
    assert guarded.served.run_dir.stat().st_mode & 0o077 == 0


def test_requests_have_limits(guarded: Guarded) -> None:
    with guarded.client("http", KEYS[0]) as client:
        path = "/v2/models/generate/generate"
        assert client.post(path, json=GENERATE | {"text_input": "x" * 250_000}).status_code == 413
        for extra, words in (
            ({"text_input": "x " * 1600}, "max_prompt_bytes"),
            ({"n": 4}, "n must be at most 3"),
            ({"logprobs": 1000}, "logprobs"),
            ({"sampling_parameters": json.dumps({"structured_outputs": {"regex": "a" * 3000}})}, "max_schema_bytes"),
        ):
            answer = client.post(path, json=GENERATE | extra)
            assert answer.status_code == 400 and words in answer.json()["error"], answer.text
    with guarded.client("openai", KEYS[0]) as client:
        assert client.post("/v1/completions", json=COMPLETE | {"prompt": "x" * 250_000}).status_code == 413
        assert client.post("/v1/completions", json=COMPLETE | {"n": 4}).status_code == 400
        assert client.post("/v1/completions", json=COMPLETE | {"logprobs": 1000}).status_code == 400
    client = guarded.grpc()
    tensor = triton_grpc.InferInput("prompt", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"x" * 250_000], dtype=object))
    with pytest.raises(InferenceServerException, match="limit"):
        client.infer("qwen3_vllm", [tensor], headers={"authorization": f"Bearer {KEYS[0]}"})
    client.close()


def test_code_of_models_is_not_trusted(guarded: Guarded) -> None:
    assert "trust_remote_code" not in json.loads((guarded.served.run_dir / "engine-host.json").read_text())["engine"]
    assert "trust_remote_code=False" in guarded.served.log("engine")


def test_own_commands_need_no_key(guarded: Guarded) -> None:
    assert guarded.served.trident("status").returncode == 0
    generated = guarded.served.trident("generate", PROMPT, "--max-tokens", "8")
    assert generated.stdout.startswith(" Paris"), generated.stderr
    environ = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    chat = subprocess.run(
        guarded.served.command("chat"),
        env=environ | guarded.served.environ,
        input="What is the capital of France?\n",
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert "Paris" in chat.stdout, chat.stderr


def test_exchanged_keys_count_at_once(guarded: Guarded) -> None:
    file = Path(json.loads((guarded.served.run_dir / "gateway.json").read_text())["key_file"])
    before = file.read_text()
    file.write_text("a-new-key-of-the-test\n")
    try:
        for key, status in ((KEYS[0], 401), ("a-new-key-of-the-test", 200)):
            with guarded.client("openai", key) as client:
                assert client.get("/v1/models").status_code == status
    finally:
        file.write_text(before)


def test_gateway_that_is_killed_comes_back(guarded: Guarded) -> None:
    def gateway() -> dict[str, Any]:
        return next(child for child in guarded.served.state()["children"] if child["name"] == "gateway")

    import time

    pid = gateway()["process"]["pid"]
    psutil.Process(pid).kill()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        now = gateway()
        if now["is_ready"] and now["process"] and now["process"]["pid"] != pid:
            break
        time.sleep(0.1)
    with guarded.client("http", KEYS[0]) as client:
        assert client.post("/v2/models/generate/generate", json=GENERATE).status_code == 200
