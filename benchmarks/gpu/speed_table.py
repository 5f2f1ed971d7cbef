"""Tables for ``docs/performance.md`` from what ``speed.py`` has written:

python benchmarks/gpu/speed_table.py speed.json
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from speed_plan import ALONE

Row = dict[str, Any]


def main() -> None:
    """Prints them."""
    told = json.loads(Path(sys.argv[1]).read_text())
    rows: list[Row] = [row for row in told["rows"] if row["setup"] != "warm-up"]
    mixes = sorted({(row["output_tokens"], row["streams"]) for row in rows}, reverse=True)
    print(f"{json.dumps(told['facts']['machine'])}\n{json.dumps(told['facts']['engine'])}\n")
    for tokens in sorted({tokens for tokens, _ in mixes}, reverse=True):
        levels = sorted(streams for mix, streams in mixes if mix == tokens)
        of_mix = [row for row in rows if row["output_tokens"] == tokens]
        print(f"### {tokens} tokens out\n\nOutput tokens per second; in brackets the share of the engine alone.\n")
        print(table(of_mix, levels, lambda row: f"{row['tokens_per_s']:,.0f}", share_of_alone(of_mix)))
        print("\nTime to first token, p50 / p99, ms\n")
        print(table(of_mix, levels, lambda row: pair(row["ttft_ms"])))
        print("\nTime per token after it, p50 / p99, ms\n")
        print(table(of_mix, levels, lambda row: pair(row["tpot_ms"])))
        print("\nTokens in one event\n")
        print(table(of_mix, levels, lambda row: str(row["tokens_per_event"] or "–")))
    print("\n### CPU seconds for 1,000 tokens\n")
    print(cpu_table(rows))
    print("\n### Starts\n\n| server | first token, s | how |\n| --- | ---: | --- |")
    for start in told["facts"].get("starts", []):
        print(f"| {start['server']} | {start['first_token_s']} | {start['note']} |")
    print("\nNot measured: " + ("; ".join(told["not measured"]) or "nothing"))


def door_of(row: Row) -> str:
    return row["door"] + (f", {row['setup']}" if row["setup"] else "")


def share_of_alone(rows: list[Row]) -> Callable[[list[Row]], str]:
    """What a cell's median is of the engine's own with as many streams."""

    def share(cell: list[Row]) -> str:
        own = [row["tokens_per_s"] for row in rows if row["door"] == ALONE and row["streams"] == cell[0]["streams"]]
        if not own or cell[0]["door"] == ALONE:
            return ""
        return f" ({statistics.median(row['tokens_per_s'] for row in cell) / statistics.median(own):.2f})"

    return share


def table(
    rows: list[Row], levels: list[int], said: Callable[[Row], str], behind: Callable[[list[Row]], str] = lambda _: ""
) -> str:
    """Doors down, streams across; several measurements of one cell stand beside each other."""
    lines = ["| door | " + " | ".join(f"{level}" for level in levels) + " |", "| --- |" + " ---: |" * len(levels)]
    for door in dict.fromkeys(door_of(row) for row in rows):
        cells = []
        for level in levels:
            cell = [row for row in rows if door_of(row) == door and row["streams"] == level]
            failed = sum(row["failed"] for row in cell)
            text = " · ".join(said(row) for row in cell) + behind(cell) if cell else "–"
            cells.append(text + (f" ({failed} failed)" if failed else ""))
        lines.append(f"| {door} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def pair(quantiles: dict[str, float]) -> str:
    return f"{quantiles['p50']:.1f} / {quantiles['p99']:.1f}" if quantiles else "–"


def cpu_table(rows: list[Row]) -> str:
    """Each process's share at each mix; the engine core spins while the GPU works, so its own says little."""
    names = list(dict.fromkeys(name for row in rows for name in row["cpu_s_per_1000_tokens"]))
    lines = ["| door | streams × out | " + " | ".join(names) + " |", "| --- | --- |" + " ---: |" * len(names)]
    for row in rows:
        spent = row["cpu_s_per_1000_tokens"]
        values = [f"{spent[name]:.3f}" if name in spent else "–" for name in names]
        lines.append(f"| {door_of(row)} | {row['streams']} × {row['output_tokens']} | " + " | ".join(values) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
