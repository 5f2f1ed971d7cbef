"""Alerts: there is more to do than can be done, or room is short. A busy GPU without a queue is no reason for one."""

from __future__ import annotations

from trident.monitor.prometheus.rule import Alert

MEBIBYTE = 2**20

ALERTS: tuple[Alert, ...] = (
    Alert(
        "TridentQueueing",
        "trident:waiting_requests:sum > 0",
        "ticket",
        "{{ $value }} requests of {{ $labels.model_name }} wait, and some have for five minutes on end",
        "More load comes than the engine does: more replicas, fewer tokens, or max_num_seqs if the KV cache has room.",
        for_s=300,
    ),
    Alert(
        "TridentRefusals",
        "trident:refused:rate1m > 0",
        "ticket",
        "{{ $labels.model_name }} refuses {{ $value | humanize }} requests a second under overload",
        "Reasons: trident_admission_refused_total, and trident_openai_refused_total; bounds: docs/overload.md.",
        for_s=60,
    ),
    Alert(
        "TridentPreemptions",
        "sum by (model_name) (rate(vllm:num_preemptions_total[5m]))"
        " > 0.1 * sum by (model_name) (rate(vllm:request_success_total[5m]))",
        "ticket",
        "More than one in ten requests of {{ $labels.model_name }} is put back for want of KV cache and computed again",
        "Lower max_num_seqs, or give the KV cache more memory (gpu_memory_utilization, kv_cache_dtype).",
        for_s=300,
    ),
    Alert(
        "TridentKvCacheFull",
        "trident:kv_cache_usage:max > 0.95 and on (model_name) trident:preemptions:rate1m > 0",
        "ticket",
        "The KV cache of {{ $labels.model_name }} is full and requests are put back for it",
        "Shorter contexts, fewer requests at once, or more memory for the KV cache.",
        for_s=120,
    ),
    Alert(
        "TridentHostMemory",
        "trident_host_memory_available_bytes / trident_host_memory_total_bytes < 0.05",
        "page",
        "{{ $value | humanizePercentage }} of the machine's memory is left",
        "See who grows: trident_process_resident_memory_bytes. The kernel kills the largest process next.",
        for_s=60,
    ),
    Alert(
        "TridentDiskFull",
        f"trident_host_disk_free_bytes < {1024 * MEBIBYTE}",
        "ticket",
        "{{ $value | humanize1024 }}B are left on the disk with the server's state",
        "Remove old logs and models; Prometheus's own data is bounded.",
        for_s=60,
    ),
    Alert(
        "TridentSharedMemoryFull",
        f"trident_host_shm_free_bytes < {64 * MEBIBYTE}",
        "ticket",
        "{{ $value | humanize1024 }}B are left in /dev/shm, through which stubs and tritonserver talk",
        "Enlarge it, or remove what others have left there.",
        for_s=60,
    ),
)
