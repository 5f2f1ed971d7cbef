"""Why it may be slow, by rule: each rule looks at the numbers of the last minute and says what it sees and what helps.

A rule speaks when something is measurably in the way, and is silent about a server that is merely busy: a GPU in full
use without a queue is a good thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from trident.monitor import hint_texts
from trident.monitor.numbers import Numbers
from trident.monitor.reading import Reading
from trident.monitor.server_view import Child
from trident.monitor.slo import SloStatus

STUCK_AFTER_S = 5.0
FULL = 0.95
MUCH_KV = 0.9
MUCH_QUEUE = 0.3
MUCH_PREFILL = 0.5
LONG_PROMPT_TOKENS = 512
LITTLE_REUSE = 0.2
LITTLE_GPU = 0.5
BUSY_CORE = 0.9
ALL_CORES = 0.95
MUCH_OF_OTHERS = 0.25
LITTLE_MEMORY = 0.05
LITTLE_SHARED_MEMORY_BYTES = 64 * 2**20
FAST_BURN = 2.0

Level = Literal["bad", "warn", "note"]


class Hint(msgspec.Struct):
    """``what`` is seen and what helps ``next``, in English and Chinese."""

    id: str
    level: Level
    what: dict[str, str]
    next: dict[str, str]


@dataclass
class Scene:
    """Everything that rules look at. ``silent_s`` is for how long requests have run without a token."""

    phase: str
    numbers: Numbers
    reading: Reading
    children: list[Child] = field(default_factory=list)
    slos: list[SloStatus] = field(default_factory=list)
    max_running: int | None = None
    silent_s: float = 0.0


def of(scene: Scene) -> list[Hint]:
    """The worst first."""
    found = [Hint(id, level, *hint_texts.filled(id, values)) for rule in RULES for id, level, values in rule(scene)]
    order: dict[str, int] = {"bad": 0, "warn": 1, "note": 2}
    return sorted(found, key=lambda hint: order[hint.level])


Found = Iterator[tuple[str, Level, dict[str, str]]]


def _not_ready(scene: Scene) -> Found:
    if scene.phase == "gone":
        yield "gone", "bad", {}
        return
    for child in scene.children:
        if not child.is_ready:
            why = f"{child.phase}; {child.last_death}" if child.last_death else child.phase
            yield "child", "bad", {"child": child.name, "why": why}


def _stuck(scene: Scene) -> Found:
    if scene.silent_s >= STUCK_AFTER_S:
        yield "stuck", "bad", {"running": _count(scene.numbers.running), "s": f"{scene.silent_s:.0f}"}


def _queue(scene: Scene) -> Found:
    now = scene.numbers
    waits = (now.waiting or 0) + (now.queued or 0)
    if not waits:
        return
    values = {"waits": _count(waits), "running": _count(now.running), "kv": _percent(now.kv_share)}
    if scene.max_running and (now.running or 0) >= FULL * scene.max_running:
        yield "batch_full", "warn", {**values, "max": str(scene.max_running)}
    elif (now.kv_share or 0) >= MUCH_KV:
        yield "kv_full", "warn", values
    elif now.queue_share is not None and now.queue_share > MUCH_QUEUE:
        yield "queue", "warn", {**values, "share": _percent(now.queue_share)}


def _preemptions(scene: Scene) -> Found:
    if scene.numbers.preemptions_per_min:
        values = {"n": f"{scene.numbers.preemptions_per_min:.0f}", "kv": _percent(scene.numbers.kv_share)}
        yield "preemptions", "warn", values


def _refused(scene: Scene) -> Found:
    if scene.numbers.refused_per_s:
        yield "refused", "warn", {"rate": f"{scene.numbers.refused_per_s:.1f}"}


def _prefill(scene: Scene) -> Found:
    now = scene.numbers
    parts = (now.prefill_s or 0.0) + (now.decode_s or 0.0)
    if not parts or (now.prefill_s or 0.0) / parts < MUCH_PREFILL:
        return
    values = {"share": _percent((now.prefill_s or 0.0) / parts), "tokens": _count(now.prompt_tokens_mean)}
    if (now.prompt_tokens_mean or 0) >= LONG_PROMPT_TOKENS:
        reuse = now.prefix_hit_share
        is_little = reuse is not None and reuse < LITTLE_REUSE
        yield ("prefill_no_reuse" if is_little else "prefill"), "note", {**values, "hits": _percent(reuse)}


def _gpu(scene: Scene) -> Found:
    for one in scene.reading.samples("trident_gpu_throttled"):
        if one.value and one.labels.get("reason") not in ("gpu_idle", "idle", "none"):
            yield "throttled", "warn", {"gpu": one.labels.get("gpu", ""), "reason": one.labels.get("reason", "")}
    now = scene.numbers
    if now.gpu_share is not None and now.gpu_share < LITTLE_GPU and (now.running or 0) >= 8:
        values = {"gpu": _percent(now.gpu_share), "cores": f"{now.busiest_door_cores or 0:.1f}"}
        yield ("doors" if (now.busiest_door_cores or 0) >= BUSY_CORE else "gpu_waits"), "note", values


def _machine(scene: Scene) -> Found:
    reading = scene.reading
    total, free = reading.sum("trident_host_memory_total_bytes"), reading.sum("trident_host_memory_available_bytes")
    if total and free is not None and free / total < LITTLE_MEMORY:
        yield "memory", "warn", {"free": f"{free / 2**30:.1f}"}
    now = scene.numbers
    if (now.host_cpu_share or 0) >= ALL_CORES and (now.others_cpu_share or 0) >= MUCH_OF_OTHERS:
        yield "others", "warn", {"share": _percent(now.others_cpu_share)}
    shared = reading.sum("trident_host_shm_free_bytes")
    if shared is not None and shared < LITTLE_SHARED_MEMORY_BYTES:
        yield "shm", "warn", {"free": f"{shared / 2**20:.0f}"}
    for one in reading.samples("trident_monitor_source_up"):
        if not one.value:
            yield "source", "note", {"source": one.labels.get("source", "")}


def _burn(scene: Scene) -> Found:
    for slo in scene.slos:
        if slo.burn is not None and slo.burn >= FAST_BURN:
            yield f"burn_{slo.name}", "warn", {"burn": f"{slo.burn:.1f}", "limit": f"{slo.limit_s or 0:g}"}


RULES: tuple[Callable[[Scene], Found], ...] = (
    *(_not_ready, _stuck, _burn, _queue, _preemptions, _refused, _gpu, _prefill, _machine),
)


def _count(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.0f} %"
