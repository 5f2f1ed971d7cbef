"""Grafana as a child of ours: on loopback, with the dashboards and our Prometheus, for everybody there to look at."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from trident.config import paths
from trident.config.models import Config
from trident.monitor.grafana import export
from trident.monitor.grafana.find import Grafana
from trident.supervisor.command import Command
from trident.supervisor.reach import http_status

NAME = "grafana"
HOST = "127.0.0.1"
HEALTH = "/api/health"
LIVE_TIMEOUT_S = 10.0
HOME_DASHBOARD = "trident-overview.json"

QUIET = {
    # Nothing leaves the machine.
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
}
LOOK_ONLY = {
    # As with Prometheus: who is on this machine may look. Nobody can log in, so nobody changes anything.
    "GF_AUTH_ANONYMOUS_ENABLED": "true",
    "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
    "GF_AUTH_DISABLE_LOGIN_FORM": "true",
    "GF_AUTH_BASIC_ENABLED": "false",
    "GF_USERS_ALLOW_SIGN_UP": "false",
}


def data_dir(name: str) -> Path:
    """Of the server of this name."""
    return paths.state_dir() / "grafana" / name


def command(
    config: Config, grafana: Grafana, port: int, prometheus_url: str, *, folder: Path, log_path: Path
) -> Command:
    """How it is run; writes its files into ``folder``. Raises OSError."""
    monitor = config.monitor
    export.write(folder, prometheus_url, monitor.scrape_s, export.bounds(monitor.slo_ttft_s, monitor.slo_tpot_s))
    data = data_dir(config.name)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def is_answering() -> bool:
        return await http_status(HOST, port, HEALTH) == 200

    async def is_live() -> bool:
        return await http_status(HOST, port, HEALTH, LIVE_TIMEOUT_S) == 200

    return Command(
        name=NAME,
        argv=[os.fspath(grafana.program), "server", f"--homepath={grafana.home}"],
        env=environment(folder, data, port),
        log_path=log_path,
        is_answering=is_answering,
        is_live=is_live,
    )


def environment(folder: Path, data: Path, port: int, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Grafana's settings: a user's own ``GF_*`` go before ours, but for where it listens and what it shows."""
    ours = {
        "GF_LOG_MODE": "console",
        "GF_LOG_LEVEL": "warn",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(folder / export.DASHBOARDS_FOLDER / HOME_DASHBOARD),
        # Nobody can use it, and the one that Grafana would take is known to everybody.
        "GF_SECURITY_ADMIN_PASSWORD": secrets.token_urlsafe(32),
        **QUIET,
        **LOOK_ONLY,
    }
    fixed = {
        "GF_SERVER_HTTP_ADDR": HOST,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_SERVER_PROTOCOL": "http",
        "GF_PATHS_DATA": str(data),
        "GF_PATHS_LOGS": str(data / "logs"),
        "GF_PATHS_PLUGINS": str(data / "plugins"),
        "GF_PATHS_PROVISIONING": str(folder / export.PROVISIONING_FOLDER),
    }
    return {**ours, **environ, **fixed}
