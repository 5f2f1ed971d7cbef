from __future__ import annotations

import pytest

from trident.config import load
from trident.config.load import changed
from trident.config.models import Config
from trident.config.monitor import Monitor
from trident.errors import ConfigurationError


def test_monitor_listens_where_the_doors_do() -> None:
    assert Config.model_validate({"listen": {"host": "::1"}}).monitor_url == "http://[::1]:8003"
    elsewhere = Config.model_validate({"monitor": {"monitor_host": "127.0.0.2", "monitor_port": 9}})
    assert elsewhere.monitor_url == "http://127.0.0.2:9"


def test_open_monitor_needs_a_key() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"monitor_host": "0.0.0.0"}, environ={})

    assert "other machines can reach the host 0.0.0.0" in caught.value.why


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"monitor": True, "monitor_port": "8002"}, "Triton metrics and the monitor are both on port 8002"),
        ({"monitor_port": "9090"}, "the monitor and Prometheus are both on port 9090"),
        ({"slo_availability": "1"}, "less than 1"),
        ({"slo_ttft_quantile": "0.5"}, "greater than or equal to 0.9"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(settings, environ={})

    assert why in caught.value.why


def test_no_prometheus_is_a_word() -> None:
    assert Monitor(prometheus="").prometheus == "none"
    assert load({"prometheus": "none"}, environ={}).monitor.prometheus == "none"


def test_one_table_is_changed_and_the_rest_stays() -> None:
    before = load({"slo_ttft_s": "2", "http_port": "8100"}, environ={})

    after = changed(before, "monitor", {"monitor_port": "8200", "scrape_s": None, "monitor": True})

    assert after.monitor.monitor_port == 8200
    assert (after.monitor.slo_ttft_s, after.monitor.scrape_s, after.listen.http_port) == (2, 2, 8100)
    with pytest.raises(ConfigurationError):
        changed(before, "monitor", {"monitor_port": "none"})
