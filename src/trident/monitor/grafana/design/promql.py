"""Queries, each in one place. Times are those of the client: arrival is before the wait for a turn."""

from __future__ import annotations

TARGET = 'job=~"$job", instance=~"$instance"'
SERVED = f'{TARGET}, model_name=~"$model_name"'
"""A model as clients of the OpenAI door name it; vLLM's families and the admission's have this label."""
WINDOW = "$__rate_interval"
"""Grafana makes it at least four scrapes long, so that a rate always has its two samples."""

TTFT = "vllm:time_to_first_token_seconds"
TPOT = "vllm:request_time_per_output_token_seconds"
ITL = "vllm:inter_token_latency_seconds"
E2E = "vllm:e2e_request_latency_seconds"
FINISHED = "vllm:request_success_total"


def gauge(name: str, how: str = "sum", by: str = "", scope: str = SERVED, only: str = "") -> str:
    """A gauge, taken together over what ``by`` does not name."""
    return f"{how}{_by(by)}({_selected(name, scope, only)})"


def rate(name: str, by: str = "", scope: str = SERVED, only: str = "") -> str:
    """A counter, per second."""
    return f"sum{_by(by)}(rate({_selected(name, scope, only)}[{WINDOW}]))"


def quantile(of: float, family: str, by: str = "", scope: str = SERVED) -> str:
    """Of a histogram; between two bounds it is interpolated."""
    return f"histogram_quantile({of}, {rate(f'{family}_bucket', f'le, {by}' if by else 'le', scope)})"


def mean(family: str, by: str = "", scope: str = SERVED) -> str:
    """Of a histogram; exact."""
    return ratio(rate(f"{family}_sum", by, scope), rate(f"{family}_count", by, scope))


def buckets(family: str, scope: str = SERVED) -> str:
    """What a heatmap is drawn of."""
    return f"sum by (le) (rate({_selected(f'{family}_bucket', scope, '')}[{WINDOW}]))"


def within(family: str, bound: str) -> str:
    """The part at or below ``bound``, which is one of the histogram's own: nothing is interpolated."""
    return ratio(rate(f"{family}_bucket", only=f'le="{bound}"'), rate(f"{family}_count"))


def ratio(part: str, whole: str) -> str:
    """Nothing where there is nothing to divide by: not a number would be drawn as a fault."""
    return f"{part} / ({whole} > 0)"


def _selected(name: str, scope: str, only: str) -> str:
    return f"{name}{{{', '.join(part for part in (scope, only) if part)}}}"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
