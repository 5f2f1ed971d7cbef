"""What vLLM's own dashboards ask of a Prometheus: facts about the files of
``examples/observability/dashboards/grafana`` in vllm-project/vllm, read there in November 2026 (commit 0b9faa41).

Each line is a family, how it is asked for, and the labels that are compared or grouped by beside ``job``, ``instance``
and, for ``vllm:*``, ``model_name``. Rows of features that a server must be started with are collapsed there and have no
line here: KV connectors, NIXL, offloading, block residency, speculative decoding, LoRA, sleep, weight updates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

How = Literal["gauge", "counter", "histogram", "info"]
TARGET = 'job=~".*", instance=~".*"'


class Asked(NamedTuple):
    """One family. ``labels`` are grouped by; ``values`` are compared with, each of them."""

    family: str
    how: How
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    def queries(self, window: str) -> Iterator[str]:
        """In the form in which the dashboards ask."""
        of_vllm = self.family.startswith("vllm:") and self.how != "info"
        scope = TARGET + (', model_name=~".*"' if of_vllm else "")
        by = f"by ({', '.join(self.labels)}) " if self.labels else ""
        for value in self.values or ("",):
            only = f"{{{scope}{', ' + value if value else ''}}}"
            if self.how == "counter":
                yield f"sum {by}(rate({self.family}{only}[{window}]))"
            elif self.how == "histogram":
                yield from self._of_histogram(only, window)
            else:
                yield f"sum {by}({self.family}{only})"

    def _of_histogram(self, only: str, window: str) -> Iterator[str]:
        groups = ", ".join(("le", *self.labels))
        by = f"by ({', '.join(self.labels)}) " if self.labels else ""
        yield f"histogram_quantile(0.95, sum by ({groups}) (rate({self.family}_bucket{only}[{window}])))"
        if "le=" not in only:
            part, whole = (f"sum {by}(rate({self.family}_{of}{only}[{window}]))" for of in ("sum", "count"))
            yield f"{part} / ({whole} > 0)"


ENGINE = ("instance", "engine")
MODEL = ("model_name", "instance")
TTFT_BOUNDS = tuple(f'le="{bound}"' for bound in ("0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "10.0"))
TPOT_BOUNDS = tuple(f'le="{bound}"' for bound in ("0.025", "0.05", "0.075", "0.1", "0.15", "0.2", "0.3", "0.5"))

WAITING = ('reason="capacity"', 'reason="deferred"')

ASKED = (
    Asked("vllm:num_requests_running", "gauge", (*MODEL, "engine")),
    Asked("vllm:num_requests_waiting", "gauge", ENGINE),
    Asked(
        "vllm:num_requests_waiting_by_reason", "gauge", (*ENGINE, "reason"), ('reason="capacity"', 'reason="deferred"')
    ),
    Asked("vllm:kv_cache_usage_perc", "gauge", ENGINE),
    Asked("vllm:num_preemptions_total", "counter", ENGINE),
    Asked("vllm:prefix_cache_hits_total", "counter", ENGINE),
    Asked("vllm:prefix_cache_queries_total", "counter", ENGINE),
    Asked("vllm:external_prefix_cache_hits_total", "counter"),
    Asked("vllm:external_prefix_cache_queries_total", "counter"),
    Asked("vllm:mm_cache_hits_total", "counter"),
    Asked("vllm:mm_cache_queries_total", "counter"),
    Asked("vllm:prompt_tokens_total", "counter", ENGINE),
    Asked("vllm:prompt_tokens_cached_total", "counter"),
    Asked("vllm:prompt_tokens_cached_by_source_total", "counter", ("source",)),
    Asked(
        "vllm:prompt_tokens_by_source_total",
        "counter",
        (),
        ('source="local_compute"', 'source="local_cache_hit"', 'source="external_kv_transfer"'),
    ),
    Asked("vllm:generation_tokens_total", "counter", ENGINE),
    Asked("vllm:request_success_total", "counter", ("finished_reason",)),
    Asked("vllm:request_success_total", "counter", ("model_name",), ('finished_reason="error"',)),
    Asked("vllm:estimated_flops_per_gpu_total", "counter", ENGINE),
    Asked("vllm:estimated_read_bytes_per_gpu_total", "counter", ENGINE),
    Asked("vllm:estimated_write_bytes_per_gpu_total", "counter", ENGINE),
    Asked("vllm:engine_sleep_state", "gauge", ENGINE, ('sleep_state="awake"', 'sleep_state="discard_all"')),
    Asked("vllm:time_to_first_token_seconds", "histogram", MODEL),
    Asked("vllm:time_to_first_token_seconds_bucket", "counter", (), TTFT_BOUNDS),
    Asked("vllm:inter_token_latency_seconds", "histogram", MODEL),
    Asked("vllm:request_time_per_output_token_seconds", "histogram"),
    Asked("vllm:request_time_per_output_token_seconds_bucket", "counter", (), TPOT_BOUNDS),
    Asked("vllm:e2e_request_latency_seconds", "histogram", MODEL),
    Asked("vllm:request_queue_time_seconds", "histogram", ("instance",)),
    Asked("vllm:request_prefill_time_seconds", "histogram"),
    Asked("vllm:request_decode_time_seconds", "histogram"),
    Asked("vllm:iteration_tokens_total", "histogram", ENGINE),
    Asked("vllm:request_prompt_tokens", "histogram"),
    Asked("vllm:request_prefill_kv_computed_tokens", "histogram"),
    Asked("vllm:request_generation_tokens", "histogram"),
    Asked("vllm:cache_config_info", "info", (*ENGINE, "num_gpu_blocks", "block_size", "cache_dtype")),
    Asked("http_requests_total", "counter", ("status", "handler")),
    Asked("http_request_duration_seconds_sum", "counter", ("handler",)),
    Asked("http_request_duration_seconds_count", "counter", ("handler",)),
    Asked("process_start_time_seconds", "gauge", ("instance",)),
    Asked("process_cpu_seconds_total", "counter", ("instance",)),
    Asked("process_resident_memory_bytes", "gauge", ("instance",)),
    Asked("process_open_fds", "gauge", ("instance",)),
    Asked("process_max_fds", "gauge", ("instance",)),
    Asked("up", "gauge"),
)

FEATURES = (
    *("vllm:kv_block_", "vllm:nixl_", "vllm:kv_offload_", "vllm:simple_kv_offload_", "vllm:num_requests_kv_fetch_"),
    *("vllm:spec_decode_", "vllm:lora_", "vllm:sleep_mode_", "vllm:rl_weight_update_"),
)
"""Beginnings of families that exist only where the server was started with their feature, or has used it."""
