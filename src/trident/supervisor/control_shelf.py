"""The shelf of a tritonserver that is told what to load and to unload."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trident.supervisor.reach import http_json
from trident.supervisor.shelf import Shelf

log = logging.getLogger(__name__)

RETRY_S = 0.5
LOAD_TIMEOUT_S = 60.0
"""A model is restored when its engine answers, so a load takes as long as stubs take to start."""


class ControlShelf(Shelf):
    """For a tritonserver in explicit mode: touches only models that were ready, and restores only what it has unloaded
    itself, with the configuration that it had.

    A load holds one of tritonserver's HTTP threads, and the connections on it, while the stubs start.
    """

    def __init__(self, host: str, http_port: int, repository: Path) -> None:
        super().__init__(host, http_port, repository)
        # The configuration of what we have unloaded; None for what had not been ready.
        self._unloaded: dict[str, dict[str, Any] | None] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def _carry_out(self, model: str) -> None:
        if model not in self._tasks:
            self._tasks[model] = asyncio.ensure_future(self._follow(model))

    @property
    def lets_stubs_wait(self) -> bool:
        return False

    def _is_gone(self, model: str) -> bool:
        return model in self._unloaded

    def triton_ended(self) -> None:
        """It loads all its models when it starts."""

    def configure(self, configurations: Mapping[str, str]) -> None:
        """As for every shelf; what was remembered of a model's configuration is forgotten."""
        super().configure(configurations)
        for model in configurations:
            if self._unloaded.get(model):
                self._unloaded[model] = {}

    async def _follow(self, model: str) -> None:
        while (model in self._withdrawn) != (model in self._unloaded):
            try:
                if model in self._withdrawn:
                    self._unloaded[model] = await self._unload(model)
                    self._restore_gone(model)
                else:
                    await self._load(model, self._unloaded[model])
                    del self._unloaded[model]
            except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
                # tritonserver may be starting again. It loads all its models then, and being told so once more changes
                # nothing.
                log.info("tritonserver takes no model control: %s", error or type(error).__name__)
                await asyncio.sleep(RETRY_S)
        del self._tasks[model]

    async def _unload(self, model: str) -> dict[str, Any] | None:
        readiness = await self._readiness(model)
        if readiness is None:
            raise OSError("nobody answers")
        if readiness != 200:
            return None
        # A configuration that the user has overridden must not be lost by our reload.
        code, configuration = await http_json(self._host, self._http_port, f"/v2/models/{quote(model)}/config")
        await self._control(model, "unload", {})
        return configuration if code == 200 else {}

    async def _load(self, model: str, configuration: dict[str, Any] | None) -> None:
        if configuration is None:
            self._returning.discard(model)
        else:
            parameters = {"config": json.dumps(configuration)} if configuration else {}
            await self._control(model, "load", {"parameters": parameters})

    async def _control(self, model: str, verb: str, body: dict[str, Any]) -> None:
        path = f"/v2/repository/models/{quote(model)}/{verb}"
        code, answer = await http_json(self._host, self._http_port, path, body, LOAD_TIMEOUT_S)
        if code != 200:
            log.error("tritonserver refuses to %s %s: %s", verb, model, (answer or {}).get("error", code))
            self._returning.discard(model)
