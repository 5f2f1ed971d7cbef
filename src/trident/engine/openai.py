"""vLLM's own OpenAI server in slot 0: the Rust one where the build carries it, else the Python one."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import shutil
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import vllm
from vllm.config import VllmConfig
from vllm.v1.engine.utils import EngineZmqListeners

from trident.engine import arguments, cause
from trident.engine.lora.adapters import Adapters
from trident.engine.lora.openai import offer
from trident.protocol import status
from trident.protocol.spec import HostSpec

CANNOT_START = 3


def rust_server(wanted: str, *, needs_python: bool) -> Path | None:
    """The vllm-rs binary, None for the Python server. Raises ValueError when it is wanted and cannot be had."""
    binary = Path(vllm.__file__).parent / "vllm-rs"
    if wanted == "python" or (wanted == "auto" and (needs_python or not os.access(binary, os.X_OK))):
        return None
    if needs_python:
        # It knows our adapters not at all, and has no /v1/embeddings (vllm-project/vllm#53742).
        raise ValueError("openai_server is rust, but LoRA adapters and pooling models need the Python one")
    if not os.access(binary, os.X_OK):
        raise ValueError(f"openai_server is rust, but this build of vLLM carries no vllm-rs ({binary})")
    return binary


def start(
    spec: HostSpec,
    adapters: Adapters,
    listeners: EngineZmqListeners,
    slots: int,
    stats_address: str | None,
    config: VllmConfig,
) -> tuple[str, Any]:
    """Starts the server; returns its kind and the process (``pid``, ``sentinel``, ``exitcode``)."""
    is_pooling = config.model_config.runner_type == "pooling"
    binary = rust_server(spec.openai_server, needs_python=is_pooling or adapters.shelf is not None)
    if binary is not None:
        return "rust", _start_rust(binary, spec, listeners, stats_address, config.parallel_config.data_parallel_size)
    return "python", _start_python(spec, adapters, listeners, slots, stats_address)


def _start_python(
    spec: HostSpec, adapters: Adapters, listeners: EngineZmqListeners, slots: int, stats_address: str | None
) -> BaseProcess:
    # What vLLM's APIServerProcessManager hands to its processes, but forked: spawning would import vLLM again.
    client_config: dict[str, Any] = {
        "input_address": listeners.inputs[0].address,
        "output_address": listeners.outputs[0].address,
        "input_listener": listeners.inputs[0].socket,
        "output_listener": listeners.outputs[0].socket,
        "client_count": slots,
        "client_index": 0,
    }
    if stats_address is not None:
        client_config["stats_update_address"] = stats_address
    process = multiprocessing.get_context("fork").Process(
        target=_serve_python, args=(spec, adapters, client_config), name="OpenAI"
    )
    process.start()
    listeners.inputs[0].close()
    listeners.outputs[0].close()
    return process


def _serve_python(spec: HostSpec, adapters: Adapters, client_config: dict[str, Any]) -> None:
    # The terminal's Ctrl-C is for the supervisor, which stops its children in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from vllm.entrypoints.launchers.api_server.entry import setup_server
        from vllm.v1.utils import run_api_server_worker_proc

        args = arguments.openai_args(spec, adapters.named)
        args.custom_histogram_buckets = arguments.histogram_buckets(vars(args))
        if spec.lora_dir and adapters.shelf is not None:
            offer(adapters.shelf, args)
        where, socket = setup_server(args, reuse_port=False)
    except (ValueError, TypeError, OSError) as error:
        status.report(cause.failed("vLLM's OpenAI server cannot start", cause.describe(error)))
        sys.exit(CANNOT_START)
    run_api_server_worker_proc(where, socket, args, client_config)


def _start_rust(
    binary: Path, spec: HostSpec, listeners: EngineZmqListeners, stats_address: str | None, engines: int
) -> Any:
    from vllm.entrypoints.launchers.api_server.entry import setup_server
    from vllm.v1.utils import RustFrontendProcessManager

    args = arguments.openai_args(spec, [])
    _, socket = setup_server(args, reuse_port=False)
    manager = RustFrontendProcessManager(
        binary_path=str(_dying_with_parent(binary, Path(spec.run_dir))),
        sock=socket,
        args=args,
        input_listener=listeners.inputs[0],
        output_listener=listeners.outputs[0],
        engine_start_index=0,
        engine_count=engines,
        data_parallel_size=engines,
        stats_update_address=stats_address,
    )
    process = manager.processes[0]
    process.manager = manager  # its finalizer would end the server
    return process


def _dying_with_parent(binary: Path, run_dir: Path) -> Path:
    """vLLM starts the binary by path; a two-line script in its place ties its life to the host's."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return binary
    script = run_dir / "vllm-rs"
    script.write_text(f'#!/bin/sh\nexec {setpriv} --pdeathsig KILL {shlex.quote(str(binary))} "$@"\n')
    script.chmod(0o700)
    return script
