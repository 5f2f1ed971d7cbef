"""vLLM's own benchmark: ``vllm.benchmarks.serve`` of the engine environment, started by ``vllm_serve.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trident.bench.engines import prompts
from trident.bench.engines.crosscheck import Theirs
from trident.bench.engines.tool import Job
from trident.bench.plan import Load
from trident.errors import ConfigurationError

NAME = "vllm"
NOTES = [
    "TTFT, TPOT, ITL and E2E have our definitions, and ours have vLLM's.",
    "Its rates are over the whole run, ramp and drain included: compared with our whole-run rates.",
    "One process, one event loop: at many streams its TTFT and ITL are late; nothing in its output says so.",
    "Its warm-up repeats the first prompt, which the server's prefix cache then knows.",
]
APIS = {"openai-chat": "openai-chat", "openai-completions": "openai"}
SCRIPT = Path(__file__).with_name("vllm_serve.py")
RESULT = "vllm.json"
PERCENTILES = (50, 99)
METRICS = {"ttft": "ttft", "tpot": "tpot", "itl": "itl", "e2e": "e2el"}


def command(job: Job) -> list[str]:
    """See ``Tool``."""
    if any(len(ask.messages) > 1 for ask in job.asks):
        raise ConfigurationError(
            "--engine vllm cannot send several messages in one request",
            "the custom data set of vLLM's benchmark holds one text for each", "use --engine aiperf",
        )  # fmt: skip
    job.folder.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = [{"prompt": ask.prompt, "output_tokens": ask.max_tokens} for ask in job.asks]
    url = urlsplit(job.target.url)
    given = {
        "backend": APIS[job.target.api],
        "base-url": f"{url.scheme}://{url.netloc}",
        "endpoint": url.path,
        "model": job.target.model,
        "tokenizer": prompts.stand_in_tokenizer(job.folder / "tokenizer"),
        "dataset-name": "custom",
        "dataset-path": prompts.write_lines(job.folder / "prompts.jsonl", lines),
        "custom-output-len": -1,
        "num-prompts": len(job.asks),
        "num-warmups": job.warmup_requests,
        "ready-check-timeout-sec": 0,
        "temperature": job.workload.temperature,
        "percentile-metrics": ",".join(METRICS.values()),
        "metric-percentiles": ",".join(map(str, PERCENTILES)),
        "result-dir": job.folder,
        "result-filename": RESULT,
        **_load(job.load),
    }
    flags = ["--skip-chat-template", "--disable-shuffle", "--disable-tqdm", "--save-result"]
    if job.workload.ignore_eos:
        flags.append("--ignore-eos")
    # -I: nothing of the folder it is started in, nor of PYTHONPATH.
    return [str(job.python), "-I", str(SCRIPT), *(f"--{name}={value}" for name, value in given.items()), *flags]


def environment() -> dict[str, str | None]:
    """See ``Tool``."""
    return {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}


def version(job: Job) -> str:
    """See ``Tool``: ``vllm_serve.py`` writes it down."""
    return (job.folder / "version.txt").read_text(encoding="utf-8").strip()


def read(job: Job) -> Theirs:
    """See ``Tool``."""
    return parse((job.folder / RESULT).read_bytes())


def parse(content: bytes) -> Theirs:
    """The JSON of ``--save-result``."""
    found = json.loads(content)
    values = {
        f"{ours} p{percent}": float(found[f"p{percent}_{theirs}_ms"])
        for ours, theirs in METRICS.items()
        for percent in PERCENTILES
    }
    values |= {
        "request_throughput": float(found["request_throughput"]),
        "output_token_throughput": float(found["output_throughput"]),
    }
    return Theirs(
        ok=int(found["completed"]), failed=int(found["failed"]), duration_s=float(found["duration"]), values=values
    )


def _load(load: Load) -> dict[str, object]:
    """Its gamma of shape 1 is Poisson and of an infinite one constant."""
    if load.kind == "closed":
        return {"max-concurrency": load.concurrency, "request-rate": "inf"}
    shapes = {"poisson": 1.0, "constant": "inf", "gamma": load.burstiness}
    return {"request-rate": load.rate_per_s, "burstiness": shapes[load.arrival or "poisson"]}
