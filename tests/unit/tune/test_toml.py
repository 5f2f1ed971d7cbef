"""What is written is what ``tomllib`` reads, and what Trident loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trident.config import load
from trident.config.load import tomllib
from trident.tune import base, toml
from trident.tune.space import Space

TABLES: dict[str, Any] = {
    "model": 'a "quoted" \\ name\n with 中文 and \x7f',
    "engine": {
        "max_num_seqs": 64,
        "enforce_eager": True,
        "gpu_memory_utilization": 0.9,
        "speculative_config": {"method": "ngram", "num_speculative_tokens": 3, "odd key": [1, 2.5, "x"]},
        "nothing": {},
    },
}


def test_written_tables_are_read_again() -> None:
    assert tomllib.loads(toml.text(TABLES, ["a comment", ""], {"max_num_seqs": "why"})) == TABLES


def test_none_is_left_out() -> None:
    assert tomllib.loads(toml.text({"engine": {"a": None, "b": 1}})) == {"engine": {"b": 1}}


def test_base_and_changes_make_a_file_that_trident_loads(tmp_path: Path) -> None:
    file = tmp_path / "trident.toml"
    file.write_text(
        'model = "demo"\n[engine]\nmax_num_seqs = 1\nmax_model_len = 512\n[security]\napi_key = ["secret"]\n'
    )
    found = base.tables(load(file=file, environ={}))
    assert "secret" not in str(found)
    space = Space({"max_num_seqs": [None, 64], "stubs": [2]}, {"max_num_seqs": "engine", "stubs": "stubs"})
    changed = base.changed(found, {"max_num_seqs": None, "stubs": 2}, space)
    file.write_text(toml.text(changed))
    again = load(file=file, environ={})
    assert (again.engine, again.stubs.stubs) == ({"max_model_len": 512}, 2)


def test_trial_serves_on_its_own_ports_without_keys(tmp_path: Path) -> None:
    file = tmp_path / "trident.toml"
    file.write_text(
        '[listen]\nhost = "0.0.0.0"\nhttp_port = 80\n[security]\nallow_no_key = true\n[supervision]\nheartbeat_s = 1\n'
    )
    tables = base.for_a_trial(base.tables(load(file=file, environ={})), {"http_port": 18000})
    file.write_text(toml.text(tables))
    trial = load(file=file, environ={})
    assert (trial.listen.host, trial.listen.http_port) == ("127.0.0.1", 18000)
    assert (trial.supervision.heartbeat_s, trial.supervision.drain_s, trial.supervision.max_restarts) == (1.0, 0.0, 0)
