"""vLLM's own statistics for the relay's requests, so that ``/metrics`` tells the truth over all front doors.

The engine sends scheduler statistics to whichever front-end has output in a step, so most of them come here. They are
recorded with vLLM's own loggers into the prometheus files that the OpenAI server's ``/metrics`` reads. One record
updates some forty metrics, so steps are collected on a page that is recorded ten times a second.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import Counter as Tally
from typing import Any

from vllm.config import VllmConfig
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, EngineCoreRequest, FinishReason
from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.stats import IterationStats, LoRARequestStates, RequestStateStats, SchedulerStats

from trident.engine.tracing import Begun, Spans

RECORD_EVERY_S = 0.1


class Account:
    """What is remembered of one sequence while it runs."""

    __slots__ = ("cached_tokens", "max_tokens", "n", "prefilling", "prompt_tokens", "span", "stats")

    def __init__(self, request: EngineCoreRequest, n: int) -> None:
        params = request.sampling_params
        self.span: Begun | None = None
        self.prefilling = True
        self.prompt_tokens = len(request.prompt_token_ids or ())
        self.cached_tokens = 0
        self.max_tokens = params.max_tokens if params else None
        self.n = n
        self.stats = RequestStateStats(arrival_time=request.arrival_time)


class _Page:
    """What one engine's steps have added since the last record."""

    __slots__ = ("iteration", "step_tokens", "tokens_before")

    def __init__(self) -> None:
        self.iteration = IterationStats()
        self.step_tokens: list[int] = []
        self.tokens_before = 0

    def end_step(self) -> None:
        total = self.iteration.num_generation_tokens + self.iteration.prompt_token_stats.computed
        self.step_tokens.append(total - self.tokens_before)
        self.tokens_before = total


class _Unobserved:
    """Stands where vLLM's logger observes a value that is right for one step only."""

    def observe(self, value: float) -> None:
        """Nothing: the page has the value of each step."""


class _PageLogger(PrometheusStatLogger):
    """vLLM's logger for pages of many steps: the values that vLLM observes one by one are added bucket by bucket."""

    def __init__(self, vllm_config: VllmConfig, engine_indexes: list[int] | None = None) -> None:
        super().__init__(vllm_config, engine_indexes)
        self._iteration_tokens: dict[int, Any] = self.histogram_iteration_tokens
        self.histogram_iteration_tokens: dict[int, Any] = dict.fromkeys(self._iteration_tokens, _Unobserved())

    def record_page(self, page: _Page, engine: int) -> None:
        """All that vLLM records of iterations."""
        latencies_s, page.iteration.inter_token_latencies_iter = page.iteration.inter_token_latencies_iter, []
        self.record(None, page.iteration, engine_idx=engine)
        _observe_many(self.histogram_inter_token_latency[engine], latencies_s)
        _observe_many(self._iteration_tokens[engine], page.step_tokens)


def _observe_many(histogram: Any, values: list[float] | list[int]) -> None:
    # prometheus_client.Histogram.observe, for many values at once.
    histogram._sum.inc(sum(values))
    bounds = histogram._upper_bounds
    for bucket, count in Tally(bisect_left(bounds, value) for value in values).items():
        histogram._buckets[bucket].inc(count)


