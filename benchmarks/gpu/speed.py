"""What the engine gives, alone and through each server, on one machine in one go.

``speed.sh`` runs it on a GPU machine. Engine alone, Trident and ``vllm serve`` are started side by side with the same
engine arguments, idle while another is measured; the doors take turns. It follows ``speed_plan.py`` until
``--budget-s`` and writes ``speed.json`` after each step; ``speed_table.py`` makes tables of it. ``here.py`` says how it
is tried out on a CPU.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import smoke
import speed_cpus
import speed_load
import speed_machine
import speed_servers
from speed_client import lengths, prompts
from speed_load import Load, Outcome
from speed_plan import ALONE, ENGINES, LONG, PLANS, Measure, Nice, Pin, Start, Step, Together, needed_s
from speed_rows import cpu_s, in_words, row_of, waited_s, watchers
from speed_servers import Alone, NotStarted, Started
from speed_triton import Recipe, Trident, Variant, beside, with_engine
from unsupervised import Place

from trident.runtime import core_cpus

VLLM_PORTS = {"vllm-serve-python": 19101, "vllm-serve-rust": 19102}
GRAPHS_PORT = 19300
VLLM_GRAPHS = {"max_cudagraph_capture_size": 512}
"""vLLM's own, where a second Trident beside it has larger ones, as is the default."""
RECIPE_PORTS = (19200, 19201, 19202)


