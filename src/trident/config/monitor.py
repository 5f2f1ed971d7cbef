"""What watches the server, and what is promised to its users: docs/monitor.md says what follows from each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from trident.config.section import Section

Port = Annotated[int, Field(ge=1, le=65535)]
AUTO = "auto"
NONE = "none"
SHORTEST_QUANTILE = 0.9


class Monitor(Section):
    """The monitor, Prometheus and Grafana beside the server; one that fails is started again and ends nothing. The
    promises (SLOs) are over 30 days."""

    monitor: bool = Field(False, description="Watch the server: a live page, one page of metrics, Prometheus's alerts.")
    monitor_host: str | None = Field(
        None, description="Address of the live page and the metrics of everything; by default the doors'."
    )
    monitor_port: Port = Field(8003, description="Its port.")
    refresh_s: float = Field(1.0, ge=0.2, le=3600, description="Seconds between two looks of the live page.")
    show_prompts: bool = Field(False, description="Show what clients have asked on the live page.")
    prometheus: str = Field(
        AUTO,
        description="Prometheus's program: a path, auto (the one on PATH, and none where there is none) or none.",
    )
    prometheus_port: Port = Field(
        9090, description="Its port, on loopback alone; when it is taken, the next one that is free."
    )
    scrape_s: float = Field(2.0, ge=0.5, le=15, description="Seconds between two looks of Prometheus.")
    alertmanager: str | None = Field(None, description="HOST:PORT of an Alertmanager that gets the alerts.")
    grafana: str | None = Field(
        None, description="Grafana's program, or the folder of an unpacked Grafana, to run it too."
    )
    grafana_port: Port = Field(
        3000, description="Its port, on loopback alone; when it is taken, the next one that is free."
    )
    slo_availability: float = Field(
        0.999, gt=0.5, lt=1, description="Part of the requests that is answered, and of the time that is served."
    )
    slo_ttft_s: float = Field(
        1.0, gt=0, le=3600, description="Time in which the first token has come for the part slo_ttft_quantile."
    )
    slo_ttft_quantile: float = Field(0.95, ge=SHORTEST_QUANTILE, lt=1, description="Part of the requests in it.")
    slo_tpot_s: float = Field(
        0.1, gt=0, le=3600, description="Longest mean time per token after the first for the part slo_tpot_quantile."
    )
    slo_tpot_quantile: float = Field(0.95, ge=SHORTEST_QUANTILE, lt=1, description="Part of the requests in it.")

    @field_validator("prometheus", mode="before")
    @classmethod
    def _none_is_a_word(cls, given: object) -> object:
        return NONE if given in ("", False) else given

    @model_validator(mode="after")
    def _ports_differ(self) -> Monitor:
        ports = {"the monitor": self.monitor_port, "Prometheus": self.prometheus_port, "Grafana": self.grafana_port}
        taken: dict[int, str] = {}
        for name, port in ports.items():
            if port in taken:
                raise ValueError(f"{taken[port]} and {name} are both on port {port}")
            taken[port] = name
        return self

    @property
    def histogram_bounds_s(self) -> dict[str, tuple[float, ...]]:
        """By vLLM's name of a family of histograms: a promise is kept or not at exactly this bound."""
        return {"time_to_first_token": (self.slo_ttft_s,), "inter_token_latency": (self.slo_tpot_s,)}
