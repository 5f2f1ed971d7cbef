"""Alerts: something is down, stuck or silent.

Trident replaces a dead or stopped engine within seconds by itself, so most of these are notices; what pages is that it
does not come back.
"""

from __future__ import annotations

from trident.monitor.prometheus.rule import Alert

ENGINE = 'child=~"engine.*"'
UP_AND_NOT_WHOLE = 'on () max(trident_server_phase{phase=~"degraded|failed"}) == 1'
BEFORE_OR_AFTER = 'on () max(trident_server_phase{phase=~"starting|draining|stopping|stopped"}) == 1'
"""A child that is not up yet, or no more, is meant to be so."""

ALERTS: tuple[Alert, ...] = (
    Alert(
        "TridentEngineDown",
        f"trident_child_up{{{ENGINE}}} == 0 and {UP_AND_NOT_WHOLE}",
        "notice",
        "The {{ $labels.child }} does not serve; Trident is replacing it",
        "Nothing, unless it stays: KServe requests wait for the next engine, the OpenAI door answers 503. The cause is "
        "in trident status and trident logs engine.",
    ),
    Alert(
        "TridentChildDown",
        f"trident_child_up{{{ENGINE.replace('=~', '!~')}}} == 0 and {UP_AND_NOT_WHOLE}",
        "notice",
        "The {{ $labels.child }} does not serve; Trident is replacing it",
        "Nothing, unless it stays. The cause is in trident status and trident logs.",
        for_s=10,
    ),
    Alert(
        "TridentOutage",
        'max(trident_server_phase{phase=~"degraded|failed"}) == 1',
        "page",
        "The server has not been whole for three minutes",
        "See what does not come back: trident status, then the log that it names.",
        for_s=180,
    ),
    Alert(
        "TridentRestarted",
        "increase(trident_child_restarts_total[15m]) > 0",
        "ticket",
        "The {{ $labels.child }} was restarted {{ $value | humanize }} times within 15 minutes",
        "See how it died: trident status says it, trident logs has its last words.",
    ),
    Alert(
        "TridentCrashLoop",
        "trident_child_crash_loop_restarts >= 3",
        "page",
        "The {{ $labels.child }} keeps dying; the server gives up at max_restarts",
        "See its log, and take back what was changed last.",
    ),
    Alert(
        "TridentStuckEngine",
        "sum by (model_name) (vllm:num_requests_running) > 0"
        " and sum by (model_name) (rate(vllm:generation_tokens_total[1m])) == 0"
        " and sum by (model_name) (rate(vllm:request_success_total[1m])) == 0",
        "page",
        "{{ $labels.model_name }} has {{ $value }} requests in its batch and has made no token for two minutes",
        "It answers its heartbeat, so nobody restarts it: look at trident logs engine, then kill the process "
        "engine core that trident status names; requests of KServe go on in the next one.",
        for_s=60,
    ),
    Alert(
        "TridentEngineSilent",
        f"count(trident_child_up{{{ENGINE}}} == 1) unless count(vllm:num_requests_running)",
        "ticket",
        "The engine serves and nothing is known of what it does",
        "See trident logs metrics: its counts cannot be read.",
        for_s=30,
    ),
    Alert(
        "TridentSourceDown",
        f"trident_monitor_source_up == 0 unless {BEFORE_OR_AFTER}",
        "ticket",
        "The monitor gets nothing from {{ $labels.source }}; its figures are missing",
        "See trident logs monitor: it says why.",
        for_s=15,
    ),
    Alert(
        "TridentMonitorDown",
        'up{job="trident"} == 0 or absent(up{job="trident"})',
        "page",
        "Nobody watches the server: its monitor does not answer",
        "See trident status and trident logs monitor; nothing else here can be believed until it is back.",
        for_s=20,
    ),
)
