"""The series of a server that is well and does ten requests a second, each value with ``N`` for the number of steps.

A counter that grows by 150 in 15 s is one of ten a second."""

from __future__ import annotations

MODEL = 'model_name="demo"'
GPU = 'gpu="0",name="H100",uuid="GPU-1"'


def series(step_s: int = 15) -> dict[str, str]:
    """With counters that grow for steps of this length."""
    ten = f"0+{10 * step_s}xN"
    return {
        'up{job="trident",instance="127.0.0.1:8003"}': "1xN",
        'trident_child_up{child="engine host"}': "1xN",
        'trident_child_up{child="tritonserver"}': "1xN",
        'trident_child_restarts_total{child="engine host"}': "0xN",
        'trident_child_crash_loop_restarts{child="engine host"}': "0xN",
        'trident_server_phase{phase="starting"}': "0xN",
        'trident_server_phase{phase="ready"}': "1xN",
        'trident_server_phase{phase="degraded"}': "0xN",
        'trident_server_phase{phase="failed"}': "0xN",
        "trident_server_outage_seconds_total": "0xN",
        'trident_monitor_source_up{source="server_page"}': "1xN",
        f"vllm:num_requests_running{{{MODEL}}}": "8xN",
        f"vllm:num_requests_waiting{{{MODEL}}}": "0xN",
        f"vllm:kv_cache_usage_perc{{{MODEL}}}": "0.5xN",
        f"vllm:num_preemptions_total{{{MODEL}}}": "0xN",
        f"vllm:generation_tokens_total{{{MODEL}}}": f"0+{1000 * step_s}xN",
        f'vllm:request_success_total{{{MODEL},finished_reason="stop"}}': ten,
        f'vllm:request_success_total{{{MODEL},finished_reason="error"}}': "0xN",
        f'vllm:request_success_total{{{MODEL},finished_reason="abort"}}': "0xN",
        f"vllm:time_to_first_token_seconds_count{{{MODEL}}}": ten,
        f'vllm:time_to_first_token_seconds_bucket{{{MODEL},le="1.0"}}': ten,
        f"vllm:request_time_per_output_token_seconds_count{{{MODEL}}}": ten,
        f'vllm:request_time_per_output_token_seconds_bucket{{{MODEL},le="0.1"}}': ten,
        f"trident_admission_queued_requests{{{MODEL}}}": "0xN",
        f'trident_admission_refused_total{{{MODEL},reason="wait"}}': "0xN",
        f"trident_openai_queued_requests{{{MODEL}}}": "0xN",
        f"trident_openai_refused_total{{{MODEL}}}": "0xN",
        f'http_requests_total{{{MODEL},status="2xx"}}': ten,
        f'http_requests_total{{{MODEL},status="5xx"}}': "0xN",
        "trident_host_memory_total_bytes": "64000000000xN",
        "trident_host_memory_available_bytes": "32000000000xN",
        "trident_host_disk_free_bytes": "90000000000xN",
        "trident_host_shm_free_bytes": "30000000000xN",
        f"trident_gpu_up{{{GPU}}}": "1xN",
        f"trident_gpu_xid_errors_total{{{GPU}}}": "0xN",
        f"trident_gpu_ecc_uncorrected_errors_total{{{GPU}}}": "0xN",
        f'trident_gpu_throttled{{{GPU},reason="hw_thermal_slowdown"}}': "0xN",
        # Its power limit holds back every GPU that has enough to do.
        f'trident_gpu_throttled{{{GPU},reason="sw_power_cap"}}': "1xN",
    }
