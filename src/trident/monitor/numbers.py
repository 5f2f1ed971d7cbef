"""The numbers that are shown at one moment: tiles, the points of charts, the columns of ``trident top``."""

from __future__ import annotations

import msgspec

from trident.monitor import histogram
from trident.monitor.counts import Counts
from trident.monitor.reading import Reading

RATE_WINDOW_S = 10.0
LATENCY_WINDOW_S = 60.0
"""As in the recording rules' ``1m``: a minute of requests is few enough to be now and mostly enough for a quantile."""


class Numbers(msgspec.Struct, kw_only=True, omit_defaults=True):
    """None is not known, or nothing was there to be measured. ``at`` is Unix time.

    Rates are over ``RATE_WINDOW_S``, latencies, shares and means over ``LATENCY_WINDOW_S``. ``queued`` wait in front of
    the engine, ``waiting`` in it; ``gate_s``, ``queue_s``, ``prefill_s`` and ``decode_s`` are means of a request.
    ``others_cpu_share`` of the machine's cores is used by processes that are not the server's.
    """

    at: float
    requests_per_s: float | None = None
    output_tokens_per_s: float | None = None
    prompt_tokens_per_s: float | None = None
    refused_per_s: float | None = None
    failed_share: float | None = None
    ttft_p50_s: float | None = None
    ttft_p95_s: float | None = None
    ttft_p99_s: float | None = None
    itl_p50_s: float | None = None
    itl_p95_s: float | None = None
    itl_p99_s: float | None = None
    e2e_p50_s: float | None = None
    e2e_p95_s: float | None = None
    e2e_p99_s: float | None = None
    running: float | None = None
    waiting: float | None = None
    queued: float | None = None
    kv_share: float | None = None
    prefix_hit_share: float | None = None
    preemptions_per_min: float | None = None
    tokens_per_step: float | None = None
    prompt_tokens_mean: float | None = None
    gate_s: float | None = None
    queue_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    gpu_share: float | None = None
    gpu_memory_share: float | None = None
    gpu_watts: float | None = None
    gpu_celsius: float | None = None
    joules_per_token: float | None = None
    engine_cpu_cores: float | None = None
    doors_cpu_cores: float | None = None
    busiest_door_cores: float | None = None
    host_cpu_share: float | None = None
    others_cpu_share: float | None = None

    @property
    def queue_share(self) -> float | None:
        """Of a request's time in front of the engine and in it."""
        parts = [part or 0.0 for part in (self.gate_s, self.queue_s, self.prefill_s, self.decode_s)]
        return sum(parts[:2]) / sum(parts) if sum(parts) else None


COLUMNS = Numbers.__struct_fields__


def of(reading: Reading, now: Counts, lately: Counts | None, minute: Counts | None, at: float) -> Numbers:
    """``lately`` and ``minute`` were counted one window ago, or as long ago as there was anything."""
    found = Numbers(at=round(at, 3), **_state(reading))
    if lately is not None and lately.at_s < now.at_s:
        _rates(found, now, lately)
    if minute is not None and minute.at_s < now.at_s:
        _latencies(found, now, minute)
        _means(found, now, minute)
    if found.gpu_watts is not None and found.output_tokens_per_s:
        found.joules_per_token = found.gpu_watts / found.output_tokens_per_s
    for name in COLUMNS:
        value = getattr(found, name)
        if value is not None and name != "at":
            setattr(found, name, float(f"{value:.6g}"))
    return found


def _state(reading: Reading) -> dict[str, float | None]:
    used, total = reading.sum("trident_gpu_memory_used_bytes"), reading.sum("trident_gpu_memory_total_bytes")
    utilization = [one.value for one in reading.samples("trident_gpu_utilization_ratio")]
    return {
        "running": reading.sum("vllm:num_requests_running"),
        "waiting": reading.sum("vllm:num_requests_waiting"),
        "queued": reading.sum("trident_admission_queued_requests"),
        "kv_share": reading.largest("vllm:kv_cache_usage_perc"),
        "gpu_share": sum(utilization) / len(utilization) if utilization else None,
        "gpu_memory_share": used / total if used is not None and total else None,
        "gpu_watts": reading.sum("trident_gpu_power_watts"),
        "gpu_celsius": reading.largest("trident_gpu_temperature_celsius"),
    }


def _rates(found: Numbers, now: Counts, before: Counts) -> None:
    passed_s = now.at_s - before.at_s

    def rate(name: str) -> float | None:
        grown = now.increase(name, before)
        return None if grown is None else grown / passed_s

    found.requests_per_s = rate("requests")
    found.output_tokens_per_s = rate("output_tokens")
    found.prompt_tokens_per_s = rate("prompt_tokens")
    found.refused_per_s = rate("refused")
    if steps := now.increase("steps", before):
        found.tokens_per_step = (now.increase("step_tokens", before) or 0.0) / steps
    if now.cpu_s:
        used = {child: max(0.0, s - before.cpu_s.get(child, s)) / passed_s for child, s in now.cpu_s.items()}
        doors = {child: cores for child, cores in used.items() if not _is_engine(child)}
        found.engine_cpu_cores = sum(used.values()) - sum(doors.values())
        found.doors_cpu_cores = sum(doors.values())
        found.busiest_door_cores = max(doors.values(), default=0.0)
        _host(found, now, before, sum(used.values()) * passed_s)


def _host(found: Numbers, now: Counts, before: Counts, own_s: float) -> None:
    total_s, idle_s = now.increase("host_s", before), now.increase("host_idle_s", before)
    if total_s and idle_s is not None:
        found.host_cpu_share = max(0.0, 1 - idle_s / total_s)
        found.others_cpu_share = max(0.0, found.host_cpu_share - own_s / total_s)


def _is_engine(child: str) -> bool:
    return "engine core" in child


def _latencies(found: Numbers, now: Counts, before: Counts) -> None:
    for name in ("ttft", "itl", "e2e"):
        lately = histogram.between(now.histograms[name], before.histograms[name])
        for percent in (50, 95, 99):
            setattr(found, f"{name}_p{percent}_s", histogram.quantile(percent / 100, lately))


def _means(found: Numbers, now: Counts, before: Counts) -> None:
    def grown(name: str) -> float:
        return now.increase(name, before) or 0.0

    finished, asked = grown("finished"), grown("requests") + grown("refused")
    if asked:
        found.failed_share = min(1.0, (grown("failed") + grown("refused")) / asked)
    if finished:
        found.queue_s = grown("queue_s") / finished
        found.prefill_s = grown("prefill_s") / finished
        found.decode_s = grown("decode_s") / finished
        found.prompt_tokens_mean = grown("finished_prompt_tokens") / finished
    if queries := grown("prefix_queries"):
        found.prefix_hit_share = grown("prefix_hits") / queries
    if admitted := grown("gate_requests"):
        found.gate_s = grown("gate_s") / admitted
    if now.increase("preemptions", before) is not None:
        found.preemptions_per_min = grown("preemptions") * 60 / (now.at_s - before.at_s)
