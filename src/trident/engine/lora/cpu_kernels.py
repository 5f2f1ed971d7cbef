"""Corrects vLLM's LoRA kernels for CPUs.

In a batch of several adapters a token without one carries the slot -1. The kernels in PyTorch index with it and so give
that token the adapter of the last slot (vLLM 0.32; seen as answers of an adapter that nobody had asked for).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from vllm.lora.ops.torch_ops import lora_ops
from vllm.lora.punica_wrapper import punica_cpu

KERNELS = ("bgmv_shrink", "bgmv_expand", "bgmv_expand_slice")


def correct() -> None:
    """In this process and those that it forks."""
    for name in KERNELS:
        kernel = _masking(getattr(lora_ops, name))
        for module in (lora_ops, punica_cpu):
            setattr(module, name, kernel)


def _masking(kernel: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(kernel)
    def masked(inputs: Any, weights: Any, output: Any, slots: Any, *rest: Any, **named: Any) -> None:
        """What goes in for a token without an adapter is zero, and so is what is added to its output."""
        kernel(inputs.masked_fill((slots < 0).unsqueeze(1), 0), weights, output, slots, *rest, **named)

    return masked
