"""Ways to break an installation, each with the check that must name it and words of the fix that must be there."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from installation import REGISTRY, Installation
from layout import keys_open_to_others

from trident.supervisor.processes import identify
from trident.supervisor.state import ChildState, ErrorState, ServerState

LOGS = Path(__file__).parent / "logs"


class Fault(NamedTuple):
    """``level`` is what the doctor must say; ``is_mended`` whether ``--fix`` ends it."""

    check: str
    fix: str
    plant: Callable[[Installation], None]
    level: str = "fail"
    is_mended: bool = False


def engine_file_missing(it: Installation) -> None:
    (it.engine_site / "vllm/engine.py").unlink()


def engine_file_changed(it: Installation) -> None:
    (it.engine_site / "vllm/engine.py").write_text("y = 3\n")


def control_file_cut(it: Installation) -> None:
    (it.site / "control_package/code.py").write_text("")


def engine_of_another_version(it: Installation) -> None:
    stamp = it.engine / "trident.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "pins_sha256": "0" * 64}))


def engine_half_made(it: Installation) -> None:
    shutil.copytree(it.engine, it.engine.with_name("vllm-0.1.0-cpu-py3.11"), ignore=lambda *_: {"trident.json"})


def backend_folder_damaged(it: Installation) -> None:
    from trident.runtime.control_env import triton_install

    (triton_install(it.data_dir).backend_dir / "python" / "triton_python_backend_stub").unlink()


def weights_cut(it: Installation) -> None:
    weights = it.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])


def weights_are_a_pointer(it: Installation) -> None:
    (it.model / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 1\n")


def shard_missing(it: Installation) -> None:
    (it.model / "model.safetensors").rename(it.model / "model-00001-of-00002.safetensors")


def tokenizer_missing(it: Installation) -> None:
    (it.model / "tokenizer.json").unlink()


def config_damaged(it: Installation) -> None:
    (it.model / "config.json").write_text('{"architectures": [')


def model_too_large(it: Installation) -> None:
    size = 1 << 42
    header = json.dumps({"w": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}).encode()
    with (it.model / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)  # a file of holes


def kv_cache_too_large(it: Installation) -> None:
    it.configure("[engine]\nkv_cache_memory_bytes = 10000000000000\n")


def model_with_code(it: Installation) -> None:
    it.change_model(architectures=["NovelForCausalLM"], auto_map={"AutoModel": "novel.Model"})


def fp8_for_gpus(it: Installation) -> None:
    it.change_model(quantization_config={"quant_method": "fp8", "activation_scheme": "dynamic"})


def gptq_of_eight_bits(it: Installation) -> None:
    it.change_model(quantization_config={"quant_method": "gptq", "bits": 8, "group_size": 128})


def fp8_while_loading(it: Installation) -> None:
    it.configure('[engine]\nquantization = "fp8"\n')


def architecture_unknown(it: Installation) -> None:
    assert "Novel" not in (it.engine_site / REGISTRY).read_text()
    it.change_model(architectures=["NovelForCausalLM"])


def setting_misspelt(it: Installation) -> None:
    it.configure("htp_port = 8000\n")


def old_argument(it: Installation) -> None:
    it.configure("[engine]\nswap_space = 4\n")


def port_taken(it: Installation) -> None:
    it.held.append(socket.create_server(("127.0.0.1", it.ports[0])))


def keys_missing(it: Installation) -> None:
    it.configure(f'[security]\napi_key_file = "{it.root}/no-keys"\n')


def shared_memory_left(_: Installation) -> None:
    from trident.config import load
    from trident.triton.command import shm_prefix

    (Path("/dev/shm") / f"{shm_prefix(load())}left").write_bytes(b"x")


def processes_left(it: Installation) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    gone = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    supervisor = identify(gone.pid)
    gone.kill()
    gone.wait(10)
    it.processes.append(child)
    left = ChildState(
        name="engine host", log_path="", process=identify(child.pid), phase="ready", since=0, is_ready=True, restarts=0
    )
    _state(it, process=supervisor, phase="ready", children=[left])


def start_failed(it: Installation) -> None:
    it.log("engine", (LOGS / "vllm-unknown_architecture.log").read_text())


def port_was_taken(it: Installation) -> None:
    it.log("triton", (LOGS / "triton-port_http.log").read_text())


def failed_for_an_unknown_reason(it: Installation) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    supervisor = identify(gone.pid)
    gone.wait(10)
    error = ErrorState(
        kind="EngineStartFailed",
        what="The engine host could not start",
        why="a new reason",
        next_step="read the log",
        exit_code=3,
        log_path=None,
    )
    _state(it, process=supervisor, phase="failed", error=error)


def _state(it: Installation, **values: object) -> None:
    state = {"name": "default", "run_dir": str(it.run_dir), "started": 0.0, "since": 0.0, **values}
    it.run_dir.joinpath("state.json").write_bytes(msgspec.json.encode(ServerState(**state)))  # type: ignore[arg-type]


FAULTS = {
    "engine file missing": Fault("environment.engine", "trident setup", engine_file_missing, is_mended=True),
    "engine file changed": Fault("environment.engine", "trident setup", engine_file_changed, is_mended=True),
    "control package cut": Fault("environment.control", "--no-deps control-package", control_file_cut),
    "engine of another version": Fault("environment.engine", "trident setup", engine_of_another_version),
    "engine half made": Fault("machine.disk", "trident setup", engine_half_made, "warn", is_mended=True),
    "backend folder damaged": Fault("platform.triton", "rm -r", backend_folder_damaged, is_mended=True),
    "weights cut": Fault("model.files", "fetch that file again", weights_cut),
    "weights are a pointer": Fault("model.files", "git lfs pull", weights_are_a_pointer),
    "shard missing": Fault("model.files", "fetch that file again", shard_missing),
    "tokenizer missing": Fault("model.files", "tokenizer", tokenizer_missing),
    "config.json damaged": Fault("model.files", "fetch that file again", config_damaged),
    "model too large": Fault("model.memory", "smaller or quantised", model_too_large),
    "KV cache too large": Fault("model.memory", "--kv-cache-memory-bytes", kv_cache_too_large, "warn"),
    "model with code": Fault("model.configuration", "--trust-remote-code", model_with_code),
    "architecture unknown": Fault("model.configuration", "supported models", architecture_unknown, "warn"),
    "FP8 for GPUs": Fault("model.quantization", "W8A8", fp8_for_gpus),
    "GPTQ of eight bits": Fault("model.quantization", "four-bit", gptq_of_eight_bits),
    "FP8 while loading": Fault("model.quantization", "int8_per_channel", fp8_while_loading),
    "setting misspelt": Fault("configuration.settings", "remove it", setting_misspelt),
    "old argument": Fault("configuration.settings", "--kv-offloading-size", old_argument),
    "port taken": Fault("configuration.ports", "--http-port N", port_taken),
    "keys open to others": Fault("configuration.files", "chmod 600", keys_open_to_others, "warn", is_mended=True),
    "keys missing": Fault("configuration.files", "ls -l", keys_missing),
    "shared memory left": Fault("machine.shm", "rm /dev/shm/", shared_memory_left, "warn", is_mended=True),
    "processes left": Fault("configuration.run_directory", "kill", processes_left, "warn", is_mended=True),
    "start failed": Fault("failure.vllm.architecture", "architectures", start_failed),
    "port was taken": Fault("failure.triton.port", "ss -ltnp", port_was_taken),
    "failed for an unknown reason": Fault("failure.last", "read the log", failed_for_an_unknown_reason),
}
