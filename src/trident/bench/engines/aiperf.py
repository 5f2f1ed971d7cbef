"""NVIDIA's AIPerf, in an environment of its own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from trident.bench.engines import prompts
from trident.bench.engines.crosscheck import Theirs
from trident.bench.engines.tool import Job
from trident.bench.exchange import Ask
from trident.bench.plan import Load

NAME = "aiperf"
NOTES = [
    "Its TTFT waits for the first event with text; ours takes the first event with choices, which in a chat is the "
    "role, and comes a token earlier on servers that send it alone.",
    "Its inter_token_latency is (E2E - TTFT) / (output tokens - 1), which is our TPOT; its inter_chunk_latency is our "
    "ITL.",
    "Its E2E ends with the last event with text.",
    "Its rates are from the first sending to the last answer: compared with our whole-run rates.",
    "Tokens are counted by the server (--use-server-token-count), as in our run.",
]
APIS = {"openai-chat": "chat", "openai-completions": "completions"}
RESULT = "profile_export_aiperf.json"
METRICS = {
    "ttft": "time_to_first_token",
    "tpot": "inter_token_latency",
    "itl": "inter_chunk_latency",
    "e2e": "request_latency",
}
STATISTICS = ("p50", "p99")


def command(job: Job) -> list[str]:
    """See ``Tool``."""
    job.folder.mkdir(parents=True, exist_ok=True)
    is_chat = job.target.api == "openai-chat"
    lines = [prompts.body(ask, job.target, job.workload) if is_chat else _single_turn(ask, job) for ask in job.asks]
    url = urlsplit(job.target.url)
    given = {
        "model": job.target.model,
        "url": f"{url.scheme}://{url.netloc}",
        "endpoint": url.path,
        "endpoint-type": APIS[job.target.api],
        "input-file": prompts.write_lines(job.folder / "prompts.jsonl", lines),
        "custom-dataset-type": "raw-payload" if is_chat else "single-turn",
        "dataset-sampling-strategy": "sequential",
        "request-count": len(job.asks),
        "request-timeout-seconds": job.timeout_s,
        "tokenizer": prompts.stand_in_tokenizer(job.folder / "tokenizer"),
        "output-artifact-dir": job.folder,
        "random-seed": job.workload.seed,
        "ui": "none",
        **_load(job.load),
    }
    if job.warmup_requests:
        given["warmup-request-count"] = job.warmup_requests
    flags = ["--streaming", "--use-server-token-count", "--no-server-metrics", "--no-gpu-telemetry"]
    command = [str(job.python), "-m", "aiperf", "profile"]
    return [*command, *(f"--{name}={value}" for name, value in given.items()), *flags]


def environment() -> dict[str, str | None]:
    """With HF_HUB_OFFLINE it refuses a tokenizer that is a folder. It needs no hub: that folder is all it reads."""
    return {"HF_HUB_OFFLINE": None, "DO_NOT_TRACK": "1"}


def version(job: Job) -> str:
    """See ``Tool``."""
    return str(json.loads((job.folder / RESULT).read_bytes())["aiperf_version"])


def read(job: Job) -> Theirs:
    """See ``Tool``."""
    return parse((job.folder / RESULT).read_bytes())


def parse(content: bytes) -> Theirs:
    """Its summary as JSON; metrics that it could not compute are absent."""
    found = json.loads(content)
    values: dict[str, float] = {}
    for ours, theirs in METRICS.items():
        if theirs in found:
            assert found[theirs]["unit"] == "ms"
            values |= {f"{ours} {statistic}": float(found[theirs][statistic]) for statistic in STATISTICS}
    for rate in ("request_throughput", "output_token_throughput"):
        if rate in found:
            values[rate] = float(found[rate]["avg"])
    return Theirs(
        ok=int(found["request_count"]["avg"]),
        failed=int(found.get("error_request_count", {}).get("avg", 0)),
        duration_s=float(found["benchmark_duration"]["avg"]),
        values=values,
    )


def _single_turn(ask: Ask, job: Job) -> dict[str, Any]:
    """Its form of a text completion; ``extra`` goes into the body as it is."""
    body = prompts.body(ask, job.target, job.workload)
    extra = {name: value for name, value in body.items() if name not in ("prompt", "model", "stream")}
    return {"text": ask.prompt, "output_length": ask.max_tokens, "extra": extra}


def _load(load: Load) -> dict[str, object]:
    if load.kind == "closed":
        return {"concurrency": load.concurrency}
    given: dict[str, object] = {"request-rate": load.rate_per_s, "arrival-pattern": load.arrival}
    return given | ({"arrival-smoothness": load.burstiness} if load.arrival == "gamma" else {})
