"""Debian's promtool, and series in its notation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_S = 60.0


def found() -> str:
    """Skips the test where there is none; on a CI machine that is a failure."""
    program = shutil.which("promtool")
    if program is None:
        reason = "promtool is not installed (apt-get install prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


def run(*words: str | Path) -> str:
    """Its words; fails when it finds fault."""
    done = subprocess.run([found(), *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Scene:
    """Series over time, one value a ``step``; what differs from a healthy server's. ``steps`` long."""

    series: Mapping[str, str]
    step: str = "15s"
    steps: int = 60

    def test(self, *checks: Mapping[str, Any], base: Mapping[str, str]) -> dict[str, Any]:
        """As promtool reads it."""
        values = {**base, **self.series}
        return {
            "interval": self.step,
            "input_series": [
                {"series": name, "values": shape.replace("N", str(self.steps))}
                for name, shape in values.items()
                if shape
            ],
            "promql_expr_test": list(checks),
        }


def firing(alert: str, at: str, severity: str = "", window: str = "") -> dict[str, Any]:
    """It fires at that time, once for this severity and window."""
    return _count(alert, at, severity, window) | {"exp_samples": [{"labels": "{}", "value": 1}]}


def silent(alert: str, at: str, severity: str = "", window: str = "") -> dict[str, Any]:
    """It does not fire at that time."""
    return _count(alert, at, severity, window) | {"exp_samples": []}


def _count(alert: str, at: str, severity: str, window: str) -> dict[str, Any]:
    more = "".join(f',{name}="{value}"' for name, value in (("severity", severity), ("window", window)) if value)
    return {"expr": f'count(ALERTS{{alertname=~"{alert}",alertstate="firing"{more}}})', "eval_time": at}


def check(
    folder: Path, rules: Path, tests: list[dict[str, Any]], evaluation: str = "15s", groups: Collection[str] = ()
) -> None:
    """Runs the tests against the rules, by default against all groups of them."""
    kept = json.loads(rules.read_text(encoding="utf-8"))
    kept["groups"] = [group for group in kept["groups"] if not groups or group["name"] in groups]
    assert kept["groups"]
    (folder / "kept.yml").write_text(json.dumps(kept), encoding="utf-8")
    file = folder / "tests.yml"
    whole = {"rule_files": ["kept.yml"], "evaluation_interval": evaluation, "tests": tests}
    file.write_text(json.dumps(whole), encoding="utf-8")
    run("test", "rules", file)
