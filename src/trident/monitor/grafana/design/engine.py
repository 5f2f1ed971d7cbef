"""Why is it slow? vLLM's engine: its batch, its memory, its cache."""

from __future__ import annotations

from trident.monitor.grafana.design import promql as q
from trident.monitor.grafana.design.frame import Row, page
from trident.monitor.grafana.design.panels import (
    PER_S,
    SHARE,
    TOKENS_PER_S,
    Line,
    Panel,
    chart,
    heat,
    quantiles,
    rows_of,
)

UID = "trident-engine"
STEP = "vllm:iteration_tokens_total"
ENGINE = "model_name, engine"
BY_ENGINE = "{{model_name}} {{engine}}"


def build() -> str:
    """The dashboard as JSON."""
    rows: list[Row] = [
        ("Batch", _batch()),
        ("KV cache", _cache()),
        ("Requests", _requests()),
        ("Speculative decoding (nothing without it)", _guesses()),
        ("Configuration", _configuration()),
    ]
    about = "Why it is slow: batch, queue, KV cache and the shape of the requests, by engine."
    return page(UID, "Trident / Engine", about, rows)


def _batch() -> list[Panel]:
    waiting = [Line(q.gauge("vllm:num_requests_waiting_by_reason", by="reason"), "{{reason}}")]
    return [
        chart("Running", "Sequences in the batch. At max_num_seqs no other one gets in.",
              [Line(q.gauge("vllm:num_requests_running", by=ENGINE), BY_ENGINE)], "none"),
        chart("Waiting in vLLM", "capacity: for room in the batch or the KV cache. deferred: for an adapter or a "
              "transfer.", waiting, "none"),
        chart("Steps", "Of the engine's scheduler.", [Line(q.rate(f"{STEP}_count", ENGINE), BY_ENGINE)], PER_S),
        chart("Tokens per step", "Prefill and decode together, at most max_num_batched_tokens.", quantiles(q, STEP),
              "none"),
        chart("Between tokens", "Time from one output of a request to its next.", quantiles(q, q.ITL), "s"),
        chart("Wait in vLLM", "From when the engine had a request until it began with it.",
              quantiles(q, "vllm:request_queue_time_seconds"), "s"),
    ]  # fmt: skip


def _cache() -> list[Panel]:
    hits = q.ratio(q.rate("vllm:prefix_cache_hits_total", ENGINE), q.rate("vllm:prefix_cache_queries_total", ENGINE))
    return [
        chart("KV cache", "Part of its blocks in use.",
              [Line(q.gauge("vllm:kv_cache_usage_perc", "max", ENGINE), BY_ENGINE)], SHARE, most=1),
        chart("Preemptions", "A full cache puts requests back: fewer at once (max_num_seqs) may be faster.",
              [Line(q.rate("vllm:num_preemptions_total", ENGINE), BY_ENGINE)], PER_S),
        chart("Prefix cache", "Part of the prompts' tokens that were found.", [Line(hits, BY_ENGINE)], SHARE, most=1),
        chart("Where prompts' tokens come from", "Computed, found in the prefix cache, or brought from elsewhere.",
              [Line(q.rate("vllm:prompt_tokens_by_source_total", "source"), "{{source}}")], TOKENS_PER_S, width=12,
              is_stacked=True),
        chart("Prompt, and what of it was computed", "Means of a request; the difference is what the caches saved.",
              [Line(q.mean("vllm:request_prompt_tokens"), "prompt"),
               Line(q.mean("vllm:request_prefill_kv_computed_tokens"), "computed")], "none", width=12),
    ]  # fmt: skip


def _requests() -> list[Panel]:
    return [
        chart("Tokens of prompts", "Of requests that ended.", quantiles(q, "vllm:request_prompt_tokens"), "none"),
        chart("Tokens of answers", "Of requests that ended.", quantiles(q, "vllm:request_generation_tokens"), "none"),
        chart("max_tokens", "As it was asked for.", quantiles(q, "vllm:request_params_max_tokens"), "none"),
        heat("Whole request", "Requests per second by their whole time.", q.buckets(q.E2E), "s"),
        chart("Prefill", "Of a request: from its beginning to its first token.",
              quantiles(q, "vllm:request_prefill_time_seconds"), "s"),
        chart("Decode", "Of a request: from its first token to its last.",
              quantiles(q, "vllm:request_decode_time_seconds"), "s"),
    ]  # fmt: skip


def _guesses() -> list[Panel]:
    accepted, drafts = "vllm:spec_decode_num_accepted_tokens_total", "vllm:spec_decode_num_drafts_total"
    guessed = "vllm:spec_decode_num_draft_tokens_total"
    return [
        chart("Accepted guesses", "Part of the guessed tokens that the model itself would have made.",
              [Line(q.ratio(q.rate(accepted, "model_name"), q.rate(guessed, "model_name")), "{{model_name}}")], SHARE,
              width=12, most=1),
        chart("Tokens per step and request", "One, and the guesses that were accepted.",
              [Line(f"1 + {q.ratio(q.rate(accepted, 'model_name'), q.rate(drafts, 'model_name'))}", "{{model_name}}")],
              "none", width=12),
    ]  # fmt: skip


def _configuration() -> list[Panel]:
    labels = {
        "instance": "Server",
        "engine": "Engine",
        "num_gpu_blocks": "KV blocks",
        "block_size": "Tokens per block",
        "cache_dtype": "Type",
        "gpu_memory_utilization": "Part of the memory",
        "enable_prefix_caching": "Prefix cache",
    }
    return [rows_of("KV cache", "As vLLM has set it up.", f"vllm:cache_config_info{{{q.TARGET}}}", labels)]
