"""Turns the tables of the specification into vLLM's argument objects."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch._dynamo.config
from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.openai.models.protocol import LoRAModulePath
from vllm.platforms import current_platform
from vllm.v1.metrics import buckets

from trident.engine import graph_sizes
from trident.engine.openai_gate import Bounds
from trident.protocol.spec import HostSpec

GIB_BYTES = 1 << 30
CPU_KV_CACHE_BYTES = 4 * GIB_BYTES
CPU_BATCH_SEQUENCES = 64


OPENAI_QUEUE_PER_PLACE = 4
OPENAI_QUEUE_WAIT_S = 60.0

SMALL_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2)
"""Bounds in front of vLLM's own, which begin at 0.3 s for a request's times and at 10 ms between tokens."""


class UnknownArgument(ValueError):
    """The installed vLLM has no engine argument of that name."""


def complete(spec: HostSpec) -> dict[str, Any]:
    """The user's engine arguments and, where the user said nothing, what Trident sets for this platform."""
    chosen = {"model": spec.model_path, "served_model_name": [spec.served_name], **spec.engine}
    if spec.loras or spec.lora_dir or spec.openai.get("lora_modules"):
        chosen.setdefault("enable_lora", True)
    # Among requests of the same priority it is first come, first served, as vLLM's default is; but a client's priority
    # would be overlooked there without a word.
    chosen.setdefault("scheduling_policy", "priority")
    if current_platform.is_cpu():
        for name, value in _cpu_defaults(chosen).items():
            chosen.setdefault(name, value)
    elif current_platform.is_cuda():
        chosen.update(graph_sizes.by_default(chosen, current_platform.get_device_total_memory()))
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    if unknown := sorted(set(chosen) - known):
        raise UnknownArgument(f"vLLM has no engine argument called {', '.join(unknown)}")
    return chosen


def _cpu_defaults(chosen: dict[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    # Compiling needs a C++ compiler on the machine and makes each first start minutes longer.
    defaults["enforce_eager"] = True
    if _one_numa_node() and not {"tensor_parallel_size", "pipeline_parallel_size"} & set(chosen):
        # Spares a worker process; vLLM honours it only with this variable (platforms/cpu.py). On several NUMA nodes
        # the worker process is worth having, as it binds its threads.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        defaults["distributed_executor_backend"] = "uni"
    return defaults


def histogram_buckets(chosen: dict[str, Any], further: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """By vLLM's name of a family of histograms: every time from 1 ms up, and all of vLLM's bounds, for its dashboards.

    What the user has chosen stands. ``further`` bounds are there in any case: whether a promise was kept can be counted
    at a bound only.
    """
    times: dict[str, list[float]] = {}
    for family in ("request_latency", "time_to_first_token", "inter_token_latency", "kv_cache_residency"):
        bounds = buckets.histogram_buckets(family)
        times[family] = [bound for bound in SMALL_BUCKETS_S if bound < bounds[0]] + bounds
    found = {**times, **(chosen.get("custom_histogram_buckets") or {})}
    return {family: sorted({*map(float, bounds), *further.get(family, ())}) for family, bounds in found.items()}


def limit_cpu_kv_cache(config: VllmConfig) -> None:
    """Gives the KV cache of a CPU engine what its longest batch can use, where the user said nothing.

    vLLM's own default takes 92 % of all memory, refuses to start when somebody else uses any of it, and spends seconds
    on clearing it. ``gpu_memory_utilization`` says nothing here: model repositories bring it along that were written
    for a GPU, each model with a large part of the machine.
    """
    cache, model = config.cache_config, config.model_config
    user_chose = cache.kv_cache_memory_bytes is not None or os.environ.get("VLLM_CPU_KVCACHE_SPACE")
    if not current_platform.is_cpu() or user_chose:
        return
    parallel = config.parallel_config
    values_per_token = 2 * model.get_num_layers(parallel) * model.get_num_kv_heads(parallel) * model.get_head_size()
    # vLLM keeps one block for itself and gives out the others whole.
    block_tokens = cache.block_size
    longest_tokens = (math.ceil(model.max_model_len / block_tokens) + 1) * block_tokens
    longest_batch_tokens = min(CPU_BATCH_SEQUENCES, config.scheduler_config.max_num_seqs) * longest_tokens
    wanted_bytes = longest_batch_tokens * values_per_token * model.dtype.itemsize
    cache.kv_cache_memory_bytes = min(wanted_bytes, CPU_KV_CACHE_BYTES, _available_memory_bytes() // 4)


def never_compile_on_a_cpu(config: VllmConfig) -> None:
    """``enforce_eager`` spares the model's compilation only: vLLM's sampler compiles at the first request for logprobs.

    That is 14 s in which the engine stands still for everybody (measured), and its end where there is no C++ compiler.
    """
    if current_platform.is_cpu() and config.model_config.enforce_eager:
        os.environ["TORCH_COMPILE_DISABLE"] = "1"  # for workers that are spawned
        torch._dynamo.config.disable = True


def _available_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def _one_numa_node() -> bool:
    return len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) <= 1


def engine_args(spec: HostSpec, slots: int) -> AsyncEngineArgs:
    """vLLM's engine arguments for ``slots`` front-ends. Raises what vLLM raises for bad values."""
    chosen = complete(spec)
    args = AsyncEngineArgs(**{**chosen, "custom_histogram_buckets": histogram_buckets(chosen, spec.histogram_bounds_s)})
    # Private, but what vLLM's own multi-server launcher sets (entrypoints/cli/serve.py).
    args._api_process_count = slots
    args._api_process_rank = -1
    return args


def openai_args(spec: HostSpec, loras: list[LoRAModulePath]) -> argparse.Namespace:
    """The arguments of vLLM's OpenAI server: its parser's defaults with our values on top."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    args = make_arg_parser(FlexibleArgumentParser()).parse_args([])
    values = {**complete(spec), **spec.openai, "host": spec.openai_host, "port": spec.openai_port}
    values["uds"] = spec.openai_socket
    values["lora_modules"] = loras or None
    for name, value in values.items():
        if not hasattr(args, name):
            raise UnknownArgument(f"vLLM's OpenAI server has no argument called {name}")
        setattr(args, name, value)
    args.model_tag = spec.model_path
    validate_parsed_serve_args(args)
    return args


def openai_bounds(config: VllmConfig, spec: HostSpec) -> Bounds:
    """What the OpenAI door lets into vLLM, and how much waits before it.

    As many requests as the engine computes at once, and an eighth more so that it never waits for one: what is inside
    is served in the order of arrival, so the turns of clients end there. The user's ``max_num_queued_reqs``, which
    counts both, stands.
    """
    scheduler = config.scheduler_config
    at_once = scheduler.max_num_seqs * config.parallel_config.data_parallel_size
    running = spec.max_running_requests or at_once + max(1, at_once // 8)
    queued = min(spec.max_queued_requests, running * OPENAI_QUEUE_PER_PLACE)
    if (both := scheduler.max_num_queued_reqs) is not None:
        running = max(1, min(running, both))
        queued = max(0, both - running)
    return Bounds(running, queued, spec.max_queue_wait_s or OPENAI_QUEUE_WAIT_S)
