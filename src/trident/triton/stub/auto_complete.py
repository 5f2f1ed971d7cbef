"""Completes the configuration of a ``backend: "vllm"`` model as Triton's own vLLM backend does it."""

from __future__ import annotations

from typing import Any

from trident.triton.stub.contract import GENERATE


def complete(config: Any) -> Any:
    """Adds what the user has not declared; ``config`` is Triton's ``ModelConfig``. What he has declared stays his.

    Raises ValueError, in Triton's own words, for a ``max_batch_size`` above 0 and for ``decoupled: false``.
    """
    declared = config.as_dict()
    inputs, outputs = ({tensor["name"] for tensor in declared[kind]} for kind in ("input", "output"))
    for tensor in GENERATE.inputs:
        if tensor.name not in inputs:
            named = {"name": tensor.name, "data_type": tensor.data_type, "dims": [tensor.dims]}
            config.add_input({**named, "optional": tensor.is_optional})
    for tensor in GENERATE.outputs:
        if tensor.name not in outputs:
            config.add_output({"name": tensor.name, "data_type": tensor.data_type, "dims": [tensor.dims]})
    config.set_model_transaction_policy({"decoupled": True})
    config.set_max_batch_size(0)  # vLLM does the batching
    return config
