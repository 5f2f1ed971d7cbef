"""Writes a repository that a tritonserver loads that is not ours."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import Literal

from trident.config.models import Config
from trident.errors import ConfigurationError, EnvironmentBroken
from trident.protocol.lease import DEFAULTS_PARAMETER, ENGINE_PARAMETER
from trident.triton.own_models import configuration, own_models

Flavour = Literal["python", "vllm"]

_MODULE = """\
\"\"\"Trident's stub for any tritonserver with CPython {version}. Written by `trident repo export`.\"\"\"

import os
import site
import sys

if sys.version_info[:2] != {version_info}:
    raise ImportError("this model was exported for Triton's Python backend with CPython {version}")
# Where Trident is installed; what Triton's own Python has comes first.
site.addsitedir({site_packages})
os.environ.setdefault("TRIDENT_PYTHON", {python})

from trident.triton.stub.{module} import TritonPythonModel

__all__ = ["TritonPythonModel"]
"""

_VLLM_CONFIG = """\
# Triton's vLLM backend completes it.
backend: "vllm"
instance_group [ { count: 1 kind: KIND_MODEL } ]
"""


def write(folder: Path, config: Config, model: str, flavour: Flavour) -> list[str]:
    """Returns the names of the models. ``model`` is what ``model.json`` says: an id, or a folder.

    "python": our contracts for a Python backend, which find Trident by themselves and share one engine host. "vllm":
    one model for Triton's own vLLM backend. Raises ConfigurationError when the folder is not empty, EnvironmentBroken
    when it cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigurationError(
                f"{folder} is not empty", "what is there would be overwritten", "name another folder, or empty it"
            )
        return _write(folder, config, {"model": model, **config.engine}, flavour)
    except OSError as error:
        what = f"Cannot write into {folder}"
        raise EnvironmentBroken(what, error.strerror or str(error), "make it writable") from error


def _write(folder: Path, config: Config, arguments: dict[str, object], flavour: Flavour) -> list[str]:
    if flavour == "vllm":
        name = config.contracts.generate_name
        _write_model(folder / name, _VLLM_CONFIG, arguments)
        return [name]
    models = own_models(config)
    for model in models:
        parameters = {ENGINE_PARAMETER: config.contracts.generate_name}
        if model.defaults:
            parameters[DEFAULTS_PARAMETER] = json.dumps(model.defaults)
        _write_model(folder / model.name, configuration(model, parameters), arguments)
        module = _MODULE.format(
            version=f"{sys.version_info[0]}.{sys.version_info[1]}",
            version_info=sys.version_info[:2],
            site_packages=json.dumps(sysconfig.get_path("purelib")),
            python=json.dumps(os.path.abspath(sys.executable)),  # noqa: PTH100 - links stay, a venv is known by its own
            module=model.contract.module,
        )
        (folder / model.name / "1" / "model.py").write_text(module, encoding="utf-8")
    return [model.name for model in models]


def _write_model(folder: Path, configuration: str, arguments: dict[str, object]) -> None:
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(configuration, encoding="utf-8")
    (folder / "1" / "model.json").write_text(json.dumps(arguments, indent=2) + "\n", encoding="utf-8")
