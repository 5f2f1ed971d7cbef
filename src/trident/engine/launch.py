"""Launches EngineCore(s) with two front-end slots and fills slot 0 with the OpenAI server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from vllm.config import VllmConfig
from vllm.platforms import current_platform
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.input_processor import InputProcessor
from vllm.v1.engine.utils import (
    CoreEngineProcManager,
    EngineZmqListeners,
    bind_engine_zmq_listeners,
    launch_core_engines,
)
from vllm.v1.executor import Executor

from trident.engine import arguments, continuation, openai, tokenizer_file, tracing
from trident.engine.chat import Chat
from trident.engine.lora import cpu_kernels
from trident.engine.lora.adapters import Adapters, adapters_of
from trident.protocol import status
from trident.protocol.spec import HostSpec

OPENAI_SLOT, RELAY_SLOT, SLOTS = 0, 1, 2
OPENAI_SERVER = "openai server"


@dataclass
class Launched:
    """A running engine and what is needed to talk to it from the relay's slot."""

    config: VllmConfig
    executor_class: type[Executor]
    log_stats: bool
    engines: CoreEngineProcManager
    coordinator: Any
    openai: openai.Server
    client_addresses: dict[str, Any]
    listeners: EngineZmqListeners  # its finalizer removes the sockets that engines connect to
    inputs: InputProcessor
    chat: Chat
    tokenizer_path: Path
    adapters: Adapters

    @property
    def pids(self) -> dict[str, int]:
        """Children of the host by a name that users see."""
        many = len(self.engines.processes) > 1
        engines = {
            (f"engine core {i}" if many else "engine core"): process.pid or 0
            for i, process in enumerate(self.engines.processes)
        }
        return {**engines, OPENAI_SERVER: self.openai.process.pid}


def launch(spec: HostSpec) -> Launched:
    """Blocks until every engine is up. Raises what vLLM raises when one cannot start.

    Must run on the main thread before any other thread exists, because it forks.
    """
    status.report(status.Phase("reading the model's configuration"))
    tracing.prepare(spec)
    args = arguments.engine_args(spec, SLOTS)
    config = args.create_engine_config(usage_context=UsageContext.OPENAI_API_SERVER)
    arguments.limit_cpu_kv_cache(config)
    if spec.cpu_threads:
        torch.set_num_threads(spec.cpu_threads)  # inherited by engine cores; vLLM's worker processes bind their own
    arguments.never_compile_on_a_cpu(config)
    # vLLM's CPU platform overwrites this in create_engine_config; fork shares what is imported already. Where
    # something forbids forking (CUDA initialised, Ray, NUMA binding) vLLM goes back to spawn by itself.
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"
    executor_class = Executor.get_class(config)
    log_stats = not args.disable_log_stats
    adapters = adapters_of(spec, config)
    if adapters.shelf is not None and current_platform.is_cpu():
        cpu_kernels.correct()
    continuation.teach(config)
    listeners = bind_engine_zmq_listeners(config, SLOTS)

    status.report(status.Phase("loading the model", expects_stubs=True))
    with launch_core_engines(config, executor_class, log_stats, listeners.addresses) as engines:
        if not isinstance(engines.engine_manager, CoreEngineProcManager):
            raise ValueError("Ray as data_parallel_backend is not supported; leave it out")
        stats_address = engines.coordinator.get_stats_publish_address() if engines.coordinator else None
        server = openai.start(spec, adapters, listeners, SLOTS, stats_address, config)
        engines.watched_frontend_processes = [server.process]
        # Meanwhile the engines load: the tokenizer costs a second of this process's own time.
        inputs = InputProcessor(config)
        chat = Chat(arguments.openai_args(spec, []), config, inputs.renderer)
        tokenizer_path = tokenizer_file.write(inputs.get_tokenizer(), Path(spec.run_dir))

    client_addresses: dict[str, Any] = {
        "input_address": listeners.inputs[RELAY_SLOT].address,
        "output_address": listeners.outputs[RELAY_SLOT].address,
        "input_listener": listeners.inputs[RELAY_SLOT].socket,
        "output_listener": listeners.outputs[RELAY_SLOT].socket,
    }
    if stats_address is not None:
        client_addresses["stats_update_address"] = stats_address
    return Launched(
        config=config,
        executor_class=executor_class,
        log_stats=log_stats,
        engines=engines.engine_manager,
        coordinator=engines.coordinator,
        openai=server,
        client_addresses=client_addresses,
        listeners=listeners,
        inputs=inputs,
        chat=chat,
        tokenizer_path=tokenizer_path,
        adapters=adapters,
    )
