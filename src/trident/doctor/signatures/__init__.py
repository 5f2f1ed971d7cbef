"""Causes of failed starts that are recognised in logs, the special ones before the general."""

from __future__ import annotations

from trident.doctor.signatures import machine, triton, vllm
from trident.doctor.signatures.signature import Signature

SIGNATURES: tuple[Signature, ...] = (*triton.SIGNATURES, *vllm.SIGNATURES, *machine.SIGNATURES)

__all__ = ["SIGNATURES", "Signature"]
