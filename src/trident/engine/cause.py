"""Finds out why an engine process died while starting, from its own exception rather than from its log.

vLLM logs the exception in the child and tells the parent only that something failed. What makes log records is
inherited by fork, and writes the innermost exception to a file that the parent reads. A handler would not do: vLLM's
child sets up its logging anew.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from trident.protocol.status import Failed

_HINTS = (
    (
        "kv_cache_memory",
        "give the KV cache less memory: kv_cache_memory_bytes under [engine], or a smaller max_model_len",
    ),
    (
        "cache blocks",
        "give the KV cache more memory: kv_cache_memory_bytes under [engine], on a GPU gpu_memory_utilization",
    ),
    ("kv cache", "lower max_model_len, or give the engine more memory (gpu_memory_utilization, kv_cache_memory_bytes)"),
    ("gpu memory utilization", "free GPU memory (nvidia-smi shows who holds it) or lower gpu_memory_utilization"),
    ("memory utilization", "free memory or lower gpu_memory_utilization under [engine]"),
    ("out of memory", "lower gpu_memory_utilization or max_model_len, or use a smaller or quantised model"),
    ("max_model_len", "set max_model_len under [engine] to at most what the model supports"),
    ("trust_remote_code", "set trust_remote_code = true under [engine] if you trust the model's own code"),
    ("safetensor", "the weights look damaged: fetch the model again"),
    ("does not recognize this architecture", "serve a model with an architecture that this vLLM knows"),
    ("not supported for now", "serve a model with an architecture that this vLLM knows"),
    ("chat template", "correct chat_template under [openai]"),
    ("max_lora_rank", "set max_lora_rank under [engine] to at least the largest rank of the adapters"),
    ("lora", "correct the adapters: lora_modules under [openai], lora_dir under [adapters]"),
    ("address already in use", "choose another --openai-port"),
)


class Recorder:
    """Keeps the first logged exception of any process that inherits it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._make_record = logging.getLogRecordFactory()
        path.unlink(missing_ok=True)
        logging.setLogRecordFactory(self._record)

    def _record(self, name: str, level: int, *rest: Any, **more: Any) -> logging.LogRecord:
        record = self._make_record(name, level, *rest, **more)
        # The first exception is the cause; what is logged after it is consequence.
        if level >= logging.ERROR and record.exc_info and record.exc_info[1] and not self._path.exists():
            self._path.write_text(describe(record.exc_info[1]), encoding="utf-8")
        return record

    def recorded(self) -> str | None:
        """What a child recorded, if any did."""
        return self._path.read_text(encoding="utf-8") if self._path.exists() else None


_TRACED = re.compile(r"raised exception (\w+)\(\[ConstantVariable\(str: (['\"])(.+?)\2\)")
"""How torch.compile tells of an exception of the code that it traces; its cause says only that there was one."""


def describe(error: BaseException) -> str:
    """One line for an exception, from the innermost one that caused it."""
    while error.__cause__ is not None:
        if traced := _TRACED.search(str(error)):
            return f"{traced[1]}: {traced[3]}"
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "validation error" in lines[0] and len(lines) > 1:
        # pydantic's first line only counts; the next ones say where and what.
        lines = [": ".join(lines[1:3])]
    text = lines[0] if lines else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def was_killed(error: BaseException) -> bool:
    """A signal has ended one of the engine's processes while it started; vLLM words it with a negative exit code."""
    return re.search(r"(?i)failed (core|frontend) proc\(s\): \{.*: -\d+", str(error)) is not None


def failed(what: str, why: str) -> Failed:
    """The three lines for a failed start; the next step follows from the cause where it is a known one."""
    low = why.lower()
    hints = [hint for sign, hint in _HINTS if sign in low]
    return Failed(what, why, hints[0] if hints else "read the engine's log, change what it names, start again")