class Run:
    """What is there and what was seen; every step is written down as it comes."""

    def __init__(self, asked: argparse.Namespace, place: Place) -> None:
        self.asked = asked
        self.place = place
        self.begun_s = time.monotonic()
        self.servers: dict[str, Started] = {}
        self.rows: list[dict[str, Any]] = []
        self.left_out: list[str] = []
        self.facts: dict[str, Any] = {"machine": speed_machine.facts(), "engine": asked.engine, "command": sys.argv}
        self.cache = asked.out / "caches" if asked.build == "cpu" else Path.home() / "speed-caches"
        self.cores: list[list[int]] = []
        self.deadline_s = self.begun_s + float(asked.budget_s)
        self._seed = time.time_ns() % 2**31

    def say(self, text: str) -> None:
        """With the seconds since the beginning."""
        print(f"[{time.monotonic() - self.begun_s:6.1f}] {text}", flush=True)

    def save(self) -> None:
        """Whole or not at all: the run may be cut off at any moment."""
        path, new = self.asked.out / "speed.json", self.asked.out / "speed.json.new"
        new.write_text(json.dumps({"facts": self.facts, "rows": self.rows, "not measured": self.left_out}, indent=1))
        new.replace(path)

    def left_s(self) -> float:
        """Of the budget."""
        return self.deadline_s - time.monotonic()

    def start(self, name: str) -> None:
        """One server, without waiting."""
        engine, builds = self.asked.engine, self.makers()
        self.servers[name] = builds[name](engine)
        self.say(f"{name} starts")

    def makers(self) -> dict[str, Callable[[dict[str, Any]], Started]]:
        """By name; ``vllm serve`` in Rust finds what Trident has compiled."""
        serve = speed_servers.vllm_serve
        python, rust = VLLM_PORTS["vllm-serve-python"], VLLM_PORTS["vllm-serve-rust"]
        cache = self.cache
        others = {
            name: functools.partial(
                lambda name, engine: Alone(name, self.place, {**engine, **ENGINES[name]}, cache / name), name
            )
            for name in ENGINES
        }
        return {
            **others,
            "trident": lambda engine: Trident(
                self.place if "graphs" not in self.asked.first else with_engine(self.place, {**engine, **VLLM_GRAPHS}),
                cache / "trident",
                self.asked.stubs,
                variants(self.asked),
            ),
            "graphs": lambda engine: Trident(
                beside(self.place, "graphs", engine, GRAPHS_PORT), cache / "graphs", self.asked.stubs, [], "Graphs"
            ),
            ALONE: lambda engine: Alone(ALONE, self.place, engine, cache / "alone"),
            "vllm-serve-python": lambda engine: serve(self.place, python, engine, cache / "vllm", is_rust=False),
            "vllm-serve-rust": lambda engine: serve(self.place, rust, engine, cache / "trident", is_rust=True),
        }

    def start_all(self, names: tuple[str, ...], note: str) -> None:
        """Side by side; those that do not start are left out."""
        for name in names:
            self.start(name)
        for name in names:
            self.wait(name, note)

    def wait(self, name: str, note: str) -> None:
        """Until it serves; the seconds to its first token are kept."""
        server = self.servers[name]
        try:
            asked_for_s = self.asked.start_s - (time.monotonic() - server.begun_s)
            server.wait(max(5.0, min(asked_for_s, self.left_s() - 5)))
        except NotStarted as error:
            self.say(f"NOT STARTED {error}")
            self.left_out.append(f"{name}: not started")
            server.stop()
            del self.servers[name]
            return
        start = {"server": name, "first_token_s": round(server.first_token_s or 0, 1), "note": note}
        if isinstance(server, Trident):
            start["phases"] = [[phase, round(seconds, 1)] for phase, seconds in server.phases()]
            ready = server.ready()
            self.facts[name] = ready.facts if ready is not None else {}
        self.facts.setdefault("starts", []).append(start)
        self.say(f"{name}: first token after {start['first_token_s']} s {start.get('phases', '')}")
        self.save()

    def door(self, step: Measure) -> tuple[Started, Any] | None:
        """Whose it is; None when it is not there."""
        for server in self.servers.values():
            if step.door in server.doors:
                return server, server.doors[step.door]
        return (self.servers[step.door], None) if step.door in self.servers else None

    def measure(self, step: Measure) -> None:
        """One row."""
        found = self.door(step)
        if found is None:
            self.left_out.append(f"{step.label}: no such server")
            return
        server, door = found
        streams, tokens = min(step.streams, self.asked.most_streams), min(step.tokens, self.asked.most_tokens)
        self._seed += 1000
        load = Load(streams, streams * step.waves, tokens, self.asked.words, self._seed, step.is_mixed)
        before, waited = cpu_s(server), waited_s(server)
        watched, profilers = watchers(server), self.profilers(server, step)
        if door is None:
            outcome = alone(server, load)
        else:
            with speed_cpus.on(self.of_nobody()):
                outcome = speed_load.run(door, load, self.asked.clients, min(self.asked.limit_s, self.left_s()))
        seen = {name: watcher.said() for name, watcher in watched.items()}
        spent = {name: value - before.get(name, 0.0) for name, value in cpu_s(server).items()}
        row = row_of(step, outcome, {**spent, "clients": outcome.client_cpu_s}, waited_s(server) - waited)
        row.update(seen)
        self.rows.append(row)
        self.say(in_words(row))
        for profiler in profilers:
            self.say(profiler.end())

    def measure_together(self, step: Together) -> None:
        """One row, of all engines at once: what the last of them ends with."""
        servers = [self.servers[name] for name in step.engines if name in self.servers]
        each = step.streams // len(step.engines)
        self._seed += 1000
        loads = [
            Load(each, each * step.waves, step.tokens, self.asked.words, self._seed + n) for n in range(len(servers))
        ]
        with ThreadPoolExecutor(len(loads)) as pool:
            outcomes = list(pool.map(alone, servers, loads))
        rate = sum(one.tokens for one in outcomes) / max(one.seconds for one in outcomes)
        row = {
            "engines": step.engines,
            "streams": step.streams,
            "output_tokens": step.tokens,
            "tokens_per_s": round(rate),
        }
        self.rows.append(row)
        self.say(str(row))

    def of_nobody(self) -> set[int]:
        """CPUs that no engine core has for itself: clients would be on another machine."""
        tridents = [server for server in self.servers.values() if isinstance(server, Trident)]
        return os.sched_getaffinity(0) - {cpu for one in tridents for core in one.shares.of_cores for cpu in core}

    def profilers(self, server: Started, step: Measure) -> list[speed_cpus.Profiler]:
        """None unless the step asks for them and py-spy is there."""
        if not step.is_profiled:
            return []
        folder = self.asked.out / "profiles"
        named, door = server.named(), step.door.replace(" ", "-")
        try:
            return [
                speed_cpus.Profiler(process, folder / f"{door}-{name.replace(' ', '-')}.txt")
                for name in ("engine core", "relay", "server")
                for process in named.get(name, [])
            ]
        except FileNotFoundError:
            self.left_out.append(f"{step.label}: no py-spy")
            return []

    def place_all(self, step: Pin | Nice) -> None:
        """Moves Trident's processes; the others are idle when it is measured."""
        tridents = [server for server in self.servers.values() if isinstance(server, Trident)]
        if isinstance(step, Nice):
            for trident in tridents:
                self.say(speed_cpus.set_niceness(trident, step.who, step.niceness))
            return
        if not self.cores:
            self.cores, paces = speed_cpus.true_cores()
            self.facts["cores"], self.facts["pace_of_cpu_0_beside"] = self.cores, paces
            self.say(f"cores {self.cores}; pace of CPU 0 beside each other: {paces}")
        for trident in tridents:
            self.say(speed_cpus.place(trident, self.cores, step.cores, step.who, is_split=step.is_split))


def alone(server: Started, load: Load) -> Outcome:
    """The same load without a server."""
    assert isinstance(server, Alone)
    asked = prompts(load.requests, load.words, load.seed)
    each = lengths(load.requests, load.tokens, load.seed, is_mixed=load.is_mixed)
    told = server.order({"kind": "loop", "streams": load.streams, "prompts": asked, "tokens": each})
    times = (told["first_s"], told["per_token_s"], told["end_s"])
    return Outcome(load, told["seconds"], *times, tokens=told["tokens"], events=0, size_bytes=0, client_cpu_s=0.0)


