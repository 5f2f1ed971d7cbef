"""All LoRA adapters of a server, as both of its front-ends see them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vllm.config import VllmConfig
from vllm.entrypoints.openai.models.protocol import LoRAModulePath
from vllm.lora.utils import get_adapter_absolute_path

from trident.engine.lora.fit import Fit
from trident.engine.lora.shelf import Shelf
from trident.protocol.spec import HostSpec


@dataclass(frozen=True)
class Adapters:
    """``named`` are those that the server is started with; without LoRA in the engine there is no ``shelf``."""

    named: list[LoRAModulePath]
    shelf: Shelf | None


def adapters_of(spec: HostSpec, config: VllmConfig) -> Adapters:
    """Raises ValueError for adapters that cannot be served."""
    modules = named(spec)
    if config.lora_config is None:
        if modules or spec.lora_dir:
            raise ValueError("there are LoRA adapters, but enable_lora is false; leave it out")
        return Adapters([], None)
    copies = copies_dir(spec)
    shutil.rmtree(copies, ignore_errors=True)
    return Adapters(modules, Shelf(Fit(config), modules, Path(spec.lora_dir) if spec.lora_dir else None, copies))


def copies_dir(spec: HostSpec) -> Path:
    """Where adapters that were found in ``lora_dir`` are copied to, for one life of the host."""
    return Path(spec.run_dir) / "adapters"


def named(spec: HostSpec) -> list[LoRAModulePath]:
    """Those of vLLM's ``lora_modules`` first, as vLLM's OpenAI server numbers them; paths are absolute.

    Raises ValueError for an entry that says nothing, or a name that is there twice.
    """
    listed = [_module(entry) for entry in spec.openai.get("lora_modules") or ()]
    modules = [*listed, *(LoRAModulePath(name, path) for name, path in spec.loras.items())]
    names = [module.name for module in modules]
    for name in names:
        if names.count(name) > 1 or name == spec.served_name:
            raise ValueError(f"two models are called {name!r}; give the LoRA adapter another name")
    for module in modules:
        module.path = get_adapter_absolute_path(module.path)
    return modules


def _module(entry: Any) -> LoRAModulePath:
    """From vLLM's own forms: ``name=path``, or a map (in JSON on a command line)."""
    try:
        if isinstance(entry, str) and not entry.lstrip().startswith("{"):
            name, _, path = entry.partition("=")
            if name and path:
                return LoRAModulePath(name, path)
            raise ValueError
        return LoRAModulePath(**(json.loads(entry) if isinstance(entry, str) else entry))
    except (ValueError, TypeError):
        raise ValueError(f"lora_modules: {entry!r} should be NAME=FOLDER, or a map with name and path") from None
