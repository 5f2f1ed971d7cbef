"""Takes the engine away in the midst of answers and compares them with those of quiet runs.

``PROGRAM=survival smoke.sh`` runs it on a GPU machine. Each word of the plan is one wave of requests: ``quiet``, or a
signal and its victim (``kill:core``, ``kill:host``, ``stop:core``).
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from typing import Any

import psutil
import smoke
import unsupervised
from smoke import Report
from streams_at_once import Heard, Wave, is_openai, numbers
from unsupervised import Place, Server

from trident.supervisor.run_directory import RunDirectory
from trident.triton.command import shm_prefix

PLAN = "quiet quiet kill:core kill:host stop:core quiet"
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
SHARES = (0.4, 0.6, 0.2, 0.8)
"""Of a quiet wave's characters: when the first, second, ... engine goes."""
ENDS_WITHIN_S = 60
TELLING = re.compile(r"Model Runner|go on after|Traceback|ERROR|CRITICAL|trident\.(?!arguments)", re.IGNORECASE)


def run(report: Report, asked: argparse.Namespace, place: Place) -> None:
    """One wave after the other while there is time."""
    directory = RunDirectory(place.config, shm_prefix(place.config))
    served = unsupervised.start(place, directory, asked.stubs, 1.0)
    try:
        log = (place.logs / "engine.log").read_text()
        smoke.describe_start(report, served, log)
        report.facts["runner"] = sorted(set(re.findall(r"V[12] Model Runner", log, re.IGNORECASE)))
        _wave(served, asked).outcomes()  # what it compiles is not measured
        quiet: list[dict[str, Heard]] = []
        losses = 0
        for step in asked.plan.split():
            if not report.time_left(asked, 100 if ":" in step else 20):
                report.say(f"no time for {step}")
            elif ":" not in step:
                quiet.append(_wave(served, asked).outcomes())
                _compare(report, "quiet", asked.tokens, quiet[0], quiet[-1], None)
            else:
                share = SHARES[losses % len(SHARES)]
                _lose(report, served, asked, step, share, quiet[0])
                losses += 1
        _check_nothing_left(report)
        smoke.check_end(report, served)
    finally:
        for process in (served.triton.process, served.host.process):
            process.kill()
        directory.release()
        lines = (place.logs / "engine.log").read_text(errors="replace").splitlines()
        for line in [line for line in lines if TELLING.search(line)][-60:]:
            report.say(f"    log: {line.strip()[:300]}")


def _wave(served: Server, asked: argparse.Namespace) -> Wave:
    return Wave(smoke.HTTP, smoke.OPENAI, served.place.model.name, asked.tokens)


def _lose(
    report: Report, served: Server, asked: argparse.Namespace, step: str, share: float, quiet: dict[str, Heard]
) -> None:
    number, _, victim = step.partition(":")
    total = sum(heard.characters for kind, heard in quiet.items() if not is_openai(kind))
    core = next(pid for name, pid in served.facts.pids.items() if name.startswith("engine core"))
    wave = _wave(served, asked)
    wave.until(int(total * share))
    lost_s = time.monotonic()
    psutil.Process(core if victim == "core" else served.host.process.pid).send_signal(SIGNALS[number])
    served.host.process.wait(ENDS_WITHIN_S)
    ended_s = time.monotonic()
    served.replace_host()
    ready_s = served.host.begun_s + served.host.said[-1][0]
    outcomes = wave.outcomes()
    resumed = [at_s - lost_s for heard in outcomes.values() if (at_s := heard.after(ended_s)) is not None]
    report.facts.setdefault("losses", []).append(
        times := {
            "step": step,
            "host_ended_s": round(ended_s - lost_s, 2),
            "first_token_s": round(min(resumed, default=-1), 2),
            "ready_s": round(ready_s - lost_s, 2),
            "phases": served.host.phases(),
        }
    )
    report.say(f"{step} at {share:.0%}: {times}")
    _compare(report, step, asked.tokens, quiet, outcomes, lost_s)


def _compare(
    report: Report, step: str, tokens: int, quiet: dict[str, Heard], outcomes: dict[str, Heard], lost_s: float | None
) -> None:
    """What went through Triton must end once, without an error, with the tokens of the quiet run; whether its text is
    the same is told, as a GPU need not repeat itself."""
    for kind, heard in outcomes.items():
        at, before = heard.differs_at(quiet[kind]), heard.until(lost_s) if lost_s is not None else None
        row: dict[str, Any] = {"step": step, "kind": kind, "differs_at": at, "at_loss": before}
        row.update(characters=heard.characters, tokens=heard.tokens, ends=heard.ends, logprobs=heard.logprobs)
        row.update(failure=heard.failure, texts=heard.texts, ended_s=round((heard.ended_s or 0) - (lost_s or 0), 3))
        report.rows.append(row)
        same = "same" if at is None else f"differs at {at}"
        if is_openai(kind) and lost_s is not None:
            report.say(f"{step}, {kind}: {heard.failure or same}, ended {row['ended_s']} s after; {before} characters")
            continue
        fits = not kind.startswith("regex") or re.fullmatch(numbers(tokens), heard.texts[0])
        is_right = heard.ends == 1 and not heard.failure and bool(fits)
        is_long = (heard.tokens, heard.logprobs) == (quiet[kind].tokens, quiet[kind].logprobs)
        said = f"{heard.tokens} tokens, {heard.ends} end {heard.failure}"
        report.check(
            f"{step}, {kind}",
            is_right and (is_long or at is not None),
            f"{same}, at loss {before} of {heard.characters}, {said}",
        )


def _check_nothing_left(report: Report) -> None:
    code, text = smoke.ask(f"{smoke.V1}/metrics")
    names = ("vllm:kv_cache_usage_perc", "vllm:num_requests_running", "vllm:num_requests_waiting")
    left = [line for line in text.splitlines() if line.startswith(names) and float(line.split()[-1])]
    report.check("nothing is left in the engine", code == 200 and not left, left)


if __name__ == "__main__":
    sys.exit(smoke.main(run, PLAN))
