"""What the monitor is told, as its parts use it."""

from __future__ import annotations

from dataclasses import dataclass

from trident.config.models import Config


@dataclass(frozen=True)
class Slo:
    """A share of requests that should be good. For latencies good is at most ``limit_s``."""

    name: str
    target: float
    limit_s: float | None = None


@dataclass(frozen=True)
class Settings:
    """``refresh_s`` is the time between two readings while somebody looks on."""

    refresh_s: float = 1.0
    show_prompts: bool = False
    slo_availability: float = 0.999
    slo_ttft_s: float = 1.0
    slo_ttft_quantile: float = 0.95
    slo_tpot_s: float = 0.1
    slo_tpot_quantile: float = 0.95

    @classmethod
    def of(cls, config: Config) -> Settings:
        """Those of the section ``[monitor]``."""
        return cls(**{name: getattr(config.monitor, name) for name in cls.__dataclass_fields__})

    @property
    def slos(self) -> tuple[Slo, ...]:
        """All objectives."""
        return (
            Slo("availability", self.slo_availability),
            Slo("ttft", self.slo_ttft_quantile, self.slo_ttft_s),
            Slo("tpot", self.slo_tpot_quantile, self.slo_tpot_s),
        )
