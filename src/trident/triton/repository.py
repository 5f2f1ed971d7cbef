"""Writes Triton's model repository: the models that stand for the one engine."""

from __future__ import annotations

import os
import py_compile
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from trident.config.models import Config
from trident.protocol.spec import SPEC_PARAMETER, StubSpec
from trident.triton import shadow, tracing
from trident.triton.own_models import OwnModel, configuration, own_models

RESPONSE_SHARE = {"cpu": 0.4, "cuda": 1.0}
"""By engine build: a CPU engine needs the cores that responses would take (measured, see docs/architecture.md)."""

CONFIGURATION = "config.pbtxt"
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


def configurations(config: Config, relays: list[str], build: Literal["cpu", "cuda"]) -> dict[str, str]:
    """The ``config.pbtxt`` of each of our models, for these engine hosts."""
    return {model.name: _configuration(config, model, relays, build) for model in own_models(config)}


def _write_own(repository: Path, config: Config, relays: list[str], build: Literal["cpu", "cuda"]) -> None:
    for model in own_models(config):
        _write_model(repository, model, _configuration(config, model, relays, build))


def _configuration(config: Config, model: OwnModel, relays: list[str], build: Literal["cpu", "cuda"]) -> str:
    stub = StubSpec(
        relays=relays,
        sockets_dir=os.fspath(config.sockets_dir),
        start_timeout_s=config.supervision.start_timeout_s,
        response_share=config.stubs.response_share or RESPONSE_SHARE[build],
        defaults=model.defaults,
        engine_patience_s=config.supervision.engine_patience_s,
        is_traced=tracing.is_traced(config),
    )
    return configuration(model, {SPEC_PARAMETER: msgspec.json.encode(stub).decode()})


def _write_model(repository: Path, model: OwnModel, text: str) -> None:
    version = repository / model.name / "1"
    version.mkdir(parents=True)
    (repository / model.name / CONFIGURATION).write_text(text, encoding="utf-8")
    module = version / "model.py"
    module.write_text(_MODEL.format(module=model.contract.module), encoding="utf-8")
    # The stub would do it, and a tritonserver that polls would take the younger folder for another model.
    py_compile.compile(os.fspath(module), doraise=True)
