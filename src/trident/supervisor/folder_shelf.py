"""The shelf of a tritonserver that polls a repository of our own."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from pathlib import Path

from trident.supervisor.shelf import LOOK_S, Shelf
from trident.triton.repository import CONFIGURATION

log = logging.getLogger(__name__)

_STAND_IN = """\
name: {name}
backend: "none, as its engine is lost and not back yet"
max_batch_size: 0
"""


class FolderShelf(Shelf):
    """For a tritonserver that polls ``repository``: a model's folder, or the link to it, is renamed out of there.

    It is seen at the next poll, or when a load under way has ended. Then a folder that cannot be loaded takes its
    place: the index says why the model is away, and the server as a whole is not ready. A model is loaded anew whenever
    something in its folder gets younger, so Python's cache of its ``model.py`` must be there from the beginning.
    """

    def __init__(self, host: str, http_port: int, repository: Path, *, lets_stubs_wait: bool = False) -> None:
        """``lets_stubs_wait``: while stubs wait for their engine tritonserver polls nothing, and nobody minds."""
        super().__init__(host, http_port, repository)
        self._lets_stubs_wait = lets_stubs_wait
        self._gone: set[str] = set()
        self._aside = _made_afresh(repository.with_name("withdrawn"))
        self._stand_ins = _made_afresh(repository.with_name("stand-ins"))
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def lets_stubs_wait(self) -> bool:
        return self._lets_stubs_wait

    def _is_gone(self, model: str) -> bool:
        return model in self._gone

    def triton_ended(self) -> None:
        """Removes what it would refuse to start with; that comes back when it runs."""
        self._outworn.clear()
        self.restore(list(self._due))  # it has let go of everything
        for model in self._withdrawn:
            self._remove_stand_in(model)
            self._tasks[model] = asyncio.ensure_future(self._stand_in(model))

    def _carry_out(self, model: str) -> None:
        inside, aside = self._repository / model, self._aside / model
        self._gone.discard(model)
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
        self._gone.add(model)
        self._restore_gone(model)
        if model not in self._withdrawn:
            return
        folder = _made_afresh(self._stand_ins / model)
        (folder / "1").mkdir()
        (folder / CONFIGURATION).write_text(_STAND_IN.format(name=json.dumps(model)), encoding="utf-8")
        folder.rename(self._repository / model)

    def _folder_of(self, model: str) -> Path:
        return (self._aside if model in self._withdrawn else self._repository) / model

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
