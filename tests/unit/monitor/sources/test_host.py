from __future__ import annotations

from pathlib import Path

import monitor_fakes as fakes

from trident.monitor.sources.host import Host


def test_host_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 200 300 400 5 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    (tmp_path / "meminfo").write_text("MemTotal:       1000 kB\nMemAvailable:    600 kB\nHugePages_Total:       0\n")
    (tmp_path / "loadavg").write_text("1.50 0.70 0.30 2/345 6789\n")

    found = fakes.read(Host(tmp_path, tmp_path, tmp_path / "no-shm"))

    assert found["trident_host_cpu_seconds_total"][(("mode", "idle"),)] == 4
    assert found["trident_host_memory_available_bytes"][()] == 600 * 1024
    assert found["trident_host_memory_total_bytes"][()] == 1000 * 1024
    assert found["trident_host_load1"][()] == 1.5
    assert found["trident_host_disk_free_bytes"][()] > 0
    assert "trident_host_shm_free_bytes" not in found


def test_this_host_has_everything(tmp_path: Path) -> None:
    found = fakes.read(Host(tmp_path))

    assert found["trident_host_memory_total_bytes"][()] > found["trident_host_memory_available_bytes"][()] > 0
    assert set(found["trident_host_cpu_seconds_total"]) >= {(("mode", "user"),), (("mode", "idle"),)}
