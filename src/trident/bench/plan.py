"""What a run is asked to do: written into the result, sent to the workers. Everything here is plain data."""

from __future__ import annotations

from typing import Literal

import msgspec

Api = Literal[
    "openai-chat",
    "openai-completions",
    "triton-generate",
    "triton-generate-stream",
    "kserve-http",
    "kserve-grpc",
    "kserve-grpc-stream",
]
STREAMED_APIS = ("openai-chat", "openai-completions", "triton-generate-stream", "kserve-grpc-stream")
Contract = Literal["vllm", "recipe"]
Arrival = Literal["constant", "poisson", "gamma", "trace"]
LengthKind = Literal["fixed", "uniform", "normal", "lognormal"]
WorkloadKind = Literal["synthetic", "conversations", "jsonl", "mix"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is loaded. ``url`` is the address that requests go to, with its path; for gRPC ``host:port``.

    ``contract`` says which tensors a KServe or Triton model takes: those of Triton's vLLM backend
    (``text_input`` → ``text_output``) or the recipe's (``prompt`` → ``generated_text``). Keys never come in here.
    """

    api: Api
    url: str
    model: str
    contract: Contract | None = None
    asks_token_counts: bool = True
    server: str | None = None


class Lengths(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens: ``a`` and ``b`` are low and high of ``uniform``, mean and standard deviation of ``normal``,
    median and sigma (of the logarithm) of ``lognormal``; ``fixed`` has ``a`` alone. Never less than ``least``."""

    kind: LengthKind = "fixed"
    a: float
    b: float = 0.0
    least: int = 1


class TextModel(msgspec.Struct, frozen=True, kw_only=True):
    """How a prompt of so many tokens is made: tokens = ``overhead_tokens`` + ``tokens_per_word`` * words.

    ``source`` says where that is from: a tokenizer file (then lengths are exact but for the server's chat template),
    two probes whose prompt tokens the server has counted, or a guess for English.
    """

    source: Literal["tokenizer", "server", "guess"] = "guess"
    tokens_per_word: float = 1.3
    overhead_tokens: float = 0.0
    tokenizer_path: str | None = None


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. Lengths and order follow from ``seed``; texts from ``seed`` and ``nonce``.

    ``nonce`` is new in each run, so that no prompt has been seen by the server's prefix cache; with a nonce given, a
    run is repeated to the letter. ``prefix_tokens`` of each prompt are taken from ``prefix_count`` shared texts.
    Lengths in the trace at ``trace_path`` go before ``input_tokens`` and ``output_tokens``.
    """

    kind: WorkloadKind = "synthetic"
    input_tokens: Lengths = Lengths(a=128)
    output_tokens: Lengths = Lengths(a=128)
    prefix_tokens: int = 0
    prefix_count: int = 1
    turns: int = 1
    think_time_s: float = 0.0
    path: str | None = None
    trace_path: str | None = None
    seed: int = 0
    nonce: str = ""
    temperature: float = 0.0
    ignore_eos: bool = True
    text: TextModel = TextModel()


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How requests are sent. Closed loop: ``concurrency`` clients, each sends when its answer has ended. Open loop:
    ``rate_per_s`` on an absolute schedule, whatever the server does.

    ``ramp_s``: concurrency or rate grows linearly from nothing over this time. Warm-up is the first
    ``warmup_requests`` requests or ``warmup_s`` seconds of the same load, whichever ends later; they are sent and
    recorded, and count in no figure.
    """

    kind: Literal["closed", "open"]
    concurrency: int | None = None
    rate_per_s: float | None = None
    arrival: Arrival | None = None
    burstiness: float | None = None
    trace_path: str | None = None
    ramp_s: float = 0.0
    warmup_requests: int = 0
    warmup_s: float = 0.0

    @property
    def label(self) -> str:
        """``concurrency 8``, ``4 requests/s poisson``."""
        if self.kind == "closed":
            return f"concurrency {self.concurrency}"
        if self.arrival == "trace":
            return "trace"
        shape = f" {self.burstiness:g}" if self.arrival == "gamma" else ""
        return f"{self.rate_per_s:g} requests/s {self.arrival}{shape}"

    @property
    def level(self) -> float:
        """The number on the load axis of a plot: concurrency, or requests per second."""
        return float(self.concurrency if self.kind == "closed" else self.rate_per_s or 0.0)  # type: ignore[arg-type]


class StopRules(msgspec.Struct, frozen=True, kw_only=True):
    """Sending ends at the first that holds. ``num_requests`` and ``duration_s`` count after the warm-up.

    ``confidence_width``: when the interval of the mean TPOT (E2E for answers in one piece) is narrower than this share
    of it. ``max_error_share``: of the requests that have ended, once 20 have. What is in flight then has ``drain_s``
    to end. ``timeout_s`` is a request's own.
    """

    num_requests: int | None = None
    duration_s: float | None = None
    max_error_share: float = 0.1
    confidence_width: float | None = None
    drain_s: float = 60.0
    timeout_s: float = 600.0


class Slo(msgspec.Struct, frozen=True, kw_only=True):
    """A request is good when ``metric`` (ttft, tpot, e2e, e2e_from_schedule) is at most ``limit_ms``."""

    metric: str
    limit_ms: float
