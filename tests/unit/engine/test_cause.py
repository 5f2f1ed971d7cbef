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


def test_exception_of_code_that_is_compiled_is_told_itself() -> None:
    told = """Observed exception
  Explanation: Dynamo found no exception handler at the top-level compiled function.

  Developer debug context: raised exception AssertionError([ConstantVariable(str: 'the last dimension of `x` 192 must \
be divisible by `group_size` 128')])
"""
    error = RuntimeError(told)
    error.__cause__ = ValueError("raised exception ExceptionVariable(<class 'AssertionError'>)")
    said = "AssertionError: the last dimension of `x` 192 must be divisible by `group_size` 128"
    assert cause.describe(error) == said
    assert cause.describe(error.__cause__).startswith("ValueError: raised exception")
