"""What it runs on: processes, the machine, GPUs, and the monitor itself."""

from __future__ import annotations

from trident.monitor.grafana.design import promql as q
from trident.monitor.grafana.design.frame import Row, page
from trident.monitor.grafana.design.panels import SHARE, Line, Panel, chart

UID = "trident-machine"
CHILD = "{{child}}"
GPU = "gpu, name"
BY_GPU = "{{gpu}} {{name}}"


def build() -> str:
    """The dashboard as JSON."""
    rows: list[Row] = [
        ("Processes", _processes()),
        ("Machine", _machine()),
        ("GPUs (nothing without one)", _gpus()),
        ("Monitor", _monitor()),
    ]
    about = "What the server runs on: its processes, the machine, its GPUs."
    return page(UID, "Trident / Machine", about, rows)


def _of(name: str, how: str = "sum", by: str = "child") -> str:
    return q.gauge(name, how, by, q.TARGET)


def _processes() -> list[Panel]:
    return [
        chart("Serving", "1 while it serves.", [Line(_of("trident_child_up", "min"), CHILD)], "none", width=6, most=1),
        chart("Restarts", "Within ten minutes.",
              [Line(f"sum by (child) (increase(trident_child_restarts_total{{{q.TARGET}}}[10m]))", CHILD)], "none",
              width=6),
        chart("Stubs replaced", "Within ten minutes, without a restart.",
              [Line(f"sum by (child) (increase(trident_child_mended_total{{{q.TARGET}}}[10m]))", CHILD)], "none",
              width=6),
        chart("Restarts that count", "After short lives; at max_restarts the server ends.",
              [Line(_of("trident_child_crash_loop_restarts", "max"), CHILD)], "none", width=6),
        chart("CPU", "Cores in use.", [Line(q.rate("trident_process_cpu_seconds_total", "child", q.TARGET), CHILD)],
              "none", is_stacked=True),
        chart("Memory", "Resident; pages that processes share count in each.",
              [Line(_of("trident_process_resident_memory_bytes"), CHILD)], "bytes"),
        chart("Files and connections", "Open descriptors.", [Line(_of("trident_process_open_fds"), CHILD)], "none"),
    ]  # fmt: skip


def _machine() -> list[Panel]:
    memory = [
        Line(_of("trident_host_memory_available_bytes", by="instance"), "{{instance}} can be had"),
        Line(_of("trident_host_memory_total_bytes", by="instance"), "{{instance}} all"),
    ]
    room = [
        Line(_of("trident_host_disk_free_bytes", by="instance"), "{{instance}} disk"),
        Line(_of("trident_host_shm_free_bytes", by="instance"), "{{instance}} /dev/shm"),
    ]
    return [
        chart("Cores", "By what they do.",
              [Line(q.rate("trident_host_cpu_seconds_total", "mode", q.TARGET), "{{mode}}")], "none", width=6,
              is_stacked=True),
        chart("Memory", "Of the machine.", memory, "bytes", width=6),
        chart("Load", "Processes that run or wait for a core or a disk, mean of a minute.",
              [Line(_of("trident_host_load1", by="instance"), "{{instance}}")], "none", width=6),
        chart("Room", "On the state directory's disk, and in shared memory.", room, "bytes", width=6),
    ]  # fmt: skip


def _gpus() -> list[Panel]:
    memory = [
        Line(_of("trident_gpu_memory_used_bytes", by=GPU), f"{BY_GPU} used"),
        Line(_of("trident_gpu_memory_total_bytes", by=GPU), f"{BY_GPU} all"),
    ]
    power = [
        Line(_of("trident_gpu_power_watts", by=GPU), BY_GPU),
        Line(_of("trident_gpu_power_limit_watts", by=GPU), f"{BY_GPU} limit"),
    ]
    faults = f"sum by (gpu) (increase(trident_gpu_xid_errors_total{{{q.TARGET}}}[10m]))"
    return [
        chart("Busy", "Part of the time in which a kernel ran: says little of how well.",
              [Line(_of("trident_gpu_utilization_ratio", "max", GPU), BY_GPU)], SHARE, most=1),
        chart("Memory", "vLLM takes its part at the start and keeps it.", memory, "bytes"),
        chart("Memory by process", "Of the server's own.",
              [Line(_of("trident_gpu_process_memory_bytes", by="gpu, child"), "{{gpu}} {{child}}")], "bytes"),
        chart("Power", "At the limit the clocks go down.", power, "watt"),
        chart("Temperature", "Of the chip.", [Line(_of("trident_gpu_temperature_celsius", "max", GPU), BY_GPU)],
              "celsius"),
        chart("Clocks", "As they run now.",
              [Line(_of("trident_gpu_clock_hertz", "max", "gpu, clock"), "{{gpu}} {{clock}}")], "hertz"),
        chart("Slowed down", "1 while it holds, by its reason.",
              [Line(_of("trident_gpu_throttled", "max", "gpu, reason"), "{{gpu}} {{reason}}")], "none", width=12,
              most=1),
        chart("XID errors", "That the driver has told of, within ten minutes.", [Line(faults, "{{gpu}}")], "none",
              width=12),
    ]  # fmt: skip


def _monitor() -> list[Panel]:
    return [
        chart("Sources", "1 when it has answered in time.",
              [Line(_of("trident_monitor_source_up", "min", "source"), "{{source}}")], "none", most=1),
        chart("Time of a source", "Until it has answered.",
              [Line(_of("trident_monitor_source_scrape_seconds", "max", "source"), "{{source}}")], "s"),
        chart("Samples", "That Prometheus gets with one scrape.",
              [Line(f"sum by (instance) (scrape_samples_scraped{{{q.TARGET}}})", "{{instance}}")], "none"),
    ]  # fmt: skip
