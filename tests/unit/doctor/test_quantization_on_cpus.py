from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from installation import Installation

from trident.config import load
from trident.doctor.checks import model
from trident.doctor.patient import Patient

OLD, USUAL, NEW = "avx2", "avx2 avx512f", "avx2 avx512f avx512_bf16 amx_tile"
AWQ = {"quant_method": "awq", "bits": 4}
GPTQ = {"quant_method": "gptq", "bits": 4}
W8A8 = {"quant_method": "compressed-tensors", "format": "int-quantized"}
DYNAMIC = {"quant_method": "compressed-tensors", "format": "float-quantized"}
BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128]}
TENSORS = {"quant_method": "fp8", "activation_scheme": "dynamic"}


@pytest.mark.parametrize(
    ("described", "features", "level"),
    [
        (AWQ, OLD, "fail"),
        (AWQ, USUAL, "ok"),
        (GPTQ, OLD, "fail"),
        (GPTQ, USUAL, "ok"),
        ({**GPTQ, "bits": 8}, NEW, "fail"),
        (W8A8, OLD, "ok"),
        (DYNAMIC, NEW, "warn"),
        (BLOCKS, USUAL, "fail"),
        (BLOCKS, NEW, "ok"),
        (TENSORS, NEW, "fail"),
    ],
)
def test_format_against_the_cpu(
    installation: Installation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    described: dict[str, Any],
    features: str,
    level: str,
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags\t\t: fpu {features}\n")
    monkeypatch.setattr(model, "CPUINFO", cpuinfo)
    installation.change_model(quantization_config=described)
    config = load(file=installation.root / "trident.toml")
    (found,) = model.quantization(Patient(installation.data_dir, config, site=installation.site))
    assert (found.check, found.level) == ("model.quantization", level)
    assert bool(found.fix) == (level != "ok")
