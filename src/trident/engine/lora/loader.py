"""Brings an adapter into the engine before the first request that needs it.

A worker that fails to load an adapter in the midst of a step ends the engine for everybody; vLLM's ``add_lora`` fails
for its caller alone.
"""

from __future__ import annotations

import asyncio
import logging

from vllm.lora.request import LoRARequest
from vllm.v1.engine.core_client import AsyncMPClient
from vllm.v1.engine.exceptions import EngineDeadError

from trident.engine.lora.fit import Misfit
from trident.engine.lora.shelf import Shelf, UnknownAdapter
from trident.engine.sampling import Refused

log = logging.getLogger("trident.lora")


class Loader:
    """The relay's adapters. Without a shelf this server has none."""

    def __init__(self, client: AsyncMPClient, shelf: Shelf | None) -> None:
        self._client = client
        self._shelf = shelf
        self._loaded: set[int] = set()
        self._loading = asyncio.Lock()

    async def adapter(self, name: str) -> LoRARequest:
        """The adapter, ready to use. Raises Refused."""
        if self._shelf is None:
            raise Refused(
                "invalid",
                f"lora_name {name!r}: LoRA is not enabled on this server; start it with --enable-lora and adapters "
                "(--lora-dir, --lora-modules)",
            )
        try:
            # A new adapter is copied: for megabytes, nobody else's tokens should wait.
            adapter = await asyncio.to_thread(self._shelf.take, name)
        except UnknownAdapter as error:
            raise Refused("not_found", f"lora_name {name!r}: {error}") from error
        except (Misfit, OSError) as error:
            raise Refused("invalid", f"lora_name {name!r}: {error}") from error
        async with self._loading:
            if adapter.lora_int_id not in self._loaded:
                await self._load(adapter)
                self._loaded.add(adapter.lora_int_id)
        return adapter

    async def _load(self, adapter: LoRARequest) -> None:
        # What another front-end began to load, and failed, would be taken for the whole.
        await self._client.remove_lora_async(adapter.lora_int_id)
        try:
            await self._client.add_lora_async(adapter)
        except EngineDeadError:
            raise
        except Exception as error:
            log.warning("adapter %s cannot be loaded: %s", adapter.lora_name, error)
            await self._client.remove_lora_async(adapter.lora_int_id)  # what was loaded before the failure
            why = str(error).removeprefix("Call to add_lora method failed: ")
            raise Refused("invalid", f"lora_name {adapter.lora_name!r}: vLLM cannot load it: {why}") from error
