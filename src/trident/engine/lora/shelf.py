"""All LoRA adapters of a server by name, and the request that vLLM wants for each.

Two processes hand adapters to one engine: the relay and the OpenAI server. vLLM's worker tells requests of one batch
apart by name and weights by id, so a name with two ids would end the engine. Here an id follows from the name.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import shutil
import tempfile
from pathlib import Path

from vllm.entrypoints.openai.models.protocol import LoRAModulePath
from vllm.lora.request import LoRARequest

from trident.engine.lora.fit import CONFIG, Fit, Misfit, weights_file

FIRST_FOUND_ID = 2**30
"""vLLM's OpenAI server numbers the named adapters from 1 on; its worker keeps ids as 32-bit integers."""

_SOURCE = "source"


class UnknownAdapter(KeyError):
    """No adapter of that name; the message lists those that are there."""

    def __str__(self) -> str:
        return str(self.args[0])


class Shelf:
    """``named`` adapters stay where they are and are checked at once. One in ``folder`` is checked and copied to
    ``copies`` when it is first asked for: vLLM reads its files again whenever it has put the adapter out of memory,
    in the midst of everybody's step, and must find what was checked. ``copies`` may be shared by processes.

    Raises Misfit for a named adapter.
    """

    def __init__(self, fit: Fit, named: list[LoRAModulePath], folder: Path | None, copies: Path) -> None:
        self._fit = fit
        self._folder = folder
        self._copies = copies
        self._refused: dict[str, tuple[str, str]] = {}
        self._named: dict[str, LoRARequest] = {}
        for number, module in enumerate(named, 1):
            try:
                fit.check(Path(module.path))
            except Misfit as misfit:
                raise Misfit(f"LoRA adapter {module.name!r} in {module.path}: {misfit}") from None
            self._named[module.name] = LoRARequest(
                module.name, number, module.path, is_3d_lora_weight=module.is_3d_lora_weight
            )

    def names(self) -> list[str]:
        """All that can be asked for now."""
        found = self._folder.iterdir() if self._folder is not None else ()
        return sorted({*self._named, *(entry.name for entry in found if (entry / CONFIG).is_file())})

    def take(self, name: str) -> LoRARequest:
        """Blocks while a new one is copied. Raises UnknownAdapter, or Misfit for one that this server cannot use."""
        if named := self._named.get(name):
            return named
        source = self._source(name)
        if source is None:
            raise UnknownAdapter(f"there is no such adapter; there are: {', '.join(self.names()) or 'none'}")
        state = _state(source)
        refused = self._refused.get(name)
        if refused is not None and refused[0] == state:
            raise Misfit(refused[1])
        copy = self._copies / name
        if not copy.exists():
            try:
                self._copy(source, state, copy)
            except Misfit as misfit:
                self._refused[name] = (state, str(misfit))
                raise
        if (copy / _SOURCE).read_text(encoding="utf-8") != state:
            # A tool that copies sets a file's time last; only other contents are another adapter.
            if not all(filecmp.cmp(file, copy / file.name, shallow=False) for file in _files(source)):
                raise Misfit("its files have changed since it was first used; give the new adapter a name of its own")
            (copy / _SOURCE).write_text(state, encoding="utf-8")
        return LoRARequest(name, _id(name), str(copy))

    def _source(self, name: str) -> Path | None:
        """The folder of that name, never one elsewhere."""
        if self._folder is None or not name or name in (".", "..") or "/" in name or "\0" in name:
            return None
        try:
            return self._folder / name if (self._folder / name).is_dir() else None
        except OSError:  # longer than a file's name can be
            return None

    def _copy(self, source: Path, state: str, copy: Path) -> None:
        self._fit.check(source)
        self._copies.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=self._copies, prefix=".new-"))
        try:
            for file in _files(source):
                shutil.copyfile(file, made / file.name)
            self._fit.check(made)
            (made / _SOURCE).write_text(state, encoding="utf-8")
            made.rename(copy)
        except OSError as error:
            if not copy.exists():  # or the other process was faster
                raise Misfit(f"it cannot be copied: {error}") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _files(source: Path) -> list[Path]:
    weights = weights_file(source)
    return [source / CONFIG, *([weights] if weights is not None else [])]


def _state(source: Path) -> str:
    """Changes when the adapter's files do."""
    states = []
    for file in _files(source):
        with contextlib.suppress(OSError):  # not there, or not yet
            found = file.stat()
            states.append(f"{file.name} {found.st_size} {found.st_mtime_ns} {found.st_ino}")
    return "\n".join(states)


def _id(name: str) -> int:
    return FIRST_FOUND_ID + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % FIRST_FOUND_ID
