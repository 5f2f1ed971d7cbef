"""Proves that engine host, OpenAI server and Triton stubs work together on this machine, and takes first figures.

``smoke.sh`` runs it on a GPU machine. On a CPU it takes the demo model, ``--build cpu --plan "k8 o8" --tokens 32``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import load
import psutil
import streams
import unsupervised
from unsupervised import Place, Server

from trident.config import load as load_config
from trident.models.resolve import ResolvedModel
from trident.runtime.control_env import TritonInstall
from trident.runtime.engine_env import EngineEnv
from trident.supervisor.run_directory import RunDirectory
from trident.triton.command import shm_prefix

SHM = Path("/dev/shm")
HTTP, GRPC, METRICS, OPENAI = 18000, 18001, 18002, 19000
PROMPT = "what is the capital of a country and how many tokens does one engine step make"
KSERVE, V1 = f"http://127.0.0.1:{HTTP}/v2/models", f"http://127.0.0.1:{OPENAI}"
PLAN = "k64 k64 o64 k256 o256 k512 o512 k64 o64 k256 o256 k512 o512 4:0.5 k256 k512 8:1 k256 k512"
"""Door (KServe, OpenAI) and streams of one measurement each; stubs:share is another tritonserver; pin and unpin move
the engine core to CPUs of its own and back."""
PINNED_CPUS = 4
WAVES = 4
"""Requests for each stream of a measurement."""


@dataclass
class Report:
    """What was seen, printed as it comes and written at the end."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    begun_s: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.begun_s:6.1f}] {text}", flush=True)

    def check(self, name: str, ok: bool, detail: object = "") -> None:
        self.checks.append({"name": name, "ok": ok, "detail": str(detail)})
        self.say(f"{'ok    ' if ok else 'FAILED'} {name}: {str(detail)[:300]}")

    def time_left(self, asked: argparse.Namespace, needed_s: float) -> bool:
        """Whether something optional that takes so long may begin."""
        return time.monotonic() - self.begun_s + needed_s < asked.budget_s

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"facts": self.facts, "checks": self.checks, "rows": self.rows}, indent=1))


