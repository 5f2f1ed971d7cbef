"""CPU microseconds per streamed token by process at 64 streams, and the memory of the control side.

    python benchmarks/cpu_per_token.py [ROUNDS [ARGUMENTS OF trident serve, for instance --gateway]]

User and system time of each process over a run of 192 requests of 128 tokens. The stub's own work is measured apart:
its engine thread fed by a small host over the real sockets, with answers that send nothing. A gateway is measured at
the OpenAI door too, where each token is an event of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import urllib.parse

import psutil
import servers
import streams
import stub_work

STREAMS, REQUESTS, TOKENS = 64, 192, 128
GATEWAY = ("gateway", "gateway, OpenAI")


def _processes(server: servers.Server) -> dict[str, psutil.Process]:
    state = server.state()
    found = {"supervisor": psutil.Process(state["process"]["pid"])}
    for child in state["children"]:
        name = "relay" if child["name"] == "engine host" else child["name"]
        found[name] = psutil.Process(child["process"]["pid"])
        found.update({part: psutil.Process(process["pid"]) for part, process in child["parts"].items()})
    return found


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _openai(server: servers.Server) -> streams.Target:
    port = urllib.parse.urlsplit(server.state()["urls"]["OpenAI"]).port
    assert port is not None
    return streams.openai(port, "demo")


def main() -> None:
    """Prints each run and the medians against the targets."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    spent: dict[str, list[float]] = {}
    with servers.trident(*sys.argv[2:]) as server:
        processes = _processes(server)
        asyncio.run(streams.run(server.target, streams=STREAMS, requests=STREAMS, tokens=TOKENS, seed=999))
        for number in range(rounds):
            before = {name: _cpu_s(process) for name, process in processes.items()}
            result = asyncio.run(
                streams.run(server.target, streams=STREAMS, requests=REQUESTS, tokens=TOKENS, seed=number)
            )
            us = {name: 1e6 * (_cpu_s(process) - before[name]) / result.tokens for name, process in processes.items()}
            us["stubs"] = sum(value for name, value in us.items() if name.startswith("stub"))
            us["whole front"] = us["relay"] + us["stubs"] + us["tritonserver"]
            for name, value in us.items():
                spent.setdefault(name, []).append(value)
            print(f"run {number}: {result.summary()}", flush=True)
            if "gateway" in processes:
                before_s = _cpu_s(processes["gateway"])
                asked = streams.run(_openai(server), streams=STREAMS, requests=REQUESTS, tokens=TOKENS, seed=number)
                result = asyncio.run(asked)
                spent_us = 1e6 * (_cpu_s(processes["gateway"]) - before_s) / result.tokens
                spent.setdefault("gateway, OpenAI", []).append(spent_us)
                print(f"run {number}, OpenAI: {result.summary()}", flush=True)
        memory = {
            name: process.memory_info().rss / 2**20
            for name, process in processes.items()
            if name == "supervisor" or name.startswith("stub")
        }
    own = stub_work.measure_us()
    print(f"\nCPU µs per token, median of {rounds} runs:")
    for name in ("relay", "stubs", "tritonserver", "whole front", "engine core", "supervisor", *GATEWAY):
        if name in spent:
            print(f"  {name:15s} {statistics.median(spent[name]):7.1f}")
    print(f"  {'stub, own work':15s} {own:7.1f}")
    print(f"memory of the control side: {sum(memory.values()):.0f} MiB ({', '.join(memory)})")


if __name__ == "__main__":
    main()
