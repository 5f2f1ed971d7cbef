from __future__ import annotations

import string

import pytest

from trident.monitor import hint_texts, hints
from trident.monitor.hints import Scene
from trident.monitor.numbers import Numbers
from trident.monitor.reading import Reading
from trident.monitor.server_view import Child
from trident.monitor.slo import SloStatus


def ids(scene: Scene) -> list[str]:
    return [hint.id for hint in hints.of(scene)]


def scene(page: str = "", **numbers: float) -> Scene:
    return Scene("ready", Numbers(at=0.0, **numbers), Reading(page.encode(), 0.0), max_running=32)  # type: ignore[arg-type]


def test_a_busy_server_without_a_queue_is_no_problem() -> None:
    assert ids(scene(running=32.0, waiting=0.0, kv_share=0.5, gpu_share=1.0)) == []


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"running": 32.0, "waiting": 5.0, "kv_share": 0.4}, "batch_full"),
        ({"running": 20.0, "queued": 5.0, "kv_share": 0.96}, "kv_full"),
        ({"running": 4.0, "waiting": 2.0, "queue_s": 2.0, "prefill_s": 0.5, "decode_s": 1.0}, "queue"),
        ({"preemptions_per_min": 3.0}, "preemptions"),
        ({"refused_per_s": 0.5}, "refused"),
        ({"host_cpu_share": 0.99, "others_cpu_share": 0.4}, "others"),
        ({"prefill_s": 3.0, "decode_s": 1.0, "prompt_tokens_mean": 4000.0, "prefix_hit_share": 0.6}, "prefill"),
        (
            {"prefill_s": 3.0, "decode_s": 1.0, "prompt_tokens_mean": 4000.0, "prefix_hit_share": 0.0},
            "prefill_no_reuse",
        ),
        ({"running": 20.0, "gpu_share": 0.3, "busiest_door_cores": 0.98}, "doors"),
        ({"running": 20.0, "gpu_share": 0.3, "busiest_door_cores": 0.2}, "gpu_waits"),
    ],
)
def test_each_rule_sees_its_case(numbers: dict[str, float], expected: str) -> None:
    assert ids(scene(**numbers)) == [expected]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('trident_gpu_throttled{gpu="0",reason="hw_thermal_slowdown"} 1\n', "throttled"),
        ("trident_host_memory_total_bytes 100\ntrident_host_memory_available_bytes 2\n", "memory"),
        ("trident_host_shm_free_bytes 1000\n", "shm"),
        ('trident_monitor_source_up{source="gpus"} 0\n', "source"),
    ],
)
def test_each_rule_of_the_machine_sees_its_case(page: str, expected: str) -> None:
    assert ids(scene(page)) == [expected]


def test_an_idle_gpu_is_not_throttled() -> None:
    assert ids(scene('trident_gpu_throttled{gpu="0",reason="gpu_idle"} 1\n')) == []


def test_requests_without_tokens_are_stuck_and_come_first() -> None:
    found = scene(running=3.0, refused_per_s=1.0)
    found.silent_s = 6.0
    assert ids(found) == ["stuck", "refused"]


def test_a_child_that_is_away_is_named_with_its_last_death() -> None:
    found = scene()
    found.children = [Child(name="engine host", phase="starting", is_ready=False, since=0.0, last_death="killed")]
    (hint,) = hints.of(found)
    assert hint.level == "bad"
    assert hint.what["en"] == "engine host is not ready: starting; killed."


def test_a_budget_that_goes_fast_is_said() -> None:
    found = scene()
    found.slos = [SloStatus(name="ttft", target=0.95, limit_s=1.0, share=0.9, budget_left=-1.0, burn=2.0)]
    assert ids(found) == ["burn_ttft"]


def test_each_hint_has_the_same_places_in_both_languages() -> None:
    for id, texts in hint_texts.TEXTS.items():
        english, _, chinese, _ = (
            {place for _, place, _, _ in string.Formatter().parse(text) if place} for text in texts
        )
        assert english == chinese, id
