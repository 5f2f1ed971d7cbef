"""Repositories of the user's own: under ``trident serve``, and in a tritonserver that he starts himself."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from kserve import Stream
from served import QUESTIONS, REQUEST_TIMEOUT_S, START_TIMEOUT_S, Served, free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PROMPT = "The capital of France is"
GREEDY = {"max_tokens": 16, "temperature": 0}
VLLM = 'backend: "vllm"\n'
PLAIN = """\
backend: "python"
input [ { name: "in" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "out" data_type: TYPE_STRING dims: [ 1 ] } ]
instance_group [ { kind: KIND_CPU } ]
"""
CODE = """\
import numpy as np
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(pb.get_input_tensor_by_name(request, "in").as_numpy()) for request in requests]

    def answer(self, given):
        texts = [text.decode() for text in given.reshape(-1)]
        return pb.InferenceResponse([pb.Tensor("out", np.array([CHANGE], dtype=object))])
"""
ENSEMBLE = """\
platform: "ensemble"
input [ { name: "country" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "shout" data_type: TYPE_STRING dims: [ 1 ] } ]
ensemble_scheduling { step [
  { model_name: "ask" model_version: -1
    input_map { key: "in" value: "country" } output_map { key: "out" value: "prompt" } },
  { model_name: "alpha" model_version: -1
    input_map { key: "text_input" value: "prompt" } output_map { key: "text_output" value: "said" } },
  { model_name: "shout" model_version: -1
    input_map { key: "in" value: "said" } output_map { key: "out" value: "shout" } }
] }
"""


def write(repository: Path, name: str, config: str, **files: str) -> None:
    """A model; ``files`` are those of its version 1, dots written as underscores."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)
    for file, content in files.items():
        (version / file.replace("_", ".")).write_text(content)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two vLLM models, an ensemble over one of them, and Python models."""
    folder = tmp_path_factory.mktemp("repository")
    demo = str(QUESTIONS.parent)
    write(folder, "alpha", VLLM, model_json=json.dumps({"model": demo, "disable_log_requests": True}))
    # Relative to the version's folder, which Triton's own backend cannot.
    write(folder, "beta", VLLM, model_json=json.dumps({"model": "weights", "max_model_len": 64, "max_num_seqs": 1}))
    (folder / "beta" / "1" / "weights").symlink_to(demo)
    write(folder, "ask", PLAIN, model_py=CODE.replace("CHANGE", '"The capital of " + texts[0] + " is"'))
    write(folder, "shout", PLAIN, model_py=CODE.replace("CHANGE", "texts[0].upper()"))
    write(folder, "ensemble", ENSEMBLE)
    return folder


@pytest.fixture(scope="module")
def served(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served.plan(tmp_path_factory.mktemp("t"))
    started = server.serve("--model-repository", str(repository), "--model-control-mode", "explicit")
    assert started.returncode == 0, started.stdout + started.stderr
    yield server
    stopped = server.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


def generate(url: str, model: str, **body: Any) -> httpx.Response:
    wanted = {"text_input": PROMPT, "exclude_input_in_output": True, **GREEDY, **body}
    return httpx.post(f"{url}/v2/models/{model}/generate", json=wanted, timeout=REQUEST_TIMEOUT_S)


def control(server: Served, model: str, verb: str, **parameters: str) -> httpx.Response:
    url = f"{server.http_url}/v2/repository/models/{model}/{verb}"
    return httpx.post(url, json={"parameters": parameters}, timeout=START_TIMEOUT_S)


def engines(server: Served) -> dict[str, str]:
    """OpenAI addresses of the repository's models by label."""
    found = server.state()["urls"].items()
    return {name.removeprefix("OpenAI of "): url for name, url in found if name.startswith("OpenAI of ")}


def max_model_len(openai_url: str) -> int:
    return int(httpx.get(f"{openai_url}/models", timeout=30).json()["data"][0]["max_model_len"])


def test_every_vllm_model_has_an_engine_of_its_own(served: Served) -> None:
    for model in ("alpha", "beta"):
        assert generate(served.http_url, model).json()["text_output"] == " Paris."
    assert {name: max_model_len(url) for name, url in engines(served).items()} == {"alpha": 2048, "beta": 64}
    assert served.openai_url not in engines(served).values()
    long = generate(served.http_url, "beta", text_input="word " * 200)
    assert long.status_code == 400 and "64" in long.text
    doors = {door["name"] for door in served.state()["doors"]}
    assert doors == {f"KServe HTTP generate_stream of {model}" for model in ("alpha", "beta")}


def test_smaller_priority_is_served_first(served: Served) -> None:
    """The model runs one sequence at a time, so the others queue."""
    stream = Stream(served.grpc_url)
    for request, priority in [*((f"first {i}", 0) for i in range(8)), ("last", 5), ("middle", 1)]:
        sampling = json.dumps({"max_tokens": 48, "ignore_eos": True, "priority": priority})
        stream.ask("beta", request_id=request, text_input=PROMPT, stream=False, sampling_parameters=sampling)
    finished = [stream.next().get_response().id for _ in range(10)]
    assert finished[-2:] == ["middle", "last"]
    stream.close()


def test_configuration_is_completed_as_triton_s_own_backend_does(served: Served) -> None:
    config = httpx.get(f"{served.http_url}/v2/models/alpha/config", timeout=30).json()
    assert config["backend"] == "vllm" and config["max_batch_size"] == 0
    assert config["model_transaction_policy"] == {"decoupled": True}
    assert {"image", "stream", "return_logprobs", "embedding_request"} < {tensor["name"] for tensor in config["input"]}
    assert {"finish_reason", "num_output_tokens"} < {tensor["name"] for tensor in config["output"]}


