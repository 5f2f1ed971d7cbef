from __future__ import annotations

import pytest

from trident.engine import cause


@pytest.mark.parametrize(
    ("text", "was_killed"),
    [
        ("Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': -9}", True),
        ("Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': 1}", False),
        ("Failed core proc(s): {}, failed frontend proc(s): {'APIServer': -9}", True),
        ("no -9 here", False),
    ],
)
def test_start_that_a_signal_has_ended_may_work_the_next_time(text: str, was_killed: bool) -> None:
    assert cause.was_killed(RuntimeError(text)) is was_killed
