"""What is kept of a reading for as long as rates and quantiles look back."""

from __future__ import annotations

from trident.monitor.histogram import Buckets
from trident.monitor.reading import Reading

COUNTERS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "requests": (("vllm:request_success_total", {}),),
    "failed": (
        ("vllm:request_success_total", {"finished_reason": "error"}),
        ("http_requests_total", {"status": "5xx"}),
        ("nv_inference_request_failure", {"reason": "REJECTED"}),
    ),
    "refused": (("trident_admission_refused_total", {}), ("vllm:admission_rejections_total", {})),
    "output_tokens": (("vllm:generation_tokens_total", {}),),
    "prompt_tokens": (("vllm:prompt_tokens_total", {}),),
    "prefix_hits": (("vllm:prefix_cache_hits_total", {}),),
    "prefix_queries": (("vllm:prefix_cache_queries_total", {}),),
    "preemptions": (("vllm:num_preemptions_total", {}),),
    "steps": (("vllm:iteration_tokens_total_count", {}),),
    "step_tokens": (("vllm:iteration_tokens_total_sum", {}),),
    "finished": (("vllm:e2e_request_latency_seconds_count", {}),),
    "queue_s": (("vllm:request_queue_time_seconds_sum", {}),),
    "prefill_s": (("vllm:request_prefill_time_seconds_sum", {}),),
    "decode_s": (("vllm:request_decode_time_seconds_sum", {}),),
    "gate_s": (("trident_admission_wait_seconds_sum", {}),),
    "gate_requests": (("trident_admission_wait_seconds_count", {}),),
    "finished_prompt_tokens": (("vllm:request_prompt_tokens_sum", {}),),
    "host_s": (("trident_host_cpu_seconds_total", {}),),
    "host_idle_s": (
        ("trident_host_cpu_seconds_total", {"mode": "idle"}),
        ("trident_host_cpu_seconds_total", {"mode": "iowait"}),
    ),
}
"""Each is the sum over these families and labels; one of which nothing is there is left out."""

HISTOGRAMS = {
    "ttft": "vllm:time_to_first_token_seconds",
    "itl": "vllm:inter_token_latency_seconds",
    "tpot": "vllm:request_time_per_output_token_seconds",
    "e2e": "vllm:e2e_request_latency_seconds",
}

CPU = "trident_process_cpu_seconds_total"


class Counts:
    """Counters by our name, histograms by ours, CPU seconds by process."""

    __slots__ = ("at_s", "cpu_s", "histograms", "values")

    def __init__(self, reading: Reading) -> None:
        self.at_s = reading.at_s
        self.values = {name: value for name in COUNTERS if (value := counter(reading, name)) is not None}
        self.histograms: dict[str, Buckets] = {name: reading.buckets(family) for name, family in HISTOGRAMS.items()}
        self.cpu_s: dict[str, float] = {}
        for one in reading.samples(CPU):
            child = one.labels.get("child", "")
            self.cpu_s[child] = self.cpu_s.get(child, 0.0) + one.value

    def increase(self, name: str, before: Counts) -> float | None:
        """How much a counter has grown since; from zero when it has begun anew. None when it is not there."""
        now = self.values.get(name)
        if now is None:
            return None
        then = before.values.get(name, 0.0)
        return now - then if now >= then else now


def counter(reading: Reading, name: str) -> float | None:
    """The sum that stands for one of ``COUNTERS``."""
    parts = [reading.sum(family, **labels) for family, labels in COUNTERS[name]]
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
