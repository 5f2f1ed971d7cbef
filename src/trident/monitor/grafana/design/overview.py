"""Is it well? For everybody: traffic, latency, promises, load."""

from __future__ import annotations

from trident.monitor.grafana.design import promql as q
from trident.monitor.grafana.design.frame import Row, choice, page
from trident.monitor.grafana.design.panels import (
    FILLS_UP,
    GOOD_IS_HIGH,
    GOOD_IS_NONE,
    PER_S,
    SHARE,
    TOKENS_PER_S,
    Line,
    Panel,
    chart,
    heat,
    quantiles,
    rows_of,
    tile,
)

UID = "trident-overview"
TTFT_BOUNDS = ("0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0")
TPOT_BOUNDS = ("0.01", "0.025", "0.05", "0.1", "0.2", "0.5")
BOUND = "A bound of the histogram: add your own with slo_ttft_s and slo_tpot_s."
REFUSED = "trident_admission_refused_total"


def build() -> str:
    """The dashboard as JSON."""
    rows: list[Row] = [("Now", _now()), ("Latency", _latency()), ("Traffic", _traffic()), ("Alerts", _alerts())]
    variables = [
        choice("ttft_bound_s", "TTFT promise (s)", BOUND, TTFT_BOUNDS, "1.0"),
        choice("tpot_bound_s", "TPOT promise (s)", BOUND, TPOT_BOUNDS, "0.1"),
    ]
    about = "Is the service well: traffic, latency, promises and load of every front door together."
    return page(UID, "Trident / Overview", about, rows, variables)


def _now() -> list[Panel]:
    error = q.rate(q.FINISHED, only='finished_reason="error"')
    return [
        tile("Serving", "1 when all parts of the server do what they should.",
             q.gauge("trident_server_ready", "min", scope=q.TARGET), "none", steps=(("red", None), ("green", 1))),
        tile("Requests", "Requests that ended, however.", q.rate(q.FINISHED), "reqps"),
        tile("Output", "Tokens made.", q.rate("vllm:generation_tokens_total"), TOKENS_PER_S),
        tile("TTFT p95", "Until the first token, the wait for a turn included.", q.quantile(0.95, q.TTFT), "s"),
        tile("TPOT p95", "Mean time per token after the first, of each request.", q.quantile(0.95, q.TPOT), "s"),
        tile("TTFT promise", "Part of the requests whose first token came within the bound chosen above.",
             q.within(q.TTFT, "$ttft_bound_s"), SHARE, steps=GOOD_IS_HIGH),
        tile("TPOT promise", "Part of the requests whose tokens came within the bound chosen above.",
             q.within(q.TPOT, "$tpot_bound_s"), SHARE, steps=GOOD_IS_HIGH),
        tile("Failed or refused", "Requests that the engine could not finish, and those that were refused under "
             "overload.", f"{error} + {q.rate(REFUSED)}", PER_S, steps=GOOD_IS_NONE),
        tile("Running", "Sequences in the engines' batches.", q.gauge("vllm:num_requests_running"), "none"),
        tile("Waiting inside", "Requests in vLLM's own queue.", q.gauge("vllm:num_requests_waiting"), "none"),
        tile("Waiting in front", "KServe's requests that wait for their turn in front of the engine.",
             q.gauge("trident_admission_queued_requests"), "none"),
        tile("KV cache", "Of the fullest engine.", q.gauge("vllm:kv_cache_usage_perc", "max"), SHARE, steps=FILLS_UP),
        tile("Preemptions", "Requests put back for lack of KV cache; their tokens are computed again.",
             q.rate("vllm:num_preemptions_total"), PER_S, steps=GOOD_IS_NONE),
        tile("Prefix cache", "Part of the prompts' tokens that were there already.",
             q.ratio(q.rate("vllm:prefix_cache_hits_total"), q.rate("vllm:prefix_cache_queries_total")), SHARE),
        tile("Children down", "Processes of the server that do not serve now.",
             f"count(trident_child_up{{{q.TARGET}}} == 0) or vector(0)", "none", steps=GOOD_IS_NONE),
        tile("Restarts, 1 h", "Of all processes of the server.",
             f"sum(increase(trident_child_restarts_total{{{q.TARGET}}}[1h]))", "none", steps=GOOD_IS_NONE),
    ]  # fmt: skip


def _latency() -> list[Panel]:
    parts = [
        Line(q.mean("vllm:request_queue_time_seconds"), "queue"),
        Line(q.mean("vllm:request_prefill_time_seconds"), "prefill"),
        Line(q.mean("vllm:request_decode_time_seconds"), "decode"),
        Line(q.mean("trident_admission_wait_seconds"), "in front of the engine (KServe)"),
    ]
    return [
        chart("Time to first token", "From the arrival, the wait for a turn included.", quantiles(q, q.TTFT), "s"),
        chart("Time per output token", "Mean of each request, after its first token.", quantiles(q, q.TPOT), "s"),
        chart("Whole request", "From the arrival to the last token.", quantiles(q, q.E2E), "s"),
        heat("Time to first token, all of them", "Requests per second by the time until their first token.",
             q.buckets(q.TTFT), "s"),
        heat("Between tokens, all of them", "Tokens per second by the time since the one before.", q.buckets(q.ITL),
             "s"),
        chart("Where the time goes", "Means of a request's parts.", parts, "s", is_stacked=True),
    ]  # fmt: skip


def _traffic() -> list[Panel]:
    tokens = [
        Line(q.rate("vllm:prompt_tokens_total", "model_name"), "{{model_name}} in"),
        Line(q.rate("vllm:generation_tokens_total", "model_name"), "{{model_name}} out"),
    ]
    load = [
        Line(q.gauge("vllm:num_requests_running"), "running"),
        Line(q.gauge("vllm:num_requests_waiting"), "waiting in vLLM"),
        Line(q.gauge("trident_admission_queued_requests"), "waiting in front"),
    ]
    return [
        chart("Tokens", "Of prompts and of answers, by model.", tokens, TOKENS_PER_S),
        chart("Requests by their end", "stop, length: as asked. abort: the client has left. error: the engine failed.",
              [Line(q.rate(q.FINISHED, "finished_reason"), "{{finished_reason}}")], "reqps", is_stacked=True),
        chart("Load", "What is worked on, and what waits where.", load, "none"),
    ]  # fmt: skip


def _alerts() -> list[Panel]:
    labels = {"alertname": "Alert", "alertstate": "State", "severity": "Severity", "instance": "Server"}
    return [rows_of("Alerts", "Of Trident's rules in this Prometheus, now.", "ALERTS", labels)]
