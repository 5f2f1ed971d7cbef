"""Takes models out of a running tritonserver and puts them back: 2.51 calls a model ready while its process lives,
whatever its engine does, so one whose engine is lost has to go. Its requests in flight live on in the old stubs.

There are two ways, by ``model_control_mode`` (both measured, see docs/architecture.md). With *none* tritonserver polls
a repository of our own and clients can neither load nor unload; with *explicit* they can, and so do we.
"""

from __future__ import annotations

import abc
import asyncio
import json
import logging
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trident.supervisor.reach import http_json, http_status

log = logging.getLogger(__name__)

LOOK_S = 0.1
RETRY_S = 0.5
LOAD_TIMEOUT_S = 60.0
"""A model is restored when its engine answers, so a load takes as long as stubs take to start."""

_STAND_IN = """\
name: {name}
backend: "none, as its engine is lost and not back yet"
max_batch_size: 0
"""


class Shelf(abc.ABC):
    """Where models lie that have no engine. ``withdraw`` and ``restore`` return at once and may be told the same again
    and again."""

    def __init__(self, host: str, http_port: int) -> None:
        self._host = host
        self._http_port = http_port
        self._withdrawn: set[str] = set()
        self._returning: set[str] = set()

    def holds(self, model: str) -> bool:
        """It is withdrawn, or not yet ready again: that its stubs have gone does not mean that nobody wants it."""
        return model in self._withdrawn or model in self._returning

    def withdraw(self, models: Iterable[str], why: str) -> None:
        """From now on tritonserver must not serve them."""
        for model in models:
            if model not in self._withdrawn:
                log.warning("%s is withdrawn from tritonserver: %s", model, why)
                self._withdrawn.add(model)
                self._returning.discard(model)
                self._carry_out(model)

    def restore(self, models: Iterable[str]) -> None:
        """Call it when their engine answers stubs. Models that were not withdrawn here are left alone."""
        for model in models:
            if model in self._withdrawn:
                log.info("%s is restored to tritonserver", model)
                self._withdrawn.discard(model)
                self._returning.add(model)
                self._carry_out(model)

    async def until_returned(self, timeout_s: float) -> bool:
        """Waits until tritonserver calls every restored model ready; False when it does not in time."""
        deadline_s = time.monotonic() + timeout_s
        while self._returning and time.monotonic() < deadline_s:
            for model in list(self._returning):
                if await self._readiness(model) == 200:
                    self._returning.discard(model)
            await asyncio.sleep(LOOK_S)
        return not self._returning

    async def _readiness(self, model: str) -> int | None:
        return await http_status(self._host, self._http_port, f"/v2/models/{quote(model)}/ready")

    @abc.abstractmethod
    def triton_ended(self) -> None:
        """Call it before tritonserver starts again."""

    @abc.abstractmethod
    def _carry_out(self, model: str) -> None:
        """Its place has changed."""


class FolderShelf(Shelf):
    """For a tritonserver that polls ``repository``: a model's folder, or the link to it, is renamed out of there.

    It is seen at the next poll, or when a load under way has ended. Then a folder that cannot be loaded takes its
    place: the index says why the model is away, and the server as a whole is not ready. A model is loaded anew whenever
    something in its folder gets younger, so Python's cache of its ``model.py`` must be there from the beginning.
    """

    def __init__(self, host: str, http_port: int, repository: Path) -> None:
        super().__init__(host, http_port)
        self._repository = repository
        self._aside = _made_afresh(repository.with_name("withdrawn"))
        self._stand_ins = _made_afresh(repository.with_name("stand-ins"))
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def triton_ended(self) -> None:
        """Removes what it would refuse to start with; that comes back when it runs."""
        for model in self._withdrawn:
            self._remove_stand_in(model)
            self._tasks[model] = asyncio.ensure_future(self._stand_in(model))

    def _carry_out(self, model: str) -> None:
        inside, aside = self._repository / model, self._aside / model
        try:
            if model in self._withdrawn:
                inside.rename(aside)
                self._tasks[model] = asyncio.ensure_future(self._stand_in(model))
            else:
                self._remove_stand_in(model)
                aside.rename(inside)
        except OSError as error:
            log.error("%s cannot be moved: %s", model, error)

    async def _stand_in(self, model: str) -> None:
        # A folder that takes the place at once would be taken for a new version, and the old one be served on.
        while await self._readiness(model) in (200, None):  # noqa: ASYNC110 - another process: nothing to wait on
            await asyncio.sleep(LOOK_S)
        folder = _made_afresh(self._stand_ins / model)
        (folder / "1").mkdir()
        (folder / "config.pbtxt").write_text(_STAND_IN.format(name=json.dumps(model)), encoding="utf-8")
        folder.rename(self._repository / model)

    def _remove_stand_in(self, model: str) -> None:
        if task := self._tasks.pop(model, None):
            task.cancel()
        inside = self._repository / model
        if inside.exists():
            inside.rename(_made_afresh(self._stand_ins / model))


def _made_afresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


class ControlShelf(Shelf):
    """For a tritonserver in explicit mode: touches only models that were ready, and restores only what it has unloaded
    itself, with the configuration that it had.

    A load holds one of tritonserver's HTTP threads, and the connections on it, while the stubs start.
    """

    def __init__(self, host: str, http_port: int) -> None:
        super().__init__(host, http_port)
        # The configuration of what we have unloaded; None for what had not been ready.
        self._unloaded: dict[str, dict[str, Any] | None] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def _carry_out(self, model: str) -> None:
        if model not in self._tasks:
            self._tasks[model] = asyncio.ensure_future(self._follow(model))

    def triton_ended(self) -> None:
        """It loads all its models when it starts."""

    async def _follow(self, model: str) -> None:
        while (model in self._withdrawn) != (model in self._unloaded):
            try:
                if model in self._withdrawn:
                    self._unloaded[model] = await self._unload(model)
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
