"""What is recorded, every five seconds over the last minute: the figures of a dashboard, so that each is computed once
and has one definition. Names are ``trident:WHAT:HOW``."""

from __future__ import annotations

from trident.monitor.prometheus.rule import Need, Recording

BY_MODEL = "by (model_name)"
LATENCIES = {
    "ttft_seconds": ("vllm:time_to_first_token_seconds", "Time from a request's arrival to its first token"),
    "tpot_seconds": (
        "vllm:request_time_per_output_token_seconds",
        "Mean time per token after the first, of each request",
    ),
    "itl_seconds": ("vllm:inter_token_latency_seconds", "Time between two tokens"),
    "e2e_seconds": ("vllm:e2e_request_latency_seconds", "Time from a request's arrival to its last token"),
}
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
PARTS = {
    "queue_seconds": ("vllm:request_queue_time_seconds", "Time of a request in vLLM's queue"),
    "prefill_seconds": ("vllm:request_prefill_time_seconds", "Time of a request in prefill"),
    "decode_seconds": ("vllm:request_decode_time_seconds", "Time of a request in decode"),
    "admission_seconds": ("trident_admission_wait_seconds", "Time of a request of KServe in front of the engine"),
    "batch_tokens": ("vllm:iteration_tokens_total", "Tokens of an engine's step"),
    "prompt_tokens_each": ("vllm:request_prompt_tokens", "Tokens of a prompt"),
    "output_tokens_each": ("vllm:request_generation_tokens", "Tokens of an answer"),
}
"""Means: where the time of a request goes, and what requests are like."""


def refused(window: str) -> str:
    """The rates of all counters of refused requests; they differ in their labels, so that ``or`` keeps them all."""
    openai = f'label_replace(rate(trident_openai_refused_total[{window}]), "reason", "openai", "", "")'
    return f"rate(trident_admission_refused_total[{window}]) or {openai}"


def _rate(record: str, series: str, about: str, by: str = BY_MODEL, needs: Need = "") -> Recording:
    return Recording(f"trident:{record}:rate1m", f"sum {by} (rate({series}[1m]))", f"{about}, per second", needs=needs)


def _quantiles() -> list[Recording]:
    return [
        Recording(
            f"trident:{record}:{name}_1m",
            f"histogram_quantile({quantile}, sum by (model_name, le) (rate({family}_bucket[1m])))",
            f"{about}: the {quantile:g} quantile, in seconds",
        )
        for record, (family, about) in LATENCIES.items()
        for name, quantile in QUANTILES.items()
    ]


def _means() -> list[Recording]:
    return [
        Recording(
            f"trident:{record}:mean_1m",
            f"sum {BY_MODEL} (rate({family}_sum[1m])) / (sum {BY_MODEL} (rate({family}_count[1m])) > 0)",
            f"{about}, mean",
        )
        for record, (family, about) in PARTS.items()
    ]


RECORDINGS: tuple[Recording, ...] = (
    _rate("requests", "vllm:request_success_total", "Requests that have ended"),
    _rate("prompt_tokens", "vllm:prompt_tokens_total", "Tokens of prompts"),
    _rate("output_tokens", "vllm:generation_tokens_total", "Tokens made"),
    _rate("preemptions", "vllm:num_preemptions_total", "Requests put back for want of KV cache"),
    Recording(
        "trident:refused:rate1m",
        f"sum {BY_MODEL} ({refused('1m')})",
        "Requests refused under overload, at both doors, per second",
    ),
    Recording(
        "trident:errors:rate1m",
        f'sum {BY_MODEL} (rate(vllm:request_success_total{{finished_reason="error"}}[1m]) or {refused("1m")}'
        ' or rate(http_requests_total{status="5xx"}[1m]))',
        "Requests that got no answer: ended by an error, refused under overload, or 5xx at the OpenAI door, per second",
    ),
    *_quantiles(),
    *_means(),
    Recording("trident:running_requests:sum", f"sum {BY_MODEL} (vllm:num_requests_running)", "Requests in the batch"),
    Recording(
        "trident:waiting_requests:sum",
        # "or" leaves out what has the same labels, so that one of the two gets a label more.
        f"sum {BY_MODEL} (vllm:num_requests_waiting"
        ' or label_replace(trident_admission_queued_requests, "at", "kserve", "", "")'
        ' or label_replace(trident_openai_queued_requests, "at", "openai", "", ""))',
        "Requests that wait, in vLLM and in front of it at both doors",
    ),
    Recording("trident:kv_cache_usage:max", f"max {BY_MODEL} (vllm:kv_cache_usage_perc)", "KV cache in use, 0 to 1"),
    Recording(
        "trident:prefix_cache_hits:ratio5m",
        f"sum {BY_MODEL} (rate(vllm:prefix_cache_hits_total[5m]))"
        f" / (sum {BY_MODEL} (rate(vllm:prefix_cache_queries_total[5m])) > 0)",
        "Part of the prompts' tokens that was in the prefix cache, 0 to 1",
    ),
    Recording(
        "trident:child_cpu_cores:rate1m",
        "sum by (child) (rate(trident_process_cpu_seconds_total[1m]))",
        "Cores that a process keeps busy",
    ),
    Recording(
        "trident:host_cpu_busy:ratio1m",
        '1 - sum(rate(trident_host_cpu_seconds_total{mode=~"idle|iowait"}[1m]))'
        " / sum(rate(trident_host_cpu_seconds_total[1m]))",
        "Part of the machine's cores that is busy, 0 to 1",
    ),
    Recording(
        "trident:gpu_power_watts:sum", "sum(trident_gpu_power_watts)", "Power of all GPUs, in watts", needs="gpu"
    ),
    Recording(
        "trident:gpu_joules_per_output_token:ratio1m",
        "sum(rate(trident_gpu_energy_joules_total[1m])) / (sum(rate(vllm:generation_tokens_total[1m])) > 0)",
        "Energy of all GPUs for a token made, in joules",
        needs="gpu",
    ),
)
