"""Our workload in the forms that other tools read.

Lengths are those of our own run, request by request; the words differ, or the second tool would find the first one's
prompts in the server's prefix cache. A file of the user's own is the same for both, and its prefixes are cached.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from trident.bench.exchange import Ask
from trident.bench.plan import Target, Workload
from trident.bench.workload import conversations
from trident.errors import ConfigurationError


def asks(workload: Workload, tool: str, point: int, count: int) -> list[Ask]:
    """The first ``count`` requests of load level ``point``. Raises ConfigurationError for conversations in a file: the
    tools play them in other ways."""
    other = msgspec.structs.replace(workload, nonce=f"{workload.nonce}/{tool}/{point}")
    made = conversations(other)
    turns = [made[index].turns for index in range(count)]
    if any(len(each) > 1 for each in turns):
        raise ConfigurationError(
            f"--engine {tool} cannot repeat conversations", "the workload's file has several turns",
            "leave out --engine",
        )  # fmt: skip
    return [Ask(each[0].messages, each[0].max_tokens) for each in turns]


def body(ask: Ask, target: Target, workload: Workload) -> dict[str, Any]:
    """The JSON that our own client sends for this request."""
    fields: dict[str, Any] = {"model": target.model, "stream": True, "temperature": workload.temperature}
    if target.asks_token_counts:
        fields["stream_options"] = {"include_usage": True}
    if workload.ignore_eos:
        fields["ignore_eos"] = True
    if target.api == "openai-chat":
        return {**fields, "messages": ask.messages, "max_completion_tokens": ask.max_tokens}
    return {**fields, "prompt": ask.prompt, "max_tokens": ask.max_tokens}


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def stand_in_tokenizer(folder: Path) -> Path:
    """A tokenizer that knows no word. The tools want one, and count input tokens with it: those counts are not taken
    over. Output tokens are counted by the server."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
