"""What came in, and what was turned away: each front door, and the queue behind KServe's."""

from __future__ import annotations

from trident.monitor.grafana.design import promql as q
from trident.monitor.grafana.design.frame import Row, page
from trident.monitor.grafana.design.panels import PER_S, Line, Panel, chart, quantiles

UID = "trident-doors"
HTTP = "http_requests_total"


def build() -> str:
    """The dashboard as JSON."""
    rows: list[Row] = [("OpenAI door", _openai()), ("KServe", _kserve()), ("In front of the engine", _admission())]
    about = "What came in at each front door, and what was refused."
    return page(UID, "Trident / Front doors", about, rows)


def _openai() -> list[Panel]:
    seconds = "http_request_duration_seconds"
    return [
        chart("Answers", "By class of status.", [Line(q.rate(HTTP, "status", q.TARGET), "{{status}}")], "reqps",
              is_stacked=True),
        chart("Paths", "Requests by path.", [Line(q.rate(HTTP, "handler", q.TARGET), "{{handler}}")], "reqps",
              is_stacked=True),
        chart("Time of an answer", "Mean by path, to the end of a stream.",
              [Line(q.mean(seconds, "handler", q.TARGET), "{{handler}}")], "s"),
    ]  # fmt: skip


def _kserve() -> list[Panel]:
    failures = "nv_inference_request_failure"
    return [
        chart("Requests", "That Triton has handed to a contract.",
              [Line(q.rate("nv_inference_count", "model", q.TARGET), "{{model}}")], "reqps", is_stacked=True),
        chart("Failures that Triton sees", "Refused by Triton itself, or ended by it. An error of the engine is no "
              "failure to Triton 2.51; it is in the overview.",
              [Line(q.rate(failures, "model, reason", q.TARGET), "{{model}} {{reason}}")], PER_S),
        chart("Waiting in Triton", "Requests that no stub has taken yet.",
              [Line(q.gauge("nv_inference_pending_request_count", by="model", scope=q.TARGET), "{{model}}")], "none"),
    ]  # fmt: skip


def _admission() -> list[Panel]:
    return [
        chart("Requests in the queue", "KServe's, in front of each engine.",
              [Line(q.gauge("trident_admission_queued_requests", by="model_name"), "{{model_name}}")], "none", width=6),
        chart("Tokens in the queue", "Of the prompts that wait; four bytes count as one.",
              [Line(q.gauge("trident_admission_queued_tokens", by="model_name"), "{{model_name}}")], "suffix: tok",
              width=6),
        chart("Wait for a turn", "Of KServe's requests.", quantiles(q, "trident_admission_wait_seconds"), "s", width=6),
        chart("Refused", "requests, tokens, bytes: the queue was full. displaced: by another client's. wait, deadline: "
              "its turn would come too late.",
              [Line(q.rate("trident_admission_refused_total", "reason"), "{{reason}}")], PER_S, width=6),
    ]  # fmt: skip