def test_other_backends_and_ensembles_are_served_beside(served: Served) -> None:
    tensor = {"name": "in", "datatype": "BYTES", "shape": [1], "data": ["loud"]}
    answer = httpx.post(f"{served.http_url}/v2/models/shout/infer", json={"inputs": [tensor]}, timeout=30)
    assert answer.json()["outputs"][0]["data"] == ["LOUD"]
    whole = httpx.post(f"{served.http_url}/v2/models/ensemble/generate", json={"country": "France"}, timeout=60)
    assert whole.json()["shout"].startswith("THE CAPITAL OF FRANCE IS PARIS."), whole.text


def test_model_is_unloaded_and_loaded_with_other_settings(served: Served, repository: Path) -> None:
    before = served.state()["children"]
    (pid,) = (child["process"]["pid"] for child in before if child["name"] == "engine beta")
    assert control(served, "beta", "unload").status_code == 200
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=60)
    assert not psutil.pid_exists(pid) and generate(served.http_url, "beta").status_code == 404
    assert set(engines(served)) == {"alpha"}

    arguments = {"model": str(QUESTIONS.parent), "max_model_len": 32}
    content = json.dumps(arguments).encode()
    files = {"file:1/model.json": base64.b64encode(content).decode()}
    loaded = control(served, "beta", "load", config=json.dumps({"backend": "vllm"}), **files)
    assert loaded.status_code == 200, loaded.text
    assert max_model_len(engines(served)["beta"]) == 32
    assert generate(served.http_url, "beta").json()["text_output"] == " Paris."
    assert served.trident("status").returncode == 0
    assert list(repository.rglob("__pycache__")) == [], "the user's folder is not ours to write to"


def test_model_that_comes_later_is_loaded_or_says_why_not(served: Served, repository: Path) -> None:
    write(repository, "broken", VLLM, model_json='{"model": "demo", "max_modl_len": 8}')
    write(repository, "late", PLAIN, model_py=CODE.replace("CHANGE", "texts[0][::-1]"))
    deadline = time.monotonic() + 30
    while control(served, "late", "load").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.3)  # the supervisor looks once a second
    refused = control(served, "broken", "load")
    assert refused.status_code == 400
    assert "Unknown argument max_modl_len" in refused.text and "did you mean max_model_len?" in refused.text


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """A tritonserver that the user has started, with an exported repository: process, address, log."""
    server = Served.plan(tmp_path / "state")
    model = ("demo", "--max-model-len", "256")
    made = [
        server.trident("triton-dir", str(tmp_path / "tree")),
        server.trident("repo", "export", str(tmp_path / "python"), *model),
    ]
    assert [done.returncode for done in made] == [0, 0], [done.stderr for done in made]
    write(tmp_path / "vllm", "plain_vllm", VLLM, model_json=json.dumps({"model": str(QUESTIONS.parent)}))
    http, grpc, metrics = free_ports(3)
    ports = ["--http-port", str(http), "--grpc-port", str(grpc), "--metrics-port", str(metrics)]
    repositories = [f"--model-repository={tmp_path / name}" for name in ("python", "vllm")]
    log = tmp_path / "triton.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [tmp_path / "tree" / "bin" / "tritonserver", *repositories, *ports],
            env=server.environ,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield process, f"http://127.0.0.1:{http}", log
    process.kill()
    process.wait(30)


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            if httpx.get(f"{url}/v2/health/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.3)  # another process: nothing to wait on


def belonging(triton_pid: int, run_dir: Path) -> dict[int, str]:
    """Every process that is there because of this tritonserver."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(triton_pid) in words or any(str(run_dir) in word for word in words):
            found[process.pid] = " ".join(words)
    return found


def test_own_tritonserver_takes_its_engines_along_when_it_is_killed(
    own: tuple[subprocess.Popen[bytes], str, Path], tmp_path: Path
) -> None:
    process, url, log = own
    before = {path.name for path in Path("/dev/shm").iterdir()}
    wait_until_ready(process, url, log)
    regions = {path.name for path in Path("/dev/shm").iterdir()} - before
    for model in ("generate", "plain_vllm"):
        assert generate(url, model).json()["text_output"] == " Paris."
    tensor = {"name": "prompt", "datatype": "BYTES", "shape": [1], "data": [PROMPT]}
    answer = httpx.post(f"{url}/v2/models/qwen3_vllm/infer", json={"inputs": [tensor]}, timeout=REQUEST_TIMEOUT_S)
    assert answer.json()["outputs"][0]["data"] == [" Paris."]

    run_dir = tmp_path / "state" / "run" / f"triton-{process.pid}"
    state = json.loads((run_dir / "state.json").read_text())
    assert [child["name"] for child in state["children"]] == ["engine generate", "engine plain_vllm"]
    assert re.search(r"engine generate: .*OpenAI on port \d+", (run_dir / "logs" / "supervisor.log").read_text())
    everybody = belonging(process.pid, run_dir)
    everybody |= {part["pid"]: name for child in state["children"] for name, part in child["parts"].items()}
    assert len(everybody) >= 4 + 1 + 2 + 4  # stubs, keeper, hosts, their cores and OpenAI servers

    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    deadline = time.monotonic() + 60
    while alive := {pid: name for pid, name in everybody.items() if psutil.pid_exists(pid)}:
        assert time.monotonic() < deadline, alive
        time.sleep(0.2)  # other processes: nothing to wait on
    assert not {name for name in regions if "python" in name or "vllm" in name} & {
        path.name for path in Path("/dev/shm").iterdir()
    }
    assert [path for path in tmp_path.rglob("*") if path.is_socket()] == []
    assert not list(Path("/tmp").glob(f"trident-*-triton-{process.pid}"))
