"""Writes Triton's model repository: two models that stand for the one engine."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from trident.config.models import Config
from trident.protocol.spec import StubSpec

RESPONSE_SHARE = {"cpu": 0.4, "cuda": 1.0}
"""By engine build: a CPU engine needs the cores that responses would take (measured, see docs/architecture.md)."""

_GENERATE = """\
# The contract of Triton's own vLLM backend.
name: {name}
backend: "python"
max_batch_size: 0
model_transaction_policy {{ decoupled: true }}
input [
  {{ name: "text_input" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "stream" data_type: TYPE_BOOL dims: [ 1 ] optional: true }},
  {{ name: "sampling_parameters" data_type: TYPE_STRING dims: [ 1 ] optional: true }},
  {{ name: "exclude_input_in_output" data_type: TYPE_BOOL dims: [ 1 ] optional: true }}
]
output [ {{ name: "text_output" data_type: TYPE_STRING dims: [ -1 ] }} ]
instance_group [ {{ count: {count} kind: KIND_CPU }} ]
parameters {{ key: "trident" value {{ string_value: {spec} }} }}
"""

_RECIPE = """\
# The recipe's contract. Without a batch dimension, so that a prompt of shape [1] and one of shape [n] both pass; the
# engine batches by itself.
name: {name}
backend: "python"
max_batch_size: 0
input [
  {{ name: "prompt" data_type: TYPE_STRING dims: [ -1 ] }},
  {{ name: "max_tokens" data_type: TYPE_INT32 dims: [ 1 ] optional: true }},
  {{ name: "temperature" data_type: TYPE_FP32 dims: [ 1 ] optional: true }}
]
output [ {{ name: "generated_text" data_type: TYPE_STRING dims: [ -1 ] }} ]
instance_group [ {{ count: {count} kind: KIND_CPU }} ]
parameters {{ key: "trident" value {{ string_value: {spec} }} }}
"""

_MODEL = """\
\"\"\"Trident's stub; what it does is in that module.\"\"\"

from trident.triton.stub.{module} import TritonPythonModel

__all__ = ["TritonPythonModel"]
"""


def write(config: Config, relays: list[str], build: Literal["cpu", "cuda"]) -> Path:
    """Makes ``repository`` in the run directory afresh and returns it.

    ``relays`` are the addresses of the engine hosts, ``build`` the engine's.
    """
    repository = config.run_dir / "repository"
    shutil.rmtree(repository, ignore_errors=True)
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
    _write_model(repository, contracts.generate_name, "generate", _GENERATE, stub, config.stubs.count)
    recipe = msgspec.structs.replace(stub, defaults=defaults)
    _write_model(repository, contracts.recipe_name, "recipe", _RECIPE, recipe, config.stubs.count)
    return repository


def _write_model(repository: Path, name: str, module: str, template: str, stub: StubSpec, count: int) -> None:
    version = repository / name / "1"
    version.mkdir(parents=True)
    # A JSON string is a valid protobuf text string for the characters that occur here.
    text = template.format(
        name=json.dumps(name), count=count, spec=json.dumps(msgspec.json.encode(stub).decode(), ensure_ascii=True)
    )
    (repository / name / "config.pbtxt").write_text(text, encoding="utf-8")
    (version / "model.py").write_text(_MODEL.format(module=module), encoding="utf-8")
