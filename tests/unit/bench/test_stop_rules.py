from __future__ import annotations

from typing import Any

import pytest

from trident.bench.messages import Status
from trident.bench.plan import StopRules
from trident.bench.stop_rules import Watcher


def status(**more: Any) -> Status:
    given = {"sent": 0, "sent_warmup": 0, "ok": 0, "errors": 0, "in_flight": 0, "events": 0, "is_sending": True}
    return Status(**{**given, "cpu_s": 0.0, "lag_p99_ms": 0.0, "last_error": None, **more})


@pytest.mark.parametrize(
    ("ok", "errors", "reason"),
    [(100, 10, None), (100, 12, "errors"), (0, 19, None), (0, 20, "errors"), (17, 3, "errors")],
)
def test_share_of_errors(ok: int, errors: int, reason: str | None) -> None:
    watcher = Watcher(StopRules(max_error_share=0.1))
    assert watcher.reason([status(ok=ok), status(errors=errors)], 1.0) == reason


def test_server_that_is_gone_is_seen_before_the_share_is_reached() -> None:
    watcher = Watcher(StopRules(max_error_share=0.1))
    assert watcher.reason([status(ok=10_000)], 100.0) is None
    assert watcher.reason([status(ok=10_000, errors=30)], 104.0) is None
    assert watcher.reason([status(ok=10_000, errors=60)], 106.0) == "server gone"


def test_narrow_interval() -> None:
    watcher = Watcher(StopRules(confidence_width=0.02))
    watcher.take(status(tpot_ms=[10.0, 10.1] * 40))
    assert watcher.reason([status()], 1.0) is None
    watcher.take(status(tpot_ms=[10.0, 10.1] * 40))
    assert watcher.reason([status()], 2.0) == "confidence"


def test_wide_interval() -> None:
    watcher = Watcher(StopRules(confidence_width=0.02))
    watcher.take(status(e2e_ms=[5.0, 15.0] * 100))
    assert watcher.reason([status()], 1.0) is None
