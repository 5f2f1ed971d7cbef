"""vLLM's own statistics for the relay's requests, so that ``/metrics`` tells the truth over all front doors.

The engine sends scheduler statistics to whichever front-end has output in a step, so most of them come here. They are
recorded with vLLM's own loggers into the prometheus files that the OpenAI server's ``/metrics`` reads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from typing import Any

from vllm.config import VllmConfig
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, EngineCoreRequest, FinishReason
from vllm.v1.metrics.loggers import PrometheusStatLogger, StatLoggerManager
from vllm.v1.metrics.stats import IterationStats, LoRARequestStates, RequestStateStats


class Account:
    """What is remembered of one sequence while it runs."""

    __slots__ = ("cached_tokens", "max_tokens", "n", "prefilling", "prompt_tokens", "stats")

    def __init__(self, request: EngineCoreRequest, n: int) -> None:
        params = request.sampling_params
        self.prefilling = True
        self.prompt_tokens = len(request.prompt_token_ids or ())
        self.cached_tokens = 0
        self.max_tokens = params.max_tokens if params else None
        self.n = n
        self.stats = RequestStateStats(arrival_time=request.arrival_time)


class _StepwiseLogger(PrometheusStatLogger):
    """vLLM's logger, observing the inter-token latencies of a step bucket by bucket.

    One ``observe`` a token is the dearest thing the relay would do; the sums and counts are the same.
    """

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: IterationStats | None,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        """As vLLM's."""
        latencies_s: list[float] = []
        if iteration_stats is not None:
            latencies_s, iteration_stats.inter_token_latencies_iter = iteration_stats.inter_token_latencies_iter, []
        super().record(scheduler_stats, iteration_stats, mm_cache_stats=mm_cache_stats, engine_idx=engine_idx)
        if latencies_s:
            _observe_many(self.histogram_inter_token_latency[engine_idx], latencies_s)


def _observe_many(histogram: Any, values: list[float]) -> None:
    # prometheus_client.Histogram.observe, for many values at once.
    histogram._sum.inc(sum(values))
    bounds = histogram._upper_bounds
    for bucket, count in Tally(bisect_left(bounds, value) for value in values).items():
        histogram._buckets[bucket].inc(count)


class Ledger:
    """Collects one step's statistics and records them."""

    def __init__(self, config: VllmConfig, engines: int) -> None:
        self._manager = StatLoggerManager(
            vllm_config=config,
            engine_idxs=list(range(engines)),
            custom_stat_loggers=[_StepwiseLogger],
            enable_default_loggers=False,
        )
        self._loras = LoRARequestStates(log_stats=True)
        self._late: list[tuple[Account, FinishReason]] = []

    def record(self, outputs: EngineCoreOutputs, step: IterationStats | None) -> None:
        """Once for each message of the engine."""
        if step is not None:
            for account, reason in self._late:
                self._finish(account, "", reason, step)
            self._late.clear()
        self._loras.update_scheduler_stats(outputs.scheduler_stats)
        self._manager.record(outputs.scheduler_stats, step, engine_idx=outputs.engine_index)

    def count(self, account: Account, output: EngineCoreOutput, timestamp_s: float, step: IterationStats) -> None:
        """One sequence's news. ``timestamp_s`` is the engine's monotonic clock."""
        stats = account.stats
        if account.prefilling or output.events is not None:
            if output.prefill_stats is not None:
                account.cached_tokens = output.prefill_stats.num_cached_tokens
            step.update_from_output(output, timestamp_s, account.prefilling, stats, self._loras, None)
            account.prefilling = False
        else:
            # What update_from_output does for a plain decode step, without its calls.
            tokens = len(output.new_token_ids)
            step.num_generation_tokens += tokens
            stats.num_generation_tokens += tokens
            step.inter_token_latencies_iter.append(timestamp_s - stats.last_token_ts)
            stats.last_token_ts = timestamp_s
        if output.finish_reason is not None:
            self._finish(account, output.request_id, output.finish_reason, step)

    def stopped(self, account: Account) -> None:
        """The stub has found a stop string; counted with the next step."""
        self._late.append((account, FinishReason.STOP))

    @staticmethod
    def _finish(account: Account, request_id: str, reason: FinishReason, step: IterationStats) -> None:
        step.max_num_generation_tokens_iter.append(account.stats.num_generation_tokens)
        step.n_params_iter.append(account.n)
        step.update_from_finished_request(
            finish_reason=reason,
            request_id=request_id,
            num_prompt_tokens=account.prompt_tokens,
            max_tokens_param=account.max_tokens,
            req_stats=account.stats,
            num_cached_tokens=account.cached_tokens,
        )
