"""Prometheus's configuration and rules as files. They are JSON in layout, which is YAML too, so that no text of ours
has to be quoted by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trident.config.monitor import Monitor
from trident.monitor.prometheus.rules import groups

CONFIGURATION = "prometheus.yml"
RULES = "trident.rules.yml"
JOB = "trident"
METRICS_PATH = "/metrics"


class Target(NamedTuple):
    """Where the monitor's metrics are. ``token_file`` holds what is shown there for a key. A certificate is for the
    name that users know, not for loopback, so it is not checked."""

    host: str
    port: int
    scheme: str = "http"
    token_file: Path | None = None
    labels: Mapping[str, str] = {}


def write(folder: Path, monitor: Monitor, target: Target) -> Path:
    """Both files, readable by this user alone; returns the configuration."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _save(folder / RULES, {"groups": [group.as_map() for group in groups(monitor)]})
    configuration = folder / CONFIGURATION
    _save(configuration, prometheus(monitor, target))
    return configuration


def prometheus(monitor: Monitor, target: Target) -> dict[str, Any]:
    """The configuration; the rules lie beside it."""
    found: dict[str, Any] = {
        "global": {
            "scrape_interval": _duration(monitor.scrape_s),
            "scrape_timeout": _duration(monitor.scrape_s if monitor.scrape_s < 5 else 5),
            "evaluation_interval": "5s",
        },
        "rule_files": [RULES],
        "scrape_configs": [_scrape(target)],
    }
    if monitor.alertmanager is not None:
        found["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [monitor.alertmanager]}]}]}
    return found


def _scrape(target: Target) -> dict[str, Any]:
    host = f"[{target.host}]" if ":" in target.host else target.host
    found: dict[str, Any] = {
        "job_name": JOB,
        "metrics_path": METRICS_PATH,
        "scheme": target.scheme,
        "static_configs": [{"targets": [f"{host}:{target.port}"], "labels": dict(target.labels)}],
    }
    if target.scheme == "https":
        found["tls_config"] = {"insecure_skip_verify": True}
    if target.token_file is not None:
        found["authorization"] = {"type": "Bearer", "credentials_file": str(target.token_file)}
    return found


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _save(path: Path, content: Any) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
