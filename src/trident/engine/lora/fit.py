"""Whether a folder holds a LoRA adapter that the served model can carry, before the engine tries.

vLLM looks at an adapter when it loads it, and copies smaller matrices into larger ones without a word. The shapes are
compared here with those of the model's own weights.
"""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from vllm.config import VllmConfig
from vllm.lora.peft_helper import PEFTHelper

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
"""vLLM takes the first that is there."""

_LAYER = re.compile(r"\.layers\.(\d+)\.")
_MATRIX = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_COMPARABLE = {"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2"}
"""Other types are packed, and their shapes say nothing."""

Shape = list[int]


class Misfit(ValueError):
    """The folder holds no adapter that this server can use; the message says why."""


class Fit:
    """The demands of one engine."""

    def __init__(self, config: VllmConfig) -> None:
        assert config.lora_config is not None
        self._config = config
        self._lora = config.lora_config
        text = config.model_config.hf_text_config
        self._layers: int | None = getattr(text, "num_hidden_layers", None)
        self._shapes: dict[str, Shape] | None = None

    def check(self, folder: Path) -> None:
        """Raises Misfit."""
        helper = self._configuration(folder)
        file = weights_file(folder)
        if file is None:
            raise Misfit(f"it has none of {', '.join(WEIGHTS)}")
        try:
            matrices = _shapes(file) if file.suffix == ".safetensors" else _pickled_shapes(file)
        except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise Misfit(f"{file.name} cannot be read, or not to its end: {error}") from error
        if not matrices:
            raise Misfit(f"{file.name} has no weights in it")
        for name, shape in matrices.items():
            self._check_matrix(name, shape, helper)

    def _configuration(self, folder: Path) -> PEFTHelper:
        try:
            written = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise Misfit(f"it has no {CONFIG}") from error
        except (OSError, ValueError) as error:
            raise Misfit(f"{CONFIG} cannot be read: {error}") from error
        kind = written.get("peft_type", "LORA") if isinstance(written, dict) else None
        if kind != "LORA":
            raise Misfit(f"its peft_type is {kind!r}; vLLM takes 'LORA'")
        try:
            helper = PEFTHelper.from_dict(written)
            helper.validate_legal(self._lora)
        except ValueError as error:
            raise Misfit(str(error)) from error
        except (TypeError, AttributeError) as error:
            raise Misfit(f"{CONFIG} has a value of a wrong type: {error}") from error
        return helper

    def _check_matrix(self, name: str, shape: Shape, helper: PEFTHelper) -> None:
        layer = _LAYER.search(name)
        if layer is not None and self._layers is not None and int(layer[1]) >= self._layers:
            raise Misfit(f"it has weights for layer {layer[1]}, but the model has layers 0 to {self._layers - 1}")
        matrix = _MATRIX.fullmatch(name)
        base = self._base_shapes().get(matrix["module"]) if matrix is not None else None
        if matrix is None or base is None or len(shape) != 2:
            return  # renamed, packed or an embedding: vLLM's own loading decides
        rank, _ = helper.get_rank_and_scaling(matrix["module"])
        expected = [rank, base[1]] if matrix["side"] == "A" else [base[0], rank]
        if shape != expected:
            raise Misfit(f"{name} has the shape {shape}; this model needs {expected}: it was made for another model")

    def _base_shapes(self) -> dict[str, Shape]:
        """Of the model's own matrices, by the name of their module; read once."""
        if self._shapes is None:
            self._shapes = {}
            for file in sorted(Path(self._config.model_config.model).glob("*.safetensors")):
                for name, shape in _shapes(file, _COMPARABLE).items():
                    if name.endswith(".weight") and len(shape) == 2:
                        self._shapes[name.removesuffix(".weight")] = shape
        return self._shapes


def weights_file(folder: Path) -> Path | None:
    """The file that vLLM reads the adapter's weights from."""
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def _pickled_shapes(file: Path) -> dict[str, Shape]:
    return {name: list(matrix.shape) for name, matrix in torch.load(file, "meta", weights_only=True).items()}


def _shapes(file: Path, types: set[str] | None = None) -> dict[str, Shape]:
    opened: Any
    with safe_open(file, framework="numpy") as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
        return {
            name: list(part.get_shape()) for name, part in slices.items() if types is None or part.get_dtype() in types
        }
