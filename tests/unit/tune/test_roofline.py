"""The bound, by arithmetic that can be checked by eye."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trident.tune import roofline
from trident.tune.memory import Model
from trident.tune.roofline import Machine

MACHINE = Machine(device="made up", bytes_per_s=1e9, operations_per_s=1e12)
MODEL = Model(weights_bytes=10**8, layers=1, kv_heads=1, head_size=250)  # 1000 bytes of KV cache a token


def test_few_sequences_are_bound_by_reading_the_weights() -> None:
    found = roofline.of(MODEL, MACHINE, sequences=1, context_tokens=0, reached_tokens_per_s=5)
    assert found is not None
    assert (found.tokens_per_s, found.limit, found.share) == (pytest.approx(10), "memory bandwidth", pytest.approx(0.5))


def test_kv_cache_is_read_for_each_sequence() -> None:
    found = roofline.of(MODEL, MACHINE, sequences=100, context_tokens=1000, reached_tokens_per_s=1)
    assert found is not None and found.tokens_per_s == pytest.approx(100 / 0.2)


def test_many_sequences_are_bound_by_arithmetic() -> None:
    found = roofline.of(MODEL, MACHINE, sequences=10_000, context_tokens=0, reached_tokens_per_s=1)
    assert found is not None
    assert (found.tokens_per_s, found.limit) == (pytest.approx(1e12 / 1e8), "arithmetic")


def test_model_of_unknown_size_has_none() -> None:
    model = Model(weights_bytes=0)
    assert roofline.of(model, MACHINE, sequences=1, context_tokens=1, reached_tokens_per_s=1) is None


def test_machine_that_cannot_be_measured_has_none(tmp_path: Path) -> None:
    assert roofline.measure(tmp_path / "no-python") is None
    assert roofline.measure(Path(sys.executable)) is None  # the control environment has no torch