def ask(url: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """Status and text of an answer; status 0 for none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def generate(report: Report, name: str, **fields: Any) -> None:
    """One KServe request that must succeed."""
    code, text = ask(f"{KSERVE}/generate/generate", {"text_input": PROMPT, "max_tokens": 8, "temperature": 0, **fields})
    report.check(name, code == 200 and bool(json.loads(text)["text_output"]), text)


def check_doors(report: Report, model: str) -> None:
    """Every front door answers, the same text at the same sampling."""
    fields = {"max_tokens": 40, "temperature": 0, "ignore_eos": True}
    generate(report, "generate")
    code, text = ask(f"{KSERVE}/generate/generate_stream", {"text_input": PROMPT, "stream": True, **fields})
    report.check("generate_stream", code == 200 and text.count("data: {") > 1, f"{text.count('data: {')} events")
    pieces = [json.loads(line[6:])["text_output"] for line in text.splitlines() if line.startswith("data: {")]
    code, text = ask(
        f"{KSERVE}/qwen3_vllm/infer",
        {
            "inputs": [
                {"name": "prompt", "datatype": "BYTES", "shape": [2], "data": [PROMPT, "a country"]},
                {"name": "max_tokens", "datatype": "INT32", "shape": [1], "data": [5]},
            ]
        },
    )
    report.check("infer of qwen3_vllm", code == 200 and len(json.loads(text)["outputs"][0]["data"]) == 2, text)
    code, text = ask(f"{V1}/v1/completions", {"model": model, "prompt": PROMPT, **fields})
    same = code == 200 and json.loads(text)["choices"][0]["text"] == "".join(pieces)
    report.check("completions say what generate_stream says", same, text)
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "what is one token"}], **fields}
    code, text = ask(f"{V1}/v1/chat/completions", body)
    report.check("chat stream", code == 200 and "[DONE]" in text and text.count("data: {") > 2, text[:120])


def check_bad_requests(report: Report) -> None:
    """A bad value is named, and the next request works."""
    for name, value in (("temperature", -1), ("seed", 0.5), ("max_token", 5)):
        code, text = ask(f"{KSERVE}/generate/generate", {"text_input": PROMPT, name: value})
        report.check(f"{name} = {value} is refused", code >= 400 and name in text, f"{code} {text}")
        generate(report, "the next request")


def check_metrics(report: Report, out: Path) -> None:
    """``/metrics`` of the OpenAI server tells of KServe's tokens too."""
    name = "vllm:generation_tokens_total"

    def total() -> float | None:
        code, text = ask(f"{V1}/metrics")
        (out / "metrics.txt").write_text(text)
        lines = [line for line in text.splitlines() if line.startswith(name)]
        return sum(float(line.split()[-1]) for line in lines) if code == 200 and lines else None

    before = total()
    generate(report, "a request to count", max_tokens=40, ignore_eos=True)
    time.sleep(1)
    after = total()
    counted = before is not None and after is not None and after - before >= 40
    report.check("the OpenAI server's /metrics counts KServe's tokens", counted, f"{before} then {after}")


def describe_start(report: Report, served: Server, log: str) -> None:
    """How the start went: times, the kind of OpenAI server, forked or spawned."""
    host = served.host
    report.facts["ready"] = served.facts.facts
    report.facts.setdefault("starts", []).append({"ready_s": host.said[-1][0], "phases": host.phases()})
    report.say(f"ready after {host.said[-1][0]:.1f} s: {served.facts.facts}")
    for phase, seconds in host.phases():
        report.say(f"    {seconds:6.2f} s {phase}")
    signs = (
        "Graph capturing",
        "torch.compile to",
        "Dynamo bytecode",
        "Compiling a graph",
        "init engine",
        "loading took",
    )
    for line in log.splitlines():
        if any(sign in line for sign in (*signs, "spawn")):
            report.say(f"    log: {line.strip()[-200:]}")
    children = psutil.Process(host.process.pid).children(recursive=True)
    report.say("children: " + "; ".join(f"{child.pid} {' '.join(child.cmdline())[:80]}" for child in children))
    cores = [pid for name, pid in served.facts.pids.items() if name.startswith("engine core")]
    report.check("one EngineCore", len(cores) == 1 and psutil.pid_exists(cores[0]), served.facts.pids)
    # exec draws new addresses; a fork keeps its parent's.
    forked = _auxv(cores[0]) == _auxv(host.process.pid)
    report.check("EngineCore was forked", forked, "same auxiliary vector" if forked else "another auxiliary vector")


def _auxv(pid: int) -> bytes:
    return Path(f"/proc/{pid}/auxv").read_bytes()


def measure(
    report: Report, served: Server, target: streams.Target, setup: str, asked: argparse.Namespace, c: int
) -> None:
    """One row: throughput, latency and what each process spent for a token."""
    parts = served.parts()
    before = {name: _cpu_s(process) for name, process in parts.items()}
    delay_before_s = _run_delay_s(parts["engine core"])
    client_before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = load.run(
        target,
        streams=c,
        requests=c * WAVES,
        tokens=asked.tokens,
        words=asked.words,
        seed=time.time_ns() % 2**31,
        processes=asked.clients,
        limit_s=asked.limit_s,
    )
    client = resource.getrusage(resource.RUSAGE_CHILDREN)
    tokens = max(1, result.tokens)
    spent = {name: 1e6 * (_cpu_s(process) - before[name]) / tokens for name, process in parts.items()}
    spent["client"] = (
        1e6 * (client.ru_utime + client.ru_stime - client_before.ru_utime - client_before.ru_stime) / tokens
    )
    cpu = {name: round(value, 1) for name, value in spent.items()}
    ttft, e2e = (values[len(values) // 2] if values else float("nan") for values in (result.ttft_s, result.e2e_s))
    row = {
        "door": target.name,
        "setup": setup,
        "streams": c,
        "tokens_per_s": round(result.tokens_per_s),
        "ttft_p50_ms": round(1e3 * ttft, 1),
        "ttft_p99_ms": round(1e3 * result.ttft_s[int(0.99 * len(result.ttft_s))], 1) if result.ttft_s else None,
        "e2e_p50_s": round(e2e, 2),
        "tokens_per_event": round(result.tokens / max(1, result.events), 2),
        "requests": result.requests,
        "failed": result.failed,
        "seconds": round(result.seconds, 1),
        "engine_core_waited_for_cpu_s": round(_run_delay_s(parts["engine core"]) - delay_before_s, 2),
        "cpu_us_per_token": cpu,
    }
    report.rows.append(row)
    report.say(
        f"{target.name} {setup} c={c}: {result.summary()}, p99 {row['ttft_p99_ms']} ms, e2e {row['e2e_p50_s']} s; "
        f"core waited {row['engine_core_waited_for_cpu_s']} s; µs/token {cpu}"
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _run_delay_s(process: psutil.Process) -> float:
    """How long its threads were ready to run and had no CPU."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9


def check_end(report: Report, served: Server) -> None:
    """SIGTERM, in the supervisor's order, ends everything."""
    roots = [psutil.Process(process.pid) for process in (served.host.process, served.triton.process)]
    family = [*roots, *(child for root in roots for child in root.children(recursive=True))]
    triton_s = unsupervised.end(served.triton.process)
    host_s = unsupervised.end(served.host.process)
    # With many stubs its exit code is 1: it does not wait for all of them (see triton/command.py).
    report.check("tritonserver ends", triton_s < math.inf, f"{triton_s:.1f} s, {served.triton.process.returncode}")
    report.check("engine host ends", served.host.process.returncode == 0, f"{host_s:.1f} s")
    _, alive = psutil.wait_procs(family, timeout=5)
    report.check("no process is left", not alive, alive)
    report.say(f"left for the supervisor to remove: {sorted(_names(served.place.config.sockets_dir))}")
    served.directory.release()
    shared = {name for name in _names(SHM) if name.startswith(shm_prefix(served.place.config))}
    report.check("no shared memory is left", not shared, sorted(shared))
    report.check("the run directory has no socket", not served.place.config.sockets_dir.exists())


def check_kill(report: Report, served: Server) -> None:
    """kill -9 of the engine host takes its children along; the stubs say so and work with the next host."""
    children = [psutil.Process(pid) for pid in served.facts.pids.values()]
    shm_before, sockets = _names(SHM), served.place.config.sockets_dir
    served.host.process.kill()
    served.host.process.wait()
    _, alive = psutil.wait_procs(children, timeout=5)
    report.check("after kill -9 of the host its children are gone", not alive, alive)
    for process in alive:
        process.kill()
    left = {name for name in _names(sockets) if not name.startswith("stub")}
    report.say(f"kill -9 leaves the sockets {sorted(left)} and the shared memory {sorted(_names(SHM) - shm_before)}")
    code, text = ask(f"{KSERVE}/generate/generate", {"text_input": PROMPT})
    report.check("without an engine a request is refused", code >= 400 and "engine" in text, f"{code} {text}")
    served.replace_host()
    describe_start(report, served, "")
    time.sleep(1)
    generate(report, "the stubs work with the next host")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def take_figures(report: Report, served: Server, asked: argparse.Namespace) -> None:
    """Walks through the plan while there is time."""
    doors = {"k": streams.kserve(HTTP), "o": streams.openai(OPENAI, served.place.model.name)}
    setup, pinned = f"{asked.stubs} stubs", ""
    for step in asked.plan.split():
        if not report.time_left(asked, 90):
            report.say(f"no time for {step}")
        elif step[0] in doors and step[1:].isdigit():
            measure(report, served, doors[step[0]], setup + pinned, asked, int(step[1:]))
        elif step in ("pin", "unpin"):
            pinned = pin(served, step == "pin")
        else:
            stubs, _, share = step.partition(":")
            setup, pinned = f"{stubs} stubs, share {share}", pin(served, False)
            report.say(f"{setup}: ready after {served.replace_triton(int(stubs), float(share)):.1f} s")


def pin(served: Server, apart: bool) -> str:
    """Gives the engine core four CPUs of its own, or takes them back; returns what to call it."""
    everything = set(range(os.cpu_count() or 1))
    own: set[int] = set()
    for cpu in sorted(everything):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
        if len(own) < min(PINNED_CPUS, len(everything) // 2):
            own |= {int(part) for span in siblings.split(",") for part in span.split("-")}
    parts = {**served.parts(), "client": psutil.Process()}
    for name, process in parts.items():
        cpus = own if name == "engine core" else everything - own
        for thread in process.threads():
            os.sched_setaffinity(thread.id, cpus if apart else everything)
    return f", engine core on its own {sorted(own)}" if apart else ""


def run(report: Report, asked: argparse.Namespace, place: Place) -> None:
    """All of it, the optional parts while there is time."""
    directory = RunDirectory(place.config, shm_prefix(place.config))
    served = unsupervised.start(place, directory, asked.stubs, 1.0)
    try:
        describe_start(report, served, (place.logs / "engine.log").read_text())
        check_doors(report, place.model.name)
        check_bad_requests(report)
        check_metrics(report, place.logs)
        take_figures(report, served, asked)
        if not asked.no_kill and report.time_left(asked, 80):
            check_kill(report, served)
        check_end(report, served)
    finally:
        for process in (served.triton.process, served.host.process):
            process.kill()
        directory.release()


def parser(plan: str) -> argparse.ArgumentParser:
    """The command line; ``plan`` is what it names when it names none."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--engine", type=json.loads, default={}, help="engine arguments, JSON")
    parser.add_argument("--build", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--engine-python", type=Path, required=True)
    parser.add_argument("--engine-path", default="", help="where the engine finds vLLM, if not in its own packages")
    parser.add_argument("--triton", type=Path, required=True, help="the tritonserver program")
    parser.add_argument("--triton-libraries", type=Path, nargs="+", required=True)
    parser.add_argument("--backends", type=Path, required=True)
    parser.add_argument("--stub-python", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stubs", type=int, default=4)
    parser.add_argument("--plan", default=plan)
    parser.add_argument("--no-kill", action="store_true", help="leave out the kill -9")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--words", type=int, default=54)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--limit-s", type=float, default=90, help="longest time for one measurement")
    parser.add_argument("--budget-s", type=float, default=450, help="after it nothing optional begins")
    return parser


def place_of(asked: argparse.Namespace) -> Place:
    """What the command line names, at this program's ports."""
    ports = {"http_port": HTTP, "grpc_port": GRPC, "metrics_port": METRICS, "openai_port": OPENAI}
    config = load_config(
        {**ports, "model": str(asked.model), "name": "gpu", "engine": asked.engine},
        environ={},
    )
    return Place(
        config=config,
        model=ResolvedModel(asked.model, "m", "folder"),
        engine=EngineEnv(asked.engine_python.parent, asked.build, "", asked.engine_python, Path()),
        triton=TritonInstall(asked.triton, tuple(asked.triton_libraries), asked.backends, asked.stub_python),
        engine_path=asked.engine_path,
        logs=asked.out,
    )


def main(run: Callable[[Report, argparse.Namespace, Place], None], plan: str) -> int:
    """Exit code 0 when every check passed."""
    asked, report = parser(plan).parse_args(), Report()
    try:
        run(report, asked, place_of(asked))
    except (unsupervised.NotReady, load.LoadFailed) as error:
        report.check("the run reaches its end", False, error)
    report.save(asked.out / "results.json")
    failed = [check["name"] for check in report.checks if not check["ok"]]
    report.say(f"{len(report.checks)} checks, failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(run, PLAN))
