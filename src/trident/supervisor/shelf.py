"""Takes models out of a running tritonserver and puts them back: 2.51 calls a model ready while its process lives,
whatever its engine does, so one whose engine is lost has to go. Its requests in flight live on in the old stubs.

There are two ways, by ``model_control_mode`` (both measured, see docs/architecture.md). With *none* tritonserver polls
a repository of our own and clients can neither load nor unload; with *explicit* they can, and so do we.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from trident.supervisor.reach import http_status
from trident.triton.repository import CONFIGURATION

log = logging.getLogger(__name__)

LOOK_S = 0.1


class Shelf(abc.ABC):
    """Where models lie that have no engine. ``withdraw`` and ``restore`` return at once and may be told the same again
    and again."""

    def __init__(self, host: str, http_port: int, repository: Path) -> None:
        self._host = host
        self._http_port = http_port
        self._repository = repository
        self._withdrawn: set[str] = set()
        self._returning: set[str] = set()
        # They may return once tritonserver has let go; ``_outworn`` must wait for that whenever they may return.
        self._due: set[str] = set()
        self._outworn: set[str] = set()
        self._held: Counter[str] = Counter()

    def holds(self, model: str) -> bool:
        """It is withdrawn, or not yet ready again: that its stubs have gone does not mean that nobody wants it."""
        return model in self._withdrawn or model in self._returning

    def withdraw(self, models: Iterable[str], why: str) -> None:
        """From now on tritonserver must not serve them."""
        for model in models:
            self._due.discard(model)
            if model not in self._withdrawn:
                log.warning("%s is withdrawn from tritonserver: %s", model, why)
                self._withdrawn.add(model)
                self._returning.discard(model)
                self._carry_out(model)

    def restore(self, models: Iterable[str]) -> None:
        """Call it when their engine answers stubs. Models that were not withdrawn here are left alone."""
        for model in models:
            if model not in self._withdrawn or self._held[model]:
                continue
            if model in self._outworn and not self._is_gone(model):
                self._due.add(model)
                continue
            log.info("%s is restored to tritonserver", model)
            for known in (self._withdrawn, self._due, self._outworn):
                known.discard(model)
            self._returning.add(model)
            self._carry_out(model)

    def restore_once_gone(self, models: Iterable[str]) -> None:
        """The same, but not before tritonserver has let go of them: they get other stubs in every case, also when
        something else keeps them away meanwhile."""
        models = self._withdrawn.intersection(models)
        self._outworn |= models
        self.restore(models)

    def hold(self, models: Iterable[str], why: str) -> None:
        """Withdraws them; only as many ``release`` bring them back."""
        models = set(models)
        self._held.update(models)
        self.withdraw(models, why)

    def release(self, models: Iterable[str]) -> None:
        """Restores what was held."""
        models = set(models)
        self._held.subtract(models)
        self.restore(models)

    def configure(self, configurations: Mapping[str, str]) -> None:
        """Gives models another ``config.pbtxt``, wherever they lie: tritonserver has it at the next load. Raises
        OSError."""
        for model, text in configurations.items():
            # Written where no poll could meet it.
            new = self._repository.with_name(f"{CONFIGURATION}.new")
            new.write_text(text, encoding="utf-8")
            new.replace(self._folder_of(model) / CONFIGURATION)

    def is_away(self, model: str) -> bool:
        """It is withdrawn, and comes back only when somebody restores it."""
        return model in self._withdrawn and model not in self._due

    async def is_back(self, model: str) -> bool:
        """tritonserver serves it."""
        if model in self._returning and await self._readiness(model) == 200:
            self._returning.discard(model)
        return not self.holds(model)

    async def until_returned(self, timeout_s: float) -> bool:
        """Waits until tritonserver calls every restored model ready; False when it does not in time."""
        deadline_s = time.monotonic() + timeout_s
        while self._returning and time.monotonic() < deadline_s:
            for model in list(self._returning):
                await self.is_back(model)
            await asyncio.sleep(LOOK_S)
        return not self._returning

    def _restore_gone(self, model: str) -> None:
        if model in self._due:
            self.restore([model])

    def _folder_of(self, model: str) -> Path:
        return self._repository / model

    async def _readiness(self, model: str) -> int | None:
        return await http_status(self._host, self._http_port, f"/v2/models/{quote(model)}/ready")

    @property
    @abc.abstractmethod
    def lets_stubs_wait(self) -> bool:
        """A model may be restored before its engine is there."""

    @abc.abstractmethod
    def _is_gone(self, model: str) -> bool:
        """tritonserver has let go of a withdrawn model."""

    @abc.abstractmethod
    def triton_ended(self) -> None:
        """Call it before tritonserver starts again."""

    @abc.abstractmethod
    def _carry_out(self, model: str) -> None:
        """Its place has changed."""
