"""One measurement's figures: what is looked at meanwhile, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import speed_cpus
from speed_gpu import Gpu
from speed_load import Outcome
from speed_plan import Measure
from speed_servers import Started
from speed_steps import Steps
from speed_triton import Trident


def watchers(server: Started) -> dict[str, Any]:
    """What is seen of the machine, the GPU and the engine core's threads meanwhile."""
    core = server.named().get("engine core", [])[:1]
    found: dict[str, Any] = {"machine_cores": speed_cpus.Machine(), "gpu": Gpu()}
    if core:
        found["engine_core_threads"] = speed_cpus.Threads(core[0])
    if isinstance(server, Trident):
        found["steps_by_tokens"] = Steps(server)
    return found


def cpu_s(server: Started) -> dict[str, float]:
    """CPU seconds so far of what a server consists of."""
    found: dict[str, float] = {}
    for name, processes in server.named().items():
        for process in processes:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            found[name] = found.get(name, 0.0) + times.user + times.system
    return found


def waited_s(server: Started) -> float:
    """How long the engine core's threads were ready to run and had no CPU."""
    found = 0.0
    for process in server.named().get("engine core", []):
        for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            found += int(task.read_text().split()[1]) / 1e9
    return found


def row_of(step: Measure, outcome: Outcome, cpu: dict[str, float], core_waited_s: float) -> dict[str, Any]:
    """The figures of one measurement; times in ms."""
    load, tokens = outcome.load, max(1, outcome.tokens)
    return {
        "door": step.door,
        "setup": step.setup,
        "streams": load.streams,
        "output_tokens": load.tokens,
        "lengths": "mixed" if load.is_mixed else "equal",
        "requests": load.requests,
        "failed": outcome.failed,
        "seconds": round(outcome.seconds, 2),
        "tokens_per_s": round(outcome.tokens / outcome.seconds, 1),
        "ttft_ms": quantiles_ms(outcome.first_s),
        "tpot_ms": quantiles_ms(outcome.per_token_s),
        "request_ms": quantiles_ms(outcome.end_s),
        "tokens_per_event": round(outcome.tokens / outcome.events, 2) if outcome.events else None,
        "bytes_per_request": round(outcome.size_bytes / max(1, len(outcome.end_s))),
        "cpu_s_per_1000_tokens": {
            name: round(1000 * value / tokens, 4) for name, value in cpu.items() if value > 0.005
        },
        "engine_core_waited_for_cpu_s": round(core_waited_s, 3),
    }


def quantiles_ms(values: list[float]) -> dict[str, float]:
    """p50 and p99; empty when there is nothing."""
    if not values:
        return {}
    at = {"p50": len(values) // 2, "p99": min(len(values) - 1, int(0.99 * len(values)))}
    return {name: round(1e3 * values[index], 2) for name, index in at.items()}


def in_words(row: dict[str, Any]) -> str:
    """One line."""
    return (
        f"{row['door']}{' ' + row['setup'] if row['setup'] else ''} c={row['streams']} out={row['output_tokens']}: "
        f"{row['tokens_per_s']:.0f} tok/s in {row['seconds']} s, {row['failed']} of {row['requests']} failed, "
        f"TTFT {row['ttft_ms']} TPOT {row['tpot_ms']} ms, {row['tokens_per_event']} tokens/event; "
        f"CPU s per 1000 {row['cpu_s_per_1000_tokens']}, core waited {row['engine_core_waited_for_cpu_s']} s; "
        f"steps {row.get('steps_by_tokens')} machine {row.get('machine_cores')} GPU {row.get('gpu')} "
        f"core's threads {row.get('engine_core_threads')}"
    )
