"""Writes Triton's model repository: the models that stand for the one engine."""

from __future__ import annotations

import json
import os
import py_compile
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from trident.config.models import Config
from trident.protocol.spec import StubSpec
from trident.triton import shadow
from trident.triton.stub import contract

RESPONSE_SHARE = {"cpu": 0.4, "cuda": 1.0}
"""By engine build: a CPU engine needs the cores that responses would take (measured, see docs/architecture.md)."""

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
parameters {{ key: "trident" value {{ string_value: {spec} }} }}
"""

_MODEL = """\
\"\"\"Trident's stub; what it does is in that module.\"\"\"

from trident.triton.stub.{module} import TritonPythonModel

__all__ = ["TritonPythonModel"]
"""


def write(config: Config, relays: list[str], build: Literal["cpu", "cuda"]) -> Path:
    """Makes ``repository`` in the run directory afresh and returns it: our models, and links to the user's.

    ``relays`` are the addresses of the engine hosts, ``build`` the engine's. Raises ConfigurationError.
    """
    repository = config.run_dir / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir(parents=True)
    shadow.follow(config, repository)
    if config.model is not None:
        _write_own(repository, config, relays, build)
    return repository


def _write_own(repository: Path, config: Config, relays: list[str], build: Literal["cpu", "cuda"]) -> None:
    contracts = config.contracts
    defaults = {
        "max_tokens": contracts.recipe_max_tokens,
        "temperature": contracts.recipe_temperature,
        "top_p": contracts.recipe_top_p,
        "stop": list(contracts.recipe_stop),
    }
    stub = StubSpec(
        relays=relays,
        sockets_dir=os.fspath(config.sockets_dir),
        start_timeout_s=config.supervision.start_timeout_s,
        response_share=config.stubs.response_share or RESPONSE_SHARE[build],
        defaults={},
    )
    count = config.stubs.count
    # Triton refuses plain infer to a decoupled model and streams to any other, so the same contract needs two models.
    # Answers in one piece are few: the second needs fewer stubs.
    _write_model(repository, contracts.generate_name, contract.GENERATE, stub, count, decoupled=True)
    _write_model(repository, contracts.infer_name, contract.GENERATE, stub, (count + 1) // 2)
    recipe = msgspec.structs.replace(stub, defaults=defaults)
    _write_model(repository, contracts.recipe_name, contract.RECIPE, recipe, count)


def _write_model(
    repository: Path, name: str, tensors: contract.Contract, stub: StubSpec, count: int, *, decoupled: bool = False
) -> None:
    version = repository / name / "1"
    version.mkdir(parents=True)
    # A JSON string is a valid protobuf text string for the characters that occur here.
    text = _CONFIG.format(
        name=json.dumps(name),
        decoupled=str(decoupled).lower(),
        inputs=_tensors(tensors.inputs),
        outputs=_tensors(tensors.outputs),
        count=count,
        spec=json.dumps(msgspec.json.encode(stub).decode(), ensure_ascii=True),
    )
    (repository / name / "config.pbtxt").write_text(text, encoding="utf-8")
    module = version / "model.py"
    module.write_text(_MODEL.format(module=tensors.module), encoding="utf-8")
    # The stub would do it, and a tritonserver that polls would take the younger folder for another model.
    py_compile.compile(os.fspath(module), doraise=True)


def _tensors(tensors: tuple[contract.TensorSpec, ...]) -> str:
    return ",\n".join(
        f'  {{ name: "{tensor.name}" data_type: {tensor.data_type} dims: [ {tensor.dims} ]'
        + (" optional: true }" if tensor.is_optional else " }")
        for tensor in tensors
    )
