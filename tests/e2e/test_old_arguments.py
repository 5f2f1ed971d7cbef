"""What older recipes write, and what only a GPU has: explained in three lines, before anything is started."""

from __future__ import annotations

import time

import pytest
from served import Served

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        (
            ("--swap-space", "4"),
            [
                "--swap-space is no argument of this vLLM any more",
                "  why:  it was GiB of the machine's memory for the KV cache of preempted requests; since V1 vLLM "
                "computes that anew",
                "  next: --kv-offloading-size GIB keeps KV cache beside the GPU's memory; on a CPU leave it out",
            ],
        ),
        (
            ("--disable-log-requests",),
            [
                "--disable-log-requests is no argument of this vLLM any more",
                "  why:  it kept requests out of the log, where they are no longer unless --enable-log-requests is "
                "given",
                "  next: leave it out",
            ],
        ),
        (
            ("--kv-offloading-size", "1"),
            [
                "engine.kv_offloading_size says nothing to vLLM's CPU build",
                "  why:  it keeps KV cache of a GPU in the machine's memory, where the CPU build has all of it anyway",
                "  next: leave it out; for a larger cache: --kv-cache-memory-bytes N",
            ],
        ),
        (
            ("--cpu-offload-gb", "1"),
            [
                "engine.cpu_offload_gb says nothing to vLLM's CPU build",
                "  why:  it moves weights out of a GPU's memory into the machine's, where the CPU build has them "
                "anyway",
                "  next: leave it out",
            ],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_argument_is_explained(
    flags: tuple[str, ...], lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    served = Served.plan(tmp_path_factory.mktemp("o"))
    before = time.monotonic()
    refused = served.serve("demo", "--engine-build", "cpu", *flags)
    assert refused.returncode == 3
    assert refused.stderr.splitlines()[-3:] == lines
    assert time.monotonic() - before < 10, "nothing was started"
