from __future__ import annotations

from trident.bench import scrape

PAGE = """# HELP vllm:num_requests_running Number of requests.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a b"} 3.0
vllm:e2e_bucket{le="0.1"} 7
vllm:e2e_sum 1.5e+01 1700000000000
vllm:e2e_created 1.7e9
python_gc_objects 5
nv_x NaN
nv_energy_consumption 12
"""


def test_page_is_read_without_buckets() -> None:
    assert scrape.parse(PAGE) == {
        'vllm:num_requests_running{engine="0",model_name="a b"}': 3.0,
        "vllm:e2e_sum": 15.0,
        "nv_energy_consumption": 12.0,
    }
