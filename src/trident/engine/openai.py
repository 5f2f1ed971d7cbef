"""vLLM's own OpenAI server in slot 0: the Rust one where the build carries it, else the Python one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shlex
import shutil
import signal
import sys
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

import psutil
import vllm
import zmq
from vllm import envs
from vllm.config import VllmConfig
from vllm.exceptions import MaxQueuedTokensError, QueueOverflowError
from vllm.v1.engine.core import EngineCoreProc
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.utils import EngineZmqListeners

from trident.engine import arguments, cause, openai_door, openai_trace
from trident.engine.lora.adapters import Adapters
from trident.engine.lora.openai import offer
from trident.engine.openai_answer import Words
from trident.engine.openai_counts import DoorCounts
from trident.engine.openai_exit import Exit
from trident.engine.openai_lifeline import Lifeline
from trident.protocol import status, tracing
from trident.protocol.in_flight import OPENAI_SOCKET
from trident.protocol.spec import HostSpec
from trident.protocol.status import LINGER_S

CANNOT_START = 3
RUST_FLUSH_S = 0.3
"""For the last events of vllm-rs, which does not end by itself."""


@dataclass
class Server:
    """The running server: its kind, its process (``pid``, ``sentinel``, ``exitcode``), and how it learns of a loss.

    The Rust one has no ``way_out``.
    """

    kind: str
    process: Any
    output_address: str
    lifeline: Lifeline | None = None
    way_out: Exit | None = None

    @property
    def lingers(self) -> bool:
        """It outlives a killed host for the moment that its last words take."""
        return self.lifeline is not None

    def tell_lost(self) -> None:
        """The engine is lost: the server ends all requests at once. May be said again."""
        if self.lifeline is not None:
            self.lifeline.let_go()
            return
        # What an engine says that ends in order; the server takes it from anybody.
        with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
            socket.setsockopt(zmq.LINGER, 100)
            socket.connect(self.output_address)
            socket.send(EngineCoreProc.ENGINE_CORE_DEAD)

    def end_lost(self) -> None:
        """Waits for the last words, then kills."""
        self.tell_lost()
        connection.wait([self.process.sentinel], timeout=LINGER_S if self.lingers else RUST_FLUSH_S)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)


def rust_server(wanted: str, *, needs_python: bool) -> Path | None:
    """The vllm-rs binary, None for the Python server. Raises ValueError when it is wanted and cannot be had."""
    binary = Path(vllm.__file__).parent / "vllm-rs"
    if wanted == "python" or (wanted == "auto" and (needs_python or not os.access(binary, os.X_OK))):
        return None
    if needs_python:
        # It knows our adapters not at all, and has no /v1/embeddings (vllm-project/vllm#53742).
        needs = "LoRA adapters, pooling models, traces and the gateway"
        raise ValueError(f"openai_server is rust, but {needs} need the Python one")
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
) -> Server:
    """Starts the server."""
    is_pooling = config.model_config.runner_type == "pooling"
    # Nobody has tried vllm-rs with a unix socket, or has seen spans of it.
    is_traced = tracing.endpoint(spec.engine) is not None
    needs_python = is_pooling or is_traced or adapters.shelf is not None or spec.openai_socket is not None
    binary = rust_server(spec.openai_server, needs_python=needs_python)
    if binary is not None:
        return _start_rust(binary, spec, listeners, stats_address, config.parallel_config.data_parallel_size)
    return _start_python(spec, adapters, listeners, slots, stats_address, config)


def _start_python(
    spec: HostSpec,
    adapters: Adapters,
    listeners: EngineZmqListeners,
    slots: int,
    stats_address: str | None,
    config: VllmConfig,
) -> Server:
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
    lifeline, way_out = Lifeline(), Exit()
    process = multiprocessing.get_context("fork").Process(
        target=_serve_python, args=(spec, adapters, client_config, config, lifeline, way_out), name="OpenAI"
    )
    process.start()
    lifeline.hold()
    listeners.inputs[0].close()
    listeners.outputs[0].close()
    return Server("python", process, listeners.outputs[0].address, lifeline, way_out)


def _serve_python(
    spec: HostSpec,
    adapters: Adapters,
    client_config: dict[str, Any],
    config: VllmConfig,
    lifeline: Lifeline,
    way_out: Exit,
) -> None:
    # The terminal's Ctrl-C is for the supervisor, which stops its children in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from vllm.entrypoints.launchers.api_server.entry import setup_server
        from vllm.v1.utils import run_api_server_worker_proc

        args = arguments.openai_args(spec, adapters.named)
        args.custom_histogram_buckets = arguments.histogram_buckets(vars(args), spec.histogram_bounds_s)
        if spec.lora_dir and adapters.shelf is not None:
            offer(adapters.shelf, args)
        if spec.openai_socket is not None:
            Path(spec.openai_socket).unlink(missing_ok=True)  # a killed life leaves it, and it could not be bound
        door = openai_door.build(_door_setup(spec, args.api_key, config, way_out))
        # The last in the list is the first to see a request.
        args.middleware = [*args.middleware, f"{openai_door.__name__}.{openai_door.Doorkeeper.__name__}"]
        if tracing.endpoint(spec.engine) is not None:
            args.middleware.append(f"{openai_trace.__name__}.{openai_trace.FrontDoor.__name__}")
        # A port is shared with the supervisor's stand-in, which answers there while no engine does, and with the server
        # that takes this one's place.
        where, socket = setup_server(args, reuse_port=spec.openai_socket is None)
        lifeline.follow(door, socket)
    except (ValueError, TypeError, OSError) as error:
        status.report(cause.failed("vLLM's OpenAI server cannot start", cause.describe(error)))
        sys.exit(CANNOT_START)
    run_api_server_worker_proc(where, socket, args, client_config)


def _door_setup(spec: HostSpec, api_key: list[str] | None, config: VllmConfig, way_out: Exit) -> openai_door.Setup:
    busy = (QueueOverflowError().message, MaxQueuedTokensError().message)
    return openai_door.Setup(
        bounds=arguments.openai_bounds(config, spec),
        words=Words(str(EngineDeadError()).encode(), tuple(message.encode() for message in busy)),
        keys=tuple(key for key in (api_key or [envs.VLLM_API_KEY]) if key),
        begun=psutil.Process(os.getppid()).create_time(),
        way_out=way_out,
        served_name=spec.served_name,
        looked_at=spec.sockets_dir / OPENAI_SOCKET,
        counts=DoorCounts(spec.served_name),
    )


def _start_rust(
    binary: Path, spec: HostSpec, listeners: EngineZmqListeners, stats_address: str | None, engines: int
) -> Server:
    from vllm.entrypoints.launchers.api_server.entry import setup_server
    from vllm.v1.utils import RustFrontendProcessManager

    args = arguments.openai_args(spec, [])
    _, socket = setup_server(args, reuse_port=True)
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
    return Server("rust", process, listeners.outputs[0].address)


def _dying_with_parent(binary: Path, run_dir: Path) -> Path:
    """vLLM starts the binary by path; a two-line script in its place ties its life to the host's."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return binary
    script = run_dir / "vllm-rs"
    script.write_text(f'#!/bin/sh\nexec {setpriv} --pdeathsig KILL {shlex.quote(str(binary))} "$@"\n')
    script.chmod(0o700)
    return script
