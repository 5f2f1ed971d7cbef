"""The demo model in the formats of quantisation that hubs are full of, made in an instant with plain arithmetic.

What AutoAWQ, GPTQModel and llm-compressor do on top (choosing scales by what activations matter) a small model that has
learnt its answers by heart does not need.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensor_file import Raw, load, save

DEMO = Path(__file__).parents[2] / "src" / "trident" / "models" / "demo"
GROUP = 32
"""Rows of input that share a scale."""
SQUARE = 128
E4M3_MOST = 448.0
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight columns is at which place of an AWQ word."""

Array = np.ndarray[Any, Any]
Tensors = Mapping[str, Raw]


def awq(weight: Array) -> Tensors:
    """Four bits with zero points; words hold eight columns of output."""
    grouped = _grouped(weight.T)
    low, high = np.minimum(grouped.min(1), 0), np.maximum(grouped.max(1), 0)
    scales = np.maximum((high - low) / 15, 1e-8)
    zeros = np.clip(np.rint(-low / scales), 0, 15)
    numbers = np.clip(np.rint(grouped / scales[:, None]) + zeros[:, None], 0, 15).reshape(weight.T.shape)
    return {
        "qweight": _int32(_words(numbers, AWQ_ORDER)),
        "qzeros": _int32(_words(zeros, AWQ_ORDER)),
        "scales": _half(scales),
    }


def gptq(weight: Array) -> Tensors:
    """Four bits around eight; words hold eight rows of input."""
    grouped = _grouped(weight.T)
    scales = np.maximum(np.abs(grouped).max(1) / 7, 1e-8)
    numbers = np.clip(np.rint(grouped / scales[:, None]) + 8, 0, 15).reshape(weight.T.shape)
    rows, columns = numbers.shape
    return {
        "qweight": _int32(_words(numbers.T, range(8)).T),
        # Of the format's first version, which stores one less than it means.
        "qzeros": _int32(np.full((rows // GROUP, columns // 8), 0x77777777, np.uint32)),
        "scales": _half(scales),
        "g_idx": _int32(np.arange(rows, dtype=np.uint32) // GROUP),
    }


def int8(weight: Array) -> Tensors:
    """Eight bits, a scale for each output; activations are quantised as they come."""
    scales = np.maximum(np.abs(weight).max(1, keepdims=True) / 127, 1e-8)
    numbers = np.clip(np.rint(weight / scales), -127, 127).astype(np.int8)
    return {"weight": Raw("I8", list(numbers.shape), numbers.tobytes()), "weight_scale": _float(scales)}


def fp8(weight: Array) -> Tensors:
    """Eight bits as a floating point number (e4m3), a scale for each square of 128; the last ones may be smaller."""
    scales = np.zeros([-(-side // SQUARE) for side in weight.shape])
    for row, column in np.ndindex(scales.shape):
        square = weight[row * SQUARE : (row + 1) * SQUARE, column * SQUARE : (column + 1) * SQUARE]
        scales[row, column] = np.abs(square).max() / E4M3_MOST
    spread = scales.repeat(SQUARE, 0).repeat(SQUARE, 1)[: weight.shape[0], : weight.shape[1]]
    return {"weight": _e4m3(weight / spread), "weight_scale_inv": _float(scales)}


def fp8_by_output(weight: Array) -> Tensors:
    """The same with a scale for each output; activations are quantised as they come."""
    scales = np.maximum(np.abs(weight).max(1, keepdims=True) / E4M3_MOST, 1e-12)
    return {"weight": _e4m3(weight / scales), "weight_scale": _float(scales)}


def _compressed(form: str, kind: str) -> dict[str, Any]:
    """As llm-compressor writes it down: weights by output, activations by token."""
    bits = {"num_bits": 8, "type": kind, "symmetric": True}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "ignore": ["lm_head"],
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {**bits, "strategy": "channel", "dynamic": False},
                "input_activations": {**bits, "strategy": "token", "dynamic": True},
            }
        },
    }


FORMATS: dict[str, tuple[Callable[[Array], Tensors], dict[str, Any]]] = {
    "awq": (awq, {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"}),
    "gptq": (gptq, {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": True}),
    "int8": (int8, _compressed("int-quantized", "int")),
    "fp8-by-output": (fp8_by_output, _compressed("float-quantized", "float")),
    "fp8": (fp8, {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [SQUARE, SQUARE]}),
}


def write(folder: Path, name: str) -> Path:
    """The whole folder in the format of that name, as a hub would have it."""
    quantised, described = FORMATS[name]
    shutil.copytree(DEMO, folder)
    made: dict[str, Raw] = {}
    for tensor_name, tensor in load(DEMO / "model.safetensors").items():
        layer, _, kind = tensor_name.rpartition(".")
        if layer.endswith("_proj") and kind == "weight":
            made |= {f"{layer}.{part}": raw for part, raw in quantised(_array(tensor)).items()}
        else:
            made[tensor_name] = tensor
    save(folder / "model.safetensors", made)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": described}), encoding="utf-8")
    return folder


def _array(tensor: Raw) -> Array:
    assert tensor.dtype == "BF16", "the upper half of a float32"
    return (np.frombuffer(tensor.data, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(tensor.shape)


def _grouped(columns: Array) -> Array:
    return columns.reshape(-1, GROUP, columns.shape[1])


def _words(numbers: Array, order: Any) -> Array:
    """Eight neighbours along the last axis in one word, the first of ``order`` in its lowest bits."""
    eights = numbers.astype(np.uint32).reshape(*numbers.shape[:-1], -1, 8)
    words = np.zeros(eights.shape[:-1], np.uint32)
    for place, index in enumerate(order):
        words |= eights[..., index] << np.uint32(4 * place)
    return words


def _e4m3(numbers: Array) -> Raw:
    """The nearest of the 127 values that are not negative, the largest of which is 448, and a sign."""
    exponents, fractions = np.divmod(np.arange(127), 8)
    values = np.where(exponents == 0, fractions / 8 * 2.0**-6, (1 + fractions / 8) * 2.0 ** (exponents - 7))
    nearest = np.searchsorted((values[1:] + values[:-1]) / 2, np.abs(numbers)).astype(np.uint8)
    signed = nearest | ((numbers < 0) << 7).astype(np.uint8)
    return Raw("F8_E4M3", list(numbers.shape), signed.tobytes())


def _int32(words: Array) -> Raw:
    return Raw("I32", list(words.shape), np.ascontiguousarray(words).tobytes())


def _half(values: Array) -> Raw:
    return Raw("F16", list(values.shape), values.astype(np.float16).tobytes())


def _float(values: Any) -> Raw:
    return Raw("F32", list(np.shape(values)), np.asarray(values, np.float32).tobytes())