class Ledger:
    """Counts what the engine does for the relay; belongs to one event loop."""

    def __init__(self, config: VllmConfig, engines: int) -> None:
        self._logger = _PageLogger(config, list(range(engines)))
        self._spans = Spans.of(config)
        self._loras = LoRARequestStates(log_stats=True)
        self._pages: dict[int, _Page] = {}
        self._gauges: dict[int, SchedulerStats] = {}
        self._busy: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None

    def open(self, account: Account, request: EngineCoreRequest, waited_s: float) -> None:
        """A request that the engine is about to get, ``waited_s`` after it came."""
        if self._spans is not None:
            account.span = self._spans.begin(request, account.n, waited_s)

    def step(self, engine: int) -> _Page:
        """The page for a step that has just arrived."""
        page = self._pages.get(engine)
        if page is None:
            page = self._pages[engine] = _Page()
        page.iteration.iteration_timestamp = time.time()
        return page

    def end_step(self, outputs: EngineCoreOutputs, page: _Page | None) -> None:
        """Once for each message of the engine, after its outputs have been counted."""
        if page is not None:
            page.end_step()
        scheduler = outputs.scheduler_stats
        if scheduler is not None:
            self._loras.update_scheduler_stats(scheduler)
            self._busy.add(outputs.engine_index)
            if _only_gauges(scheduler):
                self._gauges[outputs.engine_index] = scheduler  # the latest says it all
            else:
                self._gauges.pop(outputs.engine_index, None)
                self._logger.record(scheduler, None, engine_idx=outputs.engine_index)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RECORD_EVERY_S, self.record)

    def record(self) -> None:
        """Writes down everything that has been counted."""
        self._timer = None
        pages, self._pages = self._pages, {}
        gauges, self._gauges = self._gauges, {}
        for engine, page in pages.items():
            self._logger.record_page(page, engine)
        for engine, scheduler in gauges.items():
            self._logger.record(scheduler, None, engine_idx=engine)

    def idle(self, engine: int) -> None:
        """The engine says that it has nothing to do. After an abort it makes no step that would tell, and the gauges
        would show the aborted request until the next one."""
        if engine in self._busy and engine not in self._gauges:
            self._busy.discard(engine)
            self._logger.record(SchedulerStats(), None, engine_idx=engine)

    def count(self, account: Account, output: EngineCoreOutput, timestamp_s: float, page: _Page) -> None:
        """One sequence's news. ``timestamp_s`` is the engine's monotonic clock."""
        stats, iteration = account.stats, page.iteration
        if account.prefilling or output.events is not None:
            if output.prefill_stats is not None:
                account.cached_tokens = output.prefill_stats.num_cached_tokens
            iteration.update_from_output(output, timestamp_s, account.prefilling, stats, self._loras, None)
            account.prefilling = False
        else:
            # What update_from_output does for a plain decode step, without its calls.
            tokens = len(output.new_token_ids)
            iteration.num_generation_tokens += tokens
            stats.num_generation_tokens += tokens
            iteration.inter_token_latencies_iter.append(timestamp_s - stats.last_token_ts)
            stats.last_token_ts = timestamp_s
        if output.finish_reason is not None:
            self._finish(account, output.request_id, output.finish_reason, iteration)

    def stopped(self, account: Account, engine: int = 0) -> None:
        """The stub has found a stop string, which the engine knows nothing of."""
        self._finish(account, "", FinishReason.STOP, self.step(engine).iteration)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RECORD_EVERY_S, self.record)

    def _finish(self, account: Account, request_id: str, reason: FinishReason, iteration: IterationStats) -> None:
        if self._spans is not None and account.span is not None:
            self._spans.end(account.span, account.stats)
        iteration.max_num_generation_tokens_iter.append(account.stats.num_generation_tokens)
        iteration.n_params_iter.append(account.n)
        iteration.update_from_finished_request(
            finish_reason=reason,
            request_id=request_id,
            num_prompt_tokens=account.prompt_tokens,
            max_tokens_param=account.max_tokens,
            req_stats=account.stats,
            num_cached_tokens=account.cached_tokens,
        )


def _only_gauges(scheduler: SchedulerStats) -> bool:
    """Nothing in it has to be added up: a later one may take its place."""
    return not (
        scheduler.prefix_cache_stats.requests
        or scheduler.prefix_cache_stats.preempted_requests
        or scheduler.prefix_cache_stats.reset
        or scheduler.connector_prefix_cache_stats
        or scheduler.kv_cache_eviction_events
        or scheduler.spec_decoding_stats
        or scheduler.kv_connector_stats
        or scheduler.ec_connector_stats
        or scheduler.cudagraph_stats
        or scheduler.perf_stats
    )
