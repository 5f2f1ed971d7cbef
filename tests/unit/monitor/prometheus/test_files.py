from __future__ import annotations

import json
import stat
from pathlib import Path

import promtool

from trident.config.monitor import Monitor
from trident.monitor.prometheus import files
from trident.monitor.prometheus.rules import recordings


def test_promtool_finds_no_fault(configuration: Path) -> None:
    assert "SUCCESS" in promtool.run("check", "config", configuration)
    assert "SUCCESS" in promtool.run("check", "rules", configuration.with_name(files.RULES))


def test_promtool_finds_no_fault_in_a_guarded_server_with_an_alertmanager(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    monitor = Monitor(alertmanager="127.0.0.1:9093", scrape_s=0.5)

    configuration = files.write(tmp_path, monitor, files.Target("::1", 8003, "https", token, {"server": "default"}))

    assert "SUCCESS" in promtool.run("check", "config", configuration)
    assert "secret" not in configuration.read_text()
    assert "[::1]:8003" in configuration.read_text()


def test_files_are_for_this_user_alone(configuration: Path) -> None:
    for path in (configuration, configuration.with_name(files.RULES)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        json.loads(path.read_text())


def test_each_recorded_metric_is_described_under_one_name() -> None:
    found = [(rule.record, tuple(rule.labels.items())) for rule in recordings(Monitor())]

    # The ratios of a window are recorded once for requests and once for time.
    assert {name for name in found if found.count(name) > 1} == set()
    assert all(rule.record.startswith("trident:") and rule.about for rule in recordings(Monitor()))
