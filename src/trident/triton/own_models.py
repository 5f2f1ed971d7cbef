"""Triton's models that stand for MODEL: their contracts and how their ``config.pbtxt`` is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from trident.config.models import Config
from trident.triton.stub.contract import GENERATE, RECIPE, Contract, TensorSpec

_CONFIG = """\
name: {name}
backend: "python"
max_batch_size: 0
model_transaction_policy {{ decoupled: {decoupled} }}
input [
{inputs}
]
output [
{outputs}
]
instance_group [ {{ count: {count} kind: KIND_CPU }} ]
{parameters}
"""


class OwnModel(NamedTuple):
    """One of them. ``stubs`` are its processes, ``defaults`` the sampling parameters that a request does not send."""

    name: str
    contract: Contract
    stubs: int
    is_decoupled: bool
    defaults: dict[str, Any]


def own_models(config: Config) -> list[OwnModel]:
    """All of them.

    Triton refuses plain infer to a decoupled model and streams to any other, so one contract needs two models. Answers
    in one piece are few: the second needs fewer stubs.
    """
    contracts, count = config.contracts, config.stubs.count
    defaults = {
        "max_tokens": contracts.recipe_max_tokens,
        "temperature": contracts.recipe_temperature,
        "top_p": contracts.recipe_top_p,
        "stop": list(contracts.recipe_stop),
    }
    return [
        OwnModel(contracts.generate_name, GENERATE, count, True, {}),
        OwnModel(contracts.infer_name, GENERATE, (count + 1) // 2, False, {}),
        OwnModel(contracts.recipe_name, RECIPE, count, False, defaults),
    ]


def configuration(model: OwnModel, parameters: Mapping[str, str]) -> str:
    """The text of ``config.pbtxt``."""
    # A JSON string is a valid protobuf text string for the characters that occur here.
    lines = [
        f"parameters {{ key: {json.dumps(key)} value {{ string_value: {json.dumps(value)} }} }}"
        for key, value in parameters.items()
    ]
    return _CONFIG.format(
        name=json.dumps(model.name),
        decoupled=str(model.is_decoupled).lower(),
        inputs=_tensors(model.contract.inputs),
        outputs=_tensors(model.contract.outputs),
        count=model.stubs,
        parameters="\n".join(lines),
    )


def _tensors(tensors: tuple[TensorSpec, ...]) -> str:
    return ",\n".join(
        f'  {{ name: "{tensor.name}" data_type: {tensor.data_type} dims: [ {tensor.dims} ]'
        + (" optional: true }" if tensor.is_optional else " }")
        for tensor in tensors
    )
