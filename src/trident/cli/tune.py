"""``trident tune``: the best configuration for this machine, this model and these SLOs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trident.cli.passed_through import PassThroughCommand

if TYPE_CHECKING:
    from trident.bench.plan import Load, Workload
    from trident.config.engine_arguments import Given
    from trident.tune.journal import Asked

COMMAND_SETTINGS = {
    "cls": PassThroughCommand,
    "epilog": "Any other --option is an argument of vLLM for the base configuration, which the search begins with.",
}
G, L, S, R = "Goal", "Load", "Search", "Result"
RESUMED = "--resume takes everything from its folder"


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help, **more)


def tune(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(help="demo, a folder, or an id of a hub. (default demo)")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The base configuration. (default trident.toml)")
    ] = None,
    objective: Annotated[str, _option(panel=G, help="goodput, throughput, or latency:METRIC:PERCENTILE.")] = "goodput",
    slo: Annotated[
        list[str] | None, _option(panel=G, help="For each request, ttft:500ms, or for a percentile, tpot:p95:50ms.")
    ] = None,
    allow_numerics: Annotated[
        bool, _option("--allow-numerics", panel=G, help="Also try what changes the model's numbers, behind a gate.")
    ] = False,
    least_agreement: Annotated[
        float, _option(panel=G, min=0, max=1, help="Share of greedy answers that must stay as they are for that.")
    ] = 0.9,
    gate_prompts: Annotated[
        Path | None, _option(panel=G, help="Prompts to compare answers by, one a line; else those of Trident.")
    ] = None,
    gate_tokens: Annotated[int, _option(panel=G, min=1, help="How many tokens of an answer have to be alike.")] = 16,
    api: Annotated[str, _option(panel=L, help="How to ask, as in trident bench.")] = "openai-chat",
    request_rate: Annotated[
        float | None, _option(panel=L, help="So many requests a second; else the best number of clients is looked for.")
    ] = None,
    concurrency: Annotated[int | None, _option(panel=L, min=1, help="Or so many clients, always.")] = None,
    input_tokens: Annotated[str, _option(panel=L, help="Of each prompt, as in trident bench.")] = "uniform:64:192",
    output_tokens: Annotated[str, _option(panel=L, help="Of each answer.")] = "uniform:32:96",
    prefix_tokens: Annotated[int, _option(panel=L, min=0, help="Tokens at the start that prompts share.")] = 0,
    prefix_count: Annotated[int, _option(panel=L, min=1, help="How many such starts there are.")] = 1,
    turns: Annotated[int, _option(panel=L, min=1, help="Questions in a conversation.")] = 1,
    mix: Annotated[bool, _option("--mix", panel=L, help="The built-in mix of requests.")] = False,
    jsonl: Annotated[Path | None, _option(panel=L, help="Your own prompts.")] = None,
    trace: Annotated[Path | None, _option(panel=L, help="Send at the times of this recorded traffic.")] = None,
    budget_min: Annotated[float, _option(panel=S, min=0.1, help="Minutes for all of it.")] = 15.0,
    vary: Annotated[
        list[str] | None, _option(panel=S, help="Also vary this argument of vLLM: NAME=VALUE,VALUE; repeatable.")
    ] = None,
    only_vary: Annotated[bool, _option("--only-vary", panel=S, help="Vary nothing but --vary.")] = False,
    look_s: Annotated[float, _option(panel=S, min=1, help="Seconds of a first look at a load level.")] = 5.0,
    measure_s: Annotated[float, _option(panel=S, min=2, help="Seconds of a measurement that counts.")] = 10.0,
    most_trials: Annotated[int, _option(panel=S, min=1, help="Configurations to try at most.")] = 1000,
    seed: Annotated[int, _option(panel=S, min=0, help="Of the search and of the load.")] = 0,
    start_timeout_s: Annotated[float, _option(panel=S, min=1, help="Longest time for a server to start.")] = 300.0,
    workers: Annotated[int, _option(panel=S, min=1, help="Processes of the load test's client.")] = 1,
    resume: Annotated[Path | None, _option(panel=R, help="Go on with the search in this folder.")] = None,
    output: Annotated[Path | None, _option(panel=R, help="Folder of the result; else one in tune-results.")] = None,
) -> None:
    """Search for the engine arguments that serve a load best, prove it, and write a trident.toml."""
    from trident.bench.plan import Workload
    from trident.cli import tune_run
    from trident.tune import gate as gates
    from trident.tune import objective as objectives
    from trident.tune.gate import Gate
    from trident.tune.journal import Journal
    from trident.tune.loading import Loading
    from trident.tune.plan import Plan

    if resume is not None:
        asked, _ = Journal(resume).read()
        tune_run.run(resume, asked, is_resumed=True)
        return
    goal = objectives.parse(objective, slo or [])
    workload = _workload(input_tokens, output_tokens, jsonl, trace, mix=mix, turns=turns, prefix_tokens=prefix_tokens,
                         prefix_count=prefix_count, seed=seed)  # fmt: skip
    assert isinstance(workload, Workload)
    loading = Loading(
        api=_api(api), workload=workload, look_s=look_s, measure_s=measure_s, workers=workers,
        load=_load(goal.kind, request_rate, concurrency, trace, measure_s),
    )  # fmt: skip
    plan = Plan(budget_s=60 * budget_min, seed=seed, most_trials=most_trials, least_agreement=least_agreement)
    gate = Gate(prompts=gates.prompts(gate_prompts), tokens=gate_tokens)
    asked = _asked(
        model, config, ctx.obj or (), objective=goal, loading=loading, plan=plan, vary=_vary(vary or []),
        only_vary=only_vary, allow_numerics=allow_numerics, start_timeout_s=start_timeout_s, gate=gate,
    )  # fmt: skip
    tune_run.run(output or Path("tune-results") / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}", asked)


def _asked(
    model: str | None, file: Path | None, given: Sequence[Given], *, only_vary: bool, **more: Any
) -> Asked:  # fmt: skip
    from trident.cli.serve import find_model, with_engine_arguments
    from trident.cli.setup import ensure_engine
    from trident.config import paths
    from trident.errors import ConfigurationError
    from trident.tune import begin

    resolved = with_engine_arguments({"model": model}, file, given)
    found = find_model(resolved)
    if found is None:
        raise ConfigurationError(
            "There is no model to tune", "the configuration serves repositories alone", "name one: trident tune MODEL"
        )
    env = ensure_engine(resolved.runtime.engine_build, paths.data_dir(), offline=resolved.runtime.offline)
    return begin.asked(resolved, found, env, knobs=() if only_vary else None, **more)


def _workload(
    input_tokens: str, output_tokens: str, jsonl: Path | None, trace: Path | None, *, mix: bool, turns: int, **more: Any
) -> Workload:
    from trident.bench import lengths
    from trident.bench.plan import Workload
    from trident.bench.workload import conversations
    from trident.errors import ConfigurationError

    if jsonl and mix:
        raise ConfigurationError("--jsonl and --mix exclude each other", "a load is one of them", "leave one out")
    workload = Workload(
        kind="jsonl" if jsonl else "mix" if mix else "conversations" if turns > 1 else "synthetic",
        input_tokens=lengths.parse("--input-tokens", input_tokens),
        output_tokens=lengths.parse("--output-tokens", output_tokens),
        turns=turns,
        path=str(jsonl.absolute()) if jsonl else None,
        trace_path=str(trace.absolute()) if trace else None,
        **more,
    )
    conversations(workload)  # a file that cannot be used is told before anything starts
    return workload


def _load(
    kind: str, request_rate: float | None, concurrency: int | None, trace: Path | None, measure_s: float
) -> Load | None:
    from trident.bench import arrivals
    from trident.bench.plan import Load
    from trident.errors import ConfigurationError
    from trident.tune.loading import closed_loop

    if sum(given is not None for given in (request_rate, concurrency, trace)) > 1:
        raise ConfigurationError(
            "--request-rate, --concurrency and --trace exclude each other", "a load is one of them", "give one"
        )
    if trace is not None:
        arrivals.trace_s(trace)
        return Load(kind="open", arrival="trace", trace_path=str(trace.absolute()))
    if request_rate is not None:
        return Load(kind="open", rate_per_s=request_rate, arrival="poisson", warmup_s=measure_s / 10)
    if concurrency is not None:
        return closed_loop(concurrency)
    if kind == "latency":
        raise ConfigurationError(
            "A latency is least where nobody asks", "the load has to be given for this objective",
            "add --request-rate 4, --concurrency 8 or --trace FILE",
        )  # fmt: skip
    return None


def _api(name: str) -> Any:
    from typing import get_args

    from trident.bench.plan import Api
    from trident.errors import ConfigurationError

    if name not in get_args(Api):
        raise ConfigurationError(f"--api {name} is unknown", f"known are {', '.join(get_args(Api))}", "give one")
    return name


def _vary(texts: Sequence[str]) -> dict[str, list[Any]]:
    """``max_num_seqs=8,16,32``."""
    from trident.config.load import literal
    from trident.errors import ConfigurationError

    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise ConfigurationError(
                f"--vary {text} names no values", "it is NAME=VALUE,VALUE", "for instance --vary max_num_seqs=16,64"
            )
        found[name.strip("-").replace("-", "_")] = [literal(value) for value in values.split(",")]
    return found
