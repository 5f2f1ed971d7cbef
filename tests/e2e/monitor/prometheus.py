"""A Prometheus of a test: scrapes one place, answers queries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

START_S = 30


def program() -> str:
    """Prometheus on this machine. Skips the test where there is none, and fails it in CI."""
    found = shutil.which("prometheus")
    if found is None:
        why = "no prometheus on PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return found


class Prometheus:
    """Runs from ``with`` on; ``rules`` are files of rules that it evaluates."""

    def __init__(
        self, folder: Path, port: int, scraped_port: int, scrape_s: float = 1, rules: Sequence[Path] = ()
    ) -> None:
        self._folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.asked_at_s: float | None = None
        """Queries are of this moment, in seconds since the epoch; None: of the moment in which they are asked."""
        configuration = {
            "global": {"scrape_interval": f"{scrape_s:g}s", "evaluation_interval": f"{scrape_s:g}s"},
            "rule_files": [str(file) for file in rules],
            "scrape_configs": [
                {"job_name": "trident", "static_configs": [{"targets": [f"127.0.0.1:{scraped_port}"]}]},
            ],
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(json.dumps(configuration), encoding="utf-8")
        self._command = [
            program(),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    def __enter__(self) -> Prometheus:
        self._client = httpx.Client(timeout=30, trust_env=False)
        self._log = (self._folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            try:
                if self._client.get(f"{self.url}/-/ready", timeout=2).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        self.__exit__()
        raise AssertionError((self._folder / "prometheus.log").read_text(encoding="utf-8", errors="replace"))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        self._log.close()
        self._client.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result. Raises AssertionError with Prometheus's words when it does not take the query."""
        asked = {"query": expression} | ({} if self.asked_at_s is None else {"time": str(self.asked_at_s)})
        answer = self._client.post(f"{self.url}/api/v1/query", data=asked).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result
