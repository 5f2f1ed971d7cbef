"""A result folder and what is in it.

``result.json``          this module's ``Result``; its presence means that the folder is whole
``points.csv``           one row for each point, flat
``requests.csv``         one row for each request: ``RequestRow``
``arrivals.npz``         when each token event of each request arrived (``Arrivals``): distributions, timeline
``server_metrics.jsonl`` one ``Scrape`` a line

Times named ``_ns`` are integers of nanoseconds since the run's origin (``Result.origin_ns`` on the monotonic clock of
that machine, ``Result.started_at`` on the wall clock). Readers refuse another major ``SCHEMA_VERSION``; fields are
only added within one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trident.bench.plan import Load, Slo, StopRules, Target, Workload

SCHEMA_VERSION = 1
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}
CONFIDENCE = 0.95

Phase = Literal["warmup", "measured"]
Status = Literal["ok", "error", "unfinished"]
CountSource = Literal["server", "tokenizer", "estimate"]


class Estimate(msgspec.Struct, frozen=True):
    """A value with its bootstrap interval at ``CONFIDENCE``; without one where there are too few samples for it."""

    value: float
    low: float | None = None
    high: float | None = None


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Samples of one metric in ``unit``. A percentile is None when fewer than one of the ``n`` samples lies beyond it
    (p99 needs 100, p99.9 needs 1000): such a number would be the maximum under another name."""

    unit: str
    n: int
    mean: Estimate | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    p50: Estimate | None = None
    p90: Estimate | None = None
    p95: Estimate | None = None
    p99: Estimate | None = None
    p99_9: Estimate | None = None


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """An amount per second (or a share, where ``unit`` says so), with an interval from equal slices of the window."""

    unit: str
    value: float
    low: float | None = None
    high: float | None = None


class ErrorCount(msgspec.Struct, frozen=True, kw_only=True):
    """Failures of one kind: ``connect``, ``timeout``, ``disconnected``, ``http_503``, ``grpc_unavailable``,
    ``server_error`` (said inside a stream), ``protocol``, ``empty`` (an answer without a token)."""

    kind: str
    count: int
    example: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Measured requests: ``sent = ok + errors + unfinished``; ``unfinished`` were in flight when the run was over and
    were cut off. The warm-up is apart."""

    sent: int
    ok: int
    errors: int
    unfinished: int
    warmup_sent: int = 0
    warmup_errors: int = 0


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The steady state: from the first measured request's sending to the end of sending, before the drain.

    Latencies are of all requests sent in it, however late they end; rates are of what arrived in it. ``run_end_ns`` is
    the end of the last request.
    """

    start_ns: int
    end_ns: int
    run_end_ns: int

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


class WorkerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One client process. ``cpu_share`` is of one core, over the whole of the load."""

    pid: int
    requests: int
    cpu_share: float
    loop_lag_p99_ms: float
    send_lag_p99_ms: float


class ClientHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the client kept up.

    ``send_lag``: sent minus scheduled (closed loop: minus the end of the answer before it). ``loop_lag``: how late a
    timer of the client's loop fires, which is how late a read can be stamped. ``coalesced_share``: token events that
    came in one read with another of the same request; ITL percentiles mean little when this is large.
    ``client_bound``: a lag's p99 was above ``lag_limit_ms`` or a worker above 90 % of a core; ``reasons`` say which.
    """

    client_bound: bool
    reasons: list[str]
    lag_limit_ms: float
    send_lag: Distribution
    loop_lag: Distribution
    coalesced_share: float
    cpu_us_per_token: float | None
    workers: list[WorkerHealth]


class TokenCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of the measured requests that were answered, and who counted them."""

    input_tokens: int
    output_tokens: int
    input_source: CountSource
    output_source: CountSource


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One load level. Keys of ``distributions``: ttft, tpot, itl, e2e, e2e_from_schedule, input_tokens, output_tokens.
    Keys of ``rates``: request_throughput, output_token_throughput, total_token_throughput, and with SLOs goodput
    (requests/s) and goodput_share. ``whole_run_rates`` are vLLM's: all tokens, from the first sending to the last end.
    """

    index: int
    load: Load
    window: Window
    stopped_by: str
    counts: Counts
    errors: list[ErrorCount]
    tokens: TokenCounts
    distributions: dict[str, Distribution]
    rates: dict[str, Rate]
    whole_run_rates: dict[str, Rate]
    client: ClientHealth
    notes: list[str] = []


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the client ran."""

    hostname: str
    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    gpus: list[str] = []


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run. ``complete`` is False for one that was cut short; ``partial_reason`` says by what. A run of another
    tool (``--engine``) has its name in ``tool``."""

    schema_version: int = SCHEMA_VERSION
    tool: str = "trident bench"
    tool_version: str
    command: list[str]
    started_at: str
    origin_ns: int
    duration_s: float
    complete: bool
    partial_reason: str | None = None
    machine: Machine
    target: Target
    workload: Workload
    stop: StopRules
    slos: list[Slo] = []
    points: list[Point] = []
    notes: list[str] = []


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One request. ``first_ns`` and ``last_ns`` are its first and last token event, ``end_ns`` its end of any kind."""

    point: int
    request: int
    worker: int
    phase: Phase
    conversation: int
    turn: int
    status: Status
    error_kind: str = ""
    error: str = ""
    http_status: int = 0
    scheduled_ns: int
    sent_ns: int
    first_ns: int | None = None
    last_ns: int | None = None
    end_ns: int
    events: int = 0
    input_tokens: int
    input_source: CountSource
    output_tokens: int
    output_source: CountSource
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None
    e2e_from_schedule_ms: float | None = None
    send_lag_ms: float
    good: bool | None = None


class Scrape(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a /metrics page: ``name{labels}`` → value, without histogram buckets."""

    at_ns: int
    url: str
    values: dict[str, float] = {}
    error: str | None = None
