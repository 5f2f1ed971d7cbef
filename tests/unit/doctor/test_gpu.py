from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from installation import Installation

from trident.config import load
from trident.doctor import examination
from trident.doctor.checks import gpu, model
from trident.doctor.finding import Finding
from trident.doctor.nvml import GpuReading, Holder, Reading
from trident.doctor.patient import Patient

GIB = 1 << 30
H100 = GpuReading(
    0, "NVIDIA H100", "GPU-aa", 80 * GIB, 79 * GIB, (9, 0), temperature_c=40, clock_mhz=1980, max_clock_mhz=1980
)
DRIVER = Reading((H100,), "580.65.06", (13, 0))
CHECKS = (gpu.presence, gpu.driver, gpu.capability, gpu.count, gpu.memory, gpu.health)


class ReadingPatient(Patient):
    """One whose GPUs are told."""

    def told(self, reading: Reading) -> ReadingPatient:
        self.__dict__["gpus"] = reading
        self.__dict__.pop("visible_gpus", None)
        return self


def examined(reading: Reading, tmp_path: Path, **engine: object) -> list[Finding]:
    (tmp_path / "trident.toml").write_text(
        '[runtime]\nengine_build = "cuda"\n[engine]\n'
        + "".join(f"{name} = {value}\n" for name, value in engine.items())
    )
    config = load(file=tmp_path / "trident.toml", environ={})
    return list(examination.examine(ReadingPatient(tmp_path, config).told(reading), CHECKS))


def one(findings: list[Finding]) -> Finding:
    (found,) = [finding for finding in findings if finding.level != "ok"]
    return found


@pytest.fixture(autouse=True)
def _all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_good_gpu_is_ok(tmp_path: Path) -> None:
    assert {finding.level for finding in examined(DRIVER, tmp_path)} == {"ok"}


def test_no_gpu_for_the_cuda_build(tmp_path: Path) -> None:
    found = one(examined(Reading(problem="no NVIDIA driver is loaded"), tmp_path))
    assert (found.check, found.why) == ("gpu.presence", "no NVIDIA driver is loaded")
    assert "nvidia-smi" in found.fix


def test_driver_too_old(tmp_path: Path) -> None:
    found = one(examined(replace(DRIVER, driver_version="535.1", cuda_version=(12, 2)), tmp_path))
    assert (found.check, found.level) == ("gpu.driver", "fail")
    assert "CUDA up to 12.2" in found.why and "580" in found.fix


def test_old_gpu_beside_a_good_one(tmp_path: Path) -> None:
    old = replace(H100, index=1, uuid="GPU-bb", name="Tesla V100", capability=(7, 0))
    found = one(examined(replace(DRIVER, gpus=(H100, old)), tmp_path))
    assert found.check == "gpu.capability"
    assert found.fix.startswith("CUDA_VISIBLE_DEVICES=0 ")


def test_memory_held_by_somebody(tmp_path: Path) -> None:
    held = replace(H100, free_bytes=30 * GIB, holders=(Holder(1, 49 * GIB),))
    found = one(examined(replace(DRIVER, gpus=(held,)), tmp_path))
    assert "process 1 (" in found.why and "49.0 GiB" in found.why
    assert "--gpu-memory-utilization 0.36" in found.fix
    assert {f.level for f in examined(replace(DRIVER, gpus=(held,)), tmp_path, gpu_memory_utilization=0.3)} == {"ok"}


def test_more_gpus_asked_for_than_there_are(tmp_path: Path) -> None:
    found = one(examined(DRIVER, tmp_path, tensor_parallel_size=4))
    assert (found.check, found.fix) == ("gpu.count", "--tensor-parallel-size 1")


def test_throttled_and_damaged(tmp_path: Path) -> None:
    hot = replace(H100, slowdowns=("hardware thermal slowdown",), temperature_c=91, clock_mhz=345)
    found = one(examined(replace(DRIVER, gpus=(hot,)), tmp_path))
    assert (found.level, found.why) == ("warn", "345 of 1980 MHz, 91 °C")
    broken = replace(H100, uncorrected_errors=3)
    assert one(examined(replace(DRIVER, gpus=(broken,)), tmp_path)).level == "fail"


@pytest.mark.parametrize(
    ("wanted", "seen"), [("1", [1]), ("1,0", [1, 0]), ("GPU-a", [0]), ("0,7,1", [0]), ("", []), ("-1", [])]
)
def test_what_cuda_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, seen: list[int]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", wanted)
    two = replace(DRIVER, gpus=(H100, replace(H100, index=1, uuid="GPU-bb")))
    assert [gpu.index for gpu in ReadingPatient(tmp_path, None).told(two).visible_gpus] == seen


def test_model_against_gpu_memory(installation: Installation) -> None:
    config = load({"engine": {"max_model_len": 2048}}, file=installation.root / "trident.toml")
    config = config.model_copy(update={"runtime": config.runtime.model_copy(update={"engine_build": "cuda"})})
    small = replace(H100, total_bytes=3 * GIB // 2, free_bytes=GIB)
    patient = ReadingPatient(installation.data_dir, config, site=installation.site)
    assert [one.level for one in model.memory(patient.told(DRIVER))] == ["ok"]
    (found,) = model.memory(patient.told(replace(DRIVER, gpus=(small,))))
    assert (found.level, found.check) == ("fail", "model.memory")
    assert "AWQ, GPTQ or FP8" in found.fix


@pytest.mark.parametrize(
    ("method", "capability", "level"),
    [
        ("awq", (7, 0), "fail"),
        ("awq", (7, 5), "ok"),
        ("gptq", (7, 0), "ok"),
        ("fp8", (8, 0), "warn"),
        ("fp8", (8, 9), "ok"),
    ],
)
def test_quantisation_against_the_gpu(
    installation: Installation, method: str, capability: tuple[int, int], level: str
) -> None:
    installation.change_model(quantization_config={"quant_method": method})
    config = load(file=installation.root / "trident.toml")
    config = config.model_copy(update={"runtime": config.runtime.model_copy(update={"engine_build": "cuda"})})
    patient = ReadingPatient(installation.data_dir, config, site=installation.site)
    gpus = (replace(H100, capability=capability),)
    found = list(model.quantization(patient.told(replace(DRIVER, gpus=gpus))))
    assert [(one.check, one.level) for one in found] == [("model.quantization", level)]


@pytest.mark.parametrize("engine", [{"kv_offloading_size": 9_000_000}, {"cpu_offload_gb": "9000000"}])
def test_more_is_offloaded_than_the_machine_has(installation: Installation, engine: dict[str, object]) -> None:
    config = load({"engine": engine}, file=installation.root / "trident.toml")
    config = config.model_copy(update={"runtime": config.runtime.model_copy(update={"engine_build": "cuda"})})
    (found,) = model.memory(ReadingPatient(installation.data_dir, config, site=installation.site).told(DRIVER))
    assert found.level == "fail" and found.text.startswith("9000000.0 GiB are to be kept in the machine's memory")
    assert found.fix == "lower --kv-offloading-size or --cpu-offload-gb"
