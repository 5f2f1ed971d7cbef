"""The definitions footer: each metric's formula, from the docstring of the file that computes it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module

METRICS: Mapping[str, str] = {
    "ttft": "TTFT",
    "tpot": "TPOT",
    "itl": "ITL",
    "e2e": "E2E",
    "e2e_from_schedule": "E2E from schedule",
    "request_throughput": "Request throughput",
    "output_token_throughput": "Output token throughput",
    "total_token_throughput": "Total token throughput",
    "goodput": "Goodput",
}


def formulas() -> list[tuple[str, str]]:
    """Short name and text of each metric; a test compares the names with the files."""
    return [(name, text(module)) for module, name in METRICS.items()]


def text(module: str) -> str:
    """The docstring of ``trident.bench.metrics.<module>`` as running text."""
    found = inspect.getdoc(import_module(f"trident.bench.metrics.{module}")) or ""
    return " ".join(found.replace("``", "").split())