def variants(asked: argparse.Namespace) -> list[Variant]:
    """``name:stubs:share``."""
    split = [word.split(":") for word in asked.variants.split()]
    return [Variant(name, int(stubs), float(share)) for name, stubs, share in split]


def follow(run: Run, steps: list[Step]) -> None:
    """Walks through the plan while there is time."""
    for step in steps:
        if run.left_s() < needed_s(step) * run.asked.patience:
            run.left_out.append(f"{step.label if isinstance(step, Measure) else step}: no time")
        elif isinstance(step, Measure):
            try:
                run.measure(step)
            except Exception as error:  # noqa: BLE001 - a visit is dear: the other steps go on
                run.say(f"FAILED {step.label}: {error!r}")
                run.left_out.append(f"{step.label}: {error!r}")
        elif isinstance(step, Together):
            run.measure_together(step)
        elif isinstance(step, Pin | Nice):
            try:
                run.place_all(step)
            except (OSError, psutil.Error) as error:
                run.say(f"FAILED {step}: {error!r}")
        elif isinstance(step, Start):
            run.start_all(step.servers, step.note)
        elif (server := run.servers.pop(step.server, None)) is not None:
            server.stop()
        run.save()


def begin(run: Run) -> None:
    """Everything that has room, side by side."""
    first = tuple(run.asked.first.split(","))
    run.start_all(first, f"nothing compiled before, beside {len(first) - 1} others")
    if run.asked.recipe and isinstance(llm := run.servers.get(ALONE), Alone):
        run.servers["recipe"] = Recipe(run.place, llm, run.asked.out, RECIPE_PORTS)
        run.wait("recipe", "its LLM was there")


def arguments() -> argparse.Namespace:
    """``smoke.py``'s, and this program's own."""
    parser = smoke.parser("")
    parser.add_argument(
        "--variants", default="share25:4:0.25 share50:4:0.5 eight25:8:0.25", help="name:stubs:share ..."
    )
    parser.add_argument("--first", default=f"trident,vllm-serve-python,{ALONE}", help="started side by side")
    parser.add_argument("--steps", default="all", choices=PLANS, help="which of speed_plan.py's")
    parser.add_argument("--recipe", action=argparse.BooleanOptionalAction, default=True, help="the one people run, too")
    parser.add_argument("--start-s", type=float, default=300, help="a server that takes longer is left out")
    parser.add_argument("--measure-s", type=float, default=math.inf, help="once all have started, within the budget")
    parser.add_argument("--most-streams", type=int, default=10_000)
    parser.add_argument("--most-tokens", type=int, default=LONG)
    parser.add_argument("--core-cpus", type=int, default=0, help="each engine core of Trident gets so many CPUs")
    parser.add_argument("--commit", default="", help="of Trident, for the record")
    parser.add_argument("--patience", type=float, default=1.0, help="how much slower than an H100 the machine is")
    return parser.parse_args()


def main() -> int:
    """Exit code 0 when something was measured."""
    asked = arguments()
    place = smoke.place_of(asked)
    by_default = core_cpus.wanted(place.config, asked.build, os.cpu_count() or 1, core_cpus.machine_gpus())
    runtime = place.config.runtime.model_copy(update={"core_cpus": asked.core_cpus})
    run = Run(asked, replace(place, config=place.config.model_copy(update={"runtime": runtime})))
    run.facts["core_cpus"] = {"asked": asked.core_cpus, "by default here": by_default}
    if asked.build == "cuda" and not run.facts["machine"]["gpu"]:
        print(
            "speed.py: there is no GPU here.\n"
            "  why: nvidia-smi, which comes with the driver, does not answer\n"
            "  next: run it on a machine with a GPU, or with --build cpu for a rehearsal on the demo model",
            file=sys.stderr,
        )
        return 2
    run.facts["commit"] = asked.commit
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that what was started is stopped
    try:
        if asked.build == "cuda":
            run.facts["measured limits"] = speed_machine.limits(asked.engine_python)  # while there is room
            run.say(f"{run.facts['measured limits']}, {run.facts['core_cpus']}")
        begin(run)
        run.deadline_s = min(run.deadline_s, time.monotonic() + asked.measure_s)
        doors = [f"Trident {variant.name}" for variant in variants(asked)]
        follow(run, PLANS[asked.steps](doors))
    finally:
        run.save()
        run.say(f"{len(run.rows)} rows; not measured: {run.left_out}")
        for server in reversed(list(run.servers.values())):
            server.stop()
    return 0 if run.rows else 1


if __name__ == "__main__":
    sys.exit(main())
