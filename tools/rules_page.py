"""Writes ``docs/rules.md`` from the rules that Prometheus gets:

python tools/rules_page.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from trident.config.monitor import Monitor  # noqa: E402
from trident.monitor.prometheus.rule import Alert, Recording  # noqa: E402
from trident.monitor.prometheus.rules import alerts, recordings  # noqa: E402

PAGE = ROOT / "docs" / "rules.md"

_TOP = """\
# What is recorded and what fires

<!-- Written by tools/rules_page.py from src/trident/monitor/prometheus; change that, not this page. -->

The rules of the Prometheus that Trident runs, with the default promises. How they come about is told in
[monitor.md](monitor.md).
"""
_SEVERITIES = """\
`page`: somebody has to come now. `ticket`: somebody has to look at it in working hours. `notice`: Trident or the load
will most likely see to it, and it is good to know.
"""


def text() -> str:
    """The whole page."""
    monitor = Monitor()
    return "\n".join(
        [
            _TOP,
            "## Alerts\n",
            _SEVERITIES,
            "| alert | severity | when | what to do |\n| --- | --- | --- | --- |",
            *_alerts(alerts(monitor)),
            "\n## Recorded metrics\n",
            "By `model_name` where they are about requests. Those marked GPU are there only where a GPU is.\n",
            "| metric | what it is |\n| --- | --- |",
            *_recordings(recordings(monitor)),
            "",
        ]
    )


def _alerts(found: Iterable[Alert]) -> Iterator[str]:
    for alert in found:
        lasts = f", for {alert.for_s} s" if alert.for_s else ""
        when = f"`{_cell(alert.expr)}`{lasts}"
        yield f"| {alert.name} | {alert.severity} | {when} | {_cell(alert.next_step)} |"


def _recordings(found: Iterable[Recording]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for rule in found:
        seen.setdefault(rule.record, f"{rule.about}{' (GPU)' if rule.needs == 'gpu' else ''}")
    for record, about in seen.items():
        yield f"| `{record}` | {_cell(about)} |"


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
