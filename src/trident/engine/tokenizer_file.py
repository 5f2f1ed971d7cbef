"""Gives the stubs the very tokenizer that vLLM uses."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from vllm.v1.engine.detokenizer import uses_fast_detokenizer


class NoFastTokenizer(ValueError):
    """The model's tokenizer exists only in a form that needs vLLM's own environment."""


def write(tokenizer: Any, run_dir: Path) -> Path:
    """Writes ``tokenizer.json`` as vLLM has it in memory (added tokens, special flags and all) and returns its path.

    Raises NoFastTokenizer for a tokenizer without a Rust core: stubs cannot turn its tokens into text.
    """
    if not uses_fast_detokenizer(tokenizer):
        raise NoFastTokenizer(
            f"the model's tokenizer ({type(tokenizer).__name__}) has no tokenizer.json form, which the stubs need"
        )
    path = run_dir / "tokenizer.json"
    path.write_text(tokenizer._tokenizer.to_str(), encoding="utf-8")
    return path


def fingerprint(path: Path, model_path: str) -> str:
    """Equal for engines that serve the same model with the same tokens."""
    return hashlib.sha256(path.read_bytes() + model_path.encode()).hexdigest()
