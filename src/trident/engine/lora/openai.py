"""The adapters of ``lora_dir`` at vLLM's OpenAI server, through its own extension points.

vLLM's resolver for folders would find nothing: it compares the adapter's base model with the path of the served one.
It would also give an adapter a number of its own, and the engine two adapters of one name (see ``shelf``).
"""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.lora.request import LoRARequest
from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry

from trident.engine.lora.fit import Misfit
from trident.engine.lora.shelf import Shelf, UnknownAdapter

CLOSED = ("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/adapters")


def offer(shelf: Shelf, args: argparse.Namespace) -> None:
    """Makes the server that will be started in this process look for adapters on the shelf."""
    LoRAResolverRegistry.register_resolver("Trident's lora_dir", _Resolver(shelf))
    # Asks the resolvers, and opens routes to load any folder of this machine under any number: those are closed again.
    os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    args.middleware = [*args.middleware, f"{ClosedRoutes.__module__}.{ClosedRoutes.__name__}"]


class _Resolver(LoRAResolver):
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:  # noqa: ARG002
        try:
            found = await asyncio.to_thread(self._shelf.take, lora_name)
        except UnknownAdapter:
            return None
        except Misfit as misfit:
            raise VLLMValidationError(f"LoRA adapter {lora_name!r}: {misfit}", parameter="model") from misfit
        return _Numbered(found.lora_name, found.lora_int_id, found.lora_path)


class _Numbered(LoRARequest):
    """Keeps its id, where vLLM's server would count on."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "lora_int_id":
            super().__setattr__(name, value)


class ClosedRoutes:
    """ASGI middleware: 404 for the routes that vLLM opens beside its resolvers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(CLOSED):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"adapters are put into lora_dir"})
        else:
            await self._app(scope, receive, send)
