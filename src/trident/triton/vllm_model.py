"""Reads a model of Triton's vLLM backend: ``VERSION/model.json`` (vLLM's engine arguments) and ``multi_lora.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trident.config.engine_arguments import EngineArguments
from trident.config.load import Written
from trident.errors import ConfigurationError, ModelUnusable

MODEL_FILE = "model.json"
LORA_FILE = "multi_lora.json"
PATHS = ("model", "tokenizer", "hf_config_path")
"""Engine arguments that may be a path; anything else that they say is an id."""
OUTDATED = ("disable_log_requests",)
"""Asked for by most examples of vLLM's backend, gone from vLLM, and so by default now."""


@dataclass(frozen=True)
class VllmModel:
    """``model`` is a folder or an id, ``engine`` vLLM's other engine arguments, ``loras`` adapter folders by name."""

    model: str
    engine: dict[str, Any]
    loras: dict[str, str]
    devices: str | None
    openai_port: int | None


def read(
    folder: Path, version: str, parameters: Mapping[str, str], device: int | None, known: EngineArguments
) -> VllmModel:
    """``parameters`` are those of ``config.pbtxt``; ``device`` is the GPU of a ``KIND_GPU`` instance.

    Raises ModelUnusable for a file that is not as it must be, ConfigurationError for an argument that cannot be meant.
    """
    home = folder / version
    given = _read_map(home / MODEL_FILE, "it must hold vLLM's engine arguments, at least the model")
    model = given.get("model")
    if not isinstance(model, str) or not model:
        raise ModelUnusable(
            f"Cannot use {home / MODEL_FILE}", 'it names no "model"', "give it a folder or an id of Hugging Face"
        )
    for name in PATHS:
        if isinstance(given.get(name), str):
            given[name] = _found(given[name], home)
    engine = _checked({name: value for name, value in given.items() if name not in ("model", *OUTDATED)}, home, known)
    return VllmModel(
        model=given["model"],
        engine=engine,
        loras=_loras(home) if engine.get("enable_lora") else {},
        devices=_devices(folder.name, parameters, device, engine),
        openai_port=_openai_port(folder.name, parameters),
    )


def _read_map(file: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelUnusable(f"There is no {file}", what, f"write {file.name} into that folder") from error
    except OSError as error:
        raise ModelUnusable(f"Cannot read {file}", error.strerror or str(error), "make it readable") from error
    except ValueError as error:
        raise ModelUnusable(f"Cannot use {file}", f"it is not JSON ({error})", "correct that place") from error
    if not isinstance(content, dict):
        raise ModelUnusable(f"Cannot use {file}", "it is not a JSON object", what)
    return content


def _checked(given: Mapping[str, Any], home: Path, known: EngineArguments) -> dict[str, Any]:
    # Triton's backend takes "true" for true, and so do we for every argument: a text means what its argument can mean.
    engine = {
        name.replace("-", "_"): Written(value) if isinstance(value, str) else value for name, value in given.items()
    }
    try:
        checked = known.check({"engine": engine, "openai": {}})["engine"]
    except ConfigurationError as error:
        said = f"{error.what}: {error.why}".replace("engine.", "", 1)
        raise ConfigurationError(f"Cannot use {home / MODEL_FILE}", said, "change it, or leave it out") from error
    return {name: str(value) if isinstance(value, Written) else value for name, value in checked.items()}


def _loras(home: Path) -> dict[str, str]:
    file = home / LORA_FILE
    if not file.exists():
        return {}
    loras = _read_map(file, "it must map a name to the folder of a LoRA adapter")
    for name, folder in loras.items():
        if not isinstance(folder, str):
            raise ModelUnusable(f"Cannot use {file}", f"the adapter {name} is no path", "give the adapter's folder")
        loras[name] = _found(folder, home)
    return loras


def _found(path: str, home: Path) -> str:
    """A path that exists, absolute: as Triton's backend takes it, from the server's folder, else from the version's or
    the model's own. What exists nowhere is an id."""
    if not path:
        return path
    for base in (Path(), home, home.parent):
        candidate = base / Path(path).expanduser()
        if candidate.exists():
            return str(candidate.absolute())
    return path


def _devices(name: str, parameters: Mapping[str, str], device: int | None, engine: Mapping[str, Any]) -> str | None:
    """What the engine may see of the machine's GPUs (CUDA_VISIBLE_DEVICES); None for all."""
    workers = (engine.get("tensor_parallel_size") or 1) * (engine.get("pipeline_parallel_size") or 1)
    ids = parameters.get("GPU_DEVICE_IDS", "").replace(" ", "")
    if device is not None:
        if workers > 1:
            raise ConfigurationError(
                f"The model {name} cannot run as KIND_GPU",
                f"KIND_GPU is for single-GPU models, and its model.json asks for {workers} GPUs",
                "write KIND_MODEL into its config.pbtxt",
            )
        return str(device)
    if not ids:
        return None
    count = len(ids.split(","))
    if count != workers:
        raise ConfigurationError(
            f"The model {name} has a bad GPU_DEVICE_IDS",
            f"it names {count} GPUs ({ids}), and tensor and pipeline parallelism make {workers}",
            "name as many GPUs as the engine uses",
        )
    return ids


def _openai_port(name: str, parameters: Mapping[str, str]) -> int | None:
    text = parameters.get("OPENAI_PORT")
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ConfigurationError(
            f"The model {name} has a bad OPENAI_PORT",
            f"it is {text!r}, and ports are 1 to 65535",
            "change config.pbtxt",
        )
    return int(text)
