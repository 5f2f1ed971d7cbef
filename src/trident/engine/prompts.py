"""What clients ask with, as vLLM's renderer makes it: token ids, and what belongs to them."""

from __future__ import annotations

import asyncio
from typing import Any

from vllm.config import VllmConfig
from vllm.renderers import BaseRenderer
from vllm.renderers.inputs.preprocess import parse_model_prompt

from trident.engine.images import Images
from trident.protocol.messages import Submit

LONG_PROMPT_CHARACTERS = 8_000
"""Longer prompts are tokenised on a thread, so that nobody waits for them."""

UNPACKED_AT_ONCE = 2
"""Requests whose images lie unpacked in memory: one that vLLM processes, which it does one at a time, and the next."""


class Prompts:
    """Renders one prompt at a time. Raises Refused, or what vLLM raises, for one that its model cannot take."""

    def __init__(self, config: VllmConfig, renderer: BaseRenderer) -> None:
        self._config = config
        self._renderer = renderer
        self._images = Images(config.model_config, renderer)
        self._unpacking = asyncio.Semaphore(UNPACKED_AT_ONCE)

    async def of_generation(self, submit: Submit) -> Any:
        """Text, with images or without, or ids."""
        if submit.images:
            return await self._rendered_with_images(submit.prompt or "", submit.images)
        if submit.prompt is not None:
            return await self.rendered(submit.prompt)
        return await self.rendered(submit.prompt_token_ids or [])

    async def rendered(self, prompt: str | list[int]) -> Any:
        """Text or token ids."""
        is_text = isinstance(prompt, str)
        parsed = parse_model_prompt(self._config.model_config, prompt if is_text else {"prompt_token_ids": prompt})
        if is_text and len(prompt) > LONG_PROMPT_CHARACTERS:
            (rendered,) = await self._renderer.render_cmpl_async([parsed])
        else:
            (rendered,) = self._renderer.render_cmpl([parsed])
        return rendered

    async def _rendered_with_images(self, prompt: str, images: list[str]) -> Any:
        # On threads: decoding and the model's processor take long, and nobody else's tokens should wait.
        async with self._unpacking:
            decoded = await asyncio.to_thread(self._images.decode, images)
            data = {"prompt": prompt, "multi_modal_data": {"image": decoded}}
            parsed = parse_model_prompt(self._config.model_config, data)
            try:
                (rendered,) = await self._renderer.render_cmpl_async([parsed])
            except (RuntimeError, AssertionError) as error:
                raise self._images.misplaced(error) from error
        return rendered
