"""Triton's ``vllm`` backend: the contract of ``generate`` for models that lie in a repository as ``model.json``."""

from __future__ import annotations

from typing import Any

from trident.triton.stub import auto_complete, generate


class TritonPythonModel(generate.TritonPythonModel):
    """Triton's entry point."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Called in a process of its own, before the model is loaded."""
        return auto_complete.complete(config)
