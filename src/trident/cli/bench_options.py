"""The options that every load test has, declared once."""

from __future__ import annotations

import functools
import inspect
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from trident.bench import arrivals, lengths
from trident.bench.metrics import OF_A_REQUEST
from trident.bench.plan import Api, Arrival, Load, Slo, StopRules, TextModel, Workload
from trident.errors import ConfigurationError

DEFAULT_URLS = {"openai": "http://127.0.0.1:9000", "grpc": "127.0.0.1:8001", "http": "http://127.0.0.1:8000"}
DEFAULT_DURATION_S = 30.0
APIS = ", ".join(get_args(Api))
T, L, W, S, C, R = "Target", "Load", "Workload", "Stop", "Client", "Result"


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help, **more)


@dataclass
class Options:
    """As they stand on the command line; the properties make the plan's structs of them."""

    api: Annotated[str, _option(panel=T, metavar="NAME", help=f"How to ask: {APIS}.")] = "openai-chat"
    url: Annotated[str | None, _option(panel=T, help="The server, without the path of an API.")] = None
    model: Annotated[str | None, _option(panel=T, help="Its name for the model; else the first that fits.")] = None
    metrics_url: Annotated[list[str] | None, _option(panel=T, help="A /metrics page to read once a second.")] = None

    arrival: Annotated[str, _option(panel=L, help="Of a rate: constant, poisson or gamma.")] = "poisson"
    burstiness: Annotated[float, _option(panel=L, help="Shape of gamma: 1 is Poisson, less is burstier.")] = 1.0
    trace: Annotated[
        Path | None, _option(panel=L, help="Send at the times, and in the lengths, of this JSONL file.")
    ] = None
    ramp_s: Annotated[float, _option(panel=L, min=0, help="Seconds to grow from nothing to the load.")] = 0.0
    warmup_requests: Annotated[
        int | None, _option(panel=L, min=0, help="Requests that do not count; else the concurrency, of a rate a tenth.")
    ] = None
    warmup_s: Annotated[float, _option(panel=L, min=0, help="Seconds that do not count.")] = 0.0

    input_tokens: Annotated[str, _option(panel=W, help="Of each prompt: 128, uniform:64:256, normal:128:32, lognormal:128:0.5.")] = "128"  # fmt: skip # noqa: E501
    output_tokens: Annotated[str, _option(panel=W, help="Of each answer, in the same forms.")] = "128"
    prefix_tokens: Annotated[int, _option(panel=W, min=0, help="Tokens at the start that prompts share.")] = 0
    prefix_count: Annotated[int, _option(panel=W, min=1, help="How many such starts there are.")] = 1
    turns: Annotated[int, _option(panel=W, min=1, help="Questions in a conversation, each with the history.")] = 1
    think_time_s: Annotated[float, _option(panel=W, min=0, help="Seconds between an answer and the next turn.")] = 0.0
    mix: Annotated[bool, _option("--mix", panel=W, help="The built-in mix of questions, chat, summaries, writing.")] = (
        False
    )
    jsonl: Annotated[Path | None, _option(panel=W, help="Your own prompts, one JSON object a line.")] = None
    seed: Annotated[int, _option(panel=W, min=0, help="Of lengths, order and arrivals.")] = 0
    nonce: Annotated[str | None, _option(panel=W, help="Of texts; new in each run unless given.")] = None
    temperature: Annotated[float, _option(panel=W, min=0, help="0 always takes the likeliest token.")] = 0.0
    ignore_eos: Annotated[bool, _option(panel=W, help="Go on to the full length of the answer.")] = True
    tokenizer: Annotated[Path | None, _option(panel=W, help="The model's tokenizer.json, for exact lengths.")] = None

    num_requests: Annotated[int | None, _option(panel=S, min=1, help="After so many requests.")] = None
    duration_s: Annotated[
        float | None, _option(panel=S, min=0.1, help=f"After so many seconds; {DEFAULT_DURATION_S:g} without a count.")
    ] = None
    confidence: Annotated[
        float | None, _option(panel=S, min=0.0001, max=1, help="When the mean TPOT is known to this share, as 0.02.")
    ] = None
    max_error_share: Annotated[
        float, _option(panel=S, min=0, max=1, help="When more requests than this share have failed; the run fails.")
    ] = 0.1
    drain_s: Annotated[float, _option(panel=S, min=0, help="Seconds for what is in flight at the end.")] = 60.0
    timeout_s: Annotated[float, _option(panel=S, min=0.1, help="Seconds for one request.")] = 600.0

    workers: Annotated[int | None, _option(panel=C, min=1, max=256, help="Client processes; else by the cores.")] = None
    allow_client_bound: Annotated[
        bool, _option("--allow-client-bound", panel=C, help="Exit code 0 even when the client was the bottleneck.")
    ] = False

    slo: Annotated[list[str] | None, _option(panel=R, help="For goodput: ttft:200ms, tpot:30ms, e2e:5s.")] = None
    engine: Annotated[
        list[str] | None,
        _option(panel=R, help="Let aiperf or vllm repeat the run; their figures stand beside ours."),
    ] = None
    engine_python: Annotated[Path | None, _option(panel=R, help="The Python that has the --engine's tool.")] = None
    output: Annotated[Path | None, _option(panel=R, help="Folder of the result; else one in bench-results.")] = None

    @property
    def checked_api(self) -> Api:
        if self.api not in get_args(Api):
            raise ConfigurationError(f"--api {self.api} is unknown", f"known are: {APIS}", "give one of these")
        return self.api  # type: ignore[return-value]

    @property
    def base_url(self) -> str:
        kind = "openai" if self.api.startswith("openai") else "grpc" if "grpc" in self.api else "http"
        return self.url or DEFAULT_URLS[kind]

    @property
    def workload(self) -> Workload:
        """Raises ConfigurationError."""
        if self.jsonl and self.mix:
            raise ConfigurationError("--jsonl and --mix exclude each other", "a run has one workload", "leave one out")
        text = TextModel()
        if self.tokenizer is not None:
            text = TextModel(source="tokenizer", tokenizer_path=str(self.tokenizer.absolute()))
        return Workload(
            kind="jsonl" if self.jsonl else "mix" if self.mix else "conversations" if self.turns > 1 else "synthetic",
            input_tokens=lengths.parse("--input-tokens", self.input_tokens),
            output_tokens=lengths.parse("--output-tokens", self.output_tokens),
            prefix_tokens=self.prefix_tokens,
            prefix_count=self.prefix_count,
            turns=self.turns,
            think_time_s=self.think_time_s,
            path=str(self.jsonl.absolute()) if self.jsonl else None,
            trace_path=str(self.trace.absolute()) if self.trace else None,
            seed=self.seed,
            nonce=secrets.token_hex(8) if self.nonce is None else self.nonce,
            temperature=self.temperature,
            ignore_eos=self.ignore_eos,
            text=text,
        )

    @property
    def stop(self) -> StopRules:
        duration_s = self.duration_s
        if duration_s is None and self.num_requests is None and self.trace is None:
            duration_s = DEFAULT_DURATION_S
        return StopRules(
            num_requests=self.num_requests,
            duration_s=duration_s,
            max_error_share=self.max_error_share,
            confidence_width=self.confidence,
            drain_s=self.drain_s,
            timeout_s=self.timeout_s,
        )

    @property
    def slos(self) -> list[Slo]:
        """Raises ConfigurationError."""
        return [_slo(text) for text in self.slo or []]

    def closed(self, concurrency: int) -> Load:
        """So many clients."""
        if concurrency < 1:
            raise ConfigurationError(
                f"--concurrency {concurrency} is no load", "it is 1 or more", "give --concurrency 8"
            )
        warmup = concurrency if self.warmup_requests is None else self.warmup_requests
        return Load(
            kind="closed",
            concurrency=concurrency,
            ramp_s=self.ramp_s,
            warmup_requests=warmup,
            warmup_s=self.warmup_s,
        )

    def open(self, rate_per_s: float | None) -> Load:
        """So many requests a second, or the trace. Raises ConfigurationError."""
        if rate_per_s is not None and not 0 < rate_per_s < float("inf"):
            raise ConfigurationError(
                f"--request-rate {rate_per_s} is no rate", "it is in requests per second, more than 0", "give a number"
            )
        if self.arrival not in get_args(Arrival)[:3] or self.burstiness <= 0:
            raise ConfigurationError(
                f"--arrival {self.arrival} --burstiness {self.burstiness:g} is unknown",
                "arrivals are constant, poisson or gamma with a burstiness above 0",
                "give one of these; a file of times is given by --trace",
            )
        if self.trace is not None:
            arrivals.trace_s(self.trace)
        return Load(
            kind="open",
            rate_per_s=rate_per_s,
            arrival="trace" if self.trace else self.arrival,  # type: ignore[arg-type]
            burstiness=self.burstiness if self.arrival == "gamma" else None,
            trace_path=str(self.trace.absolute()) if self.trace else None,
            ramp_s=self.ramp_s,
            warmup_requests=self._open_warmup_requests,
            warmup_s=self._open_warmup_s,
        )

    @property
    def _open_warmup_requests(self) -> int:
        """Until answers end as fast as requests come, rates are too low: a tenth of the run unless it is told."""
        if self.warmup_requests is not None or self.warmup_s:
            return self.warmup_requests or 0
        return (self.num_requests or 0) // 10

    @property
    def _open_warmup_s(self) -> float:
        if self.warmup_requests is not None or self.warmup_s or self.trace is not None:
            return self.warmup_s
        return 0.0 if self.num_requests else (self.stop.duration_s or 0.0) / 10


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command all of ``Options`` after its own; it receives them as ``options``."""
    own = inspect.signature(command, eval_str=True)
    fields = inspect.signature(Options, eval_str=True).parameters

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        command(options=Options(**{name: given.pop(name) for name in fields}), **given)

    kept = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in own.parameters.items()
        if name != "options"
    ]
    added = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in fields.values()]
    signature = own.replace(parameters=[*kept, *added])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return wrapped


def _slo(text: str) -> Slo:
    metric, _, limit = text.partition(":")
    number, unit_ms = (limit[:-2], 1.0) if limit.endswith("ms") else (limit.removesuffix("s"), 1000.0)
    if not limit.endswith("s"):
        unit_ms = 1.0  # as in vLLM's --goodput
    try:
        limit_ms = float(number) * unit_ms
    except ValueError:
        limit_ms = -1.0
    metric = {"e2el": "e2e"}.get(metric, metric)
    if metric not in OF_A_REQUEST or not limit_ms > 0:
        raise ConfigurationError(
            f"--slo {text} is no objective",
            f"it is METRIC:LIMIT with a metric of {', '.join(OF_A_REQUEST)} and a limit such as 200ms or 2s",
            "for instance --slo ttft:200ms --slo tpot:30ms",
        )
    return Slo(metric=metric, limit_ms=limit_ms)
