"""What clients ask with, as vLLM's renderer makes it: token ids, and what belongs to them."""

from __future__ import annotations

from typing import Any

from vllm.config import VllmConfig
from vllm.renderers import BaseRenderer
from vllm.renderers.inputs.preprocess import parse_model_prompt

from trident.protocol.messages import Submit

LONG_PROMPT_CHARACTERS = 8_000
"""Longer prompts are tokenised on a thread, so that nobody waits for them."""


class Prompts:
    """Renders one prompt at a time. Raises what vLLM raises for one that its model cannot take."""

    def __init__(self, config: VllmConfig, renderer: BaseRenderer) -> None:
        self._config = config
        self._renderer = renderer

    async def of_generation(self, submit: Submit) -> Any:
        """Text, or ids with those that another engine has made from them."""
        if submit.prompt is not None:
            return await self.rendered(submit.prompt)
        return await self.rendered([*(submit.prompt_token_ids or ()), *submit.resume_from])

    async def rendered(self, prompt: str | list[int]) -> Any:
        """Text or token ids."""
        is_text = isinstance(prompt, str)
        parsed = parse_model_prompt(self._config.model_config, prompt if is_text else {"prompt_token_ids": prompt})
        if is_text and len(prompt) > LONG_PROMPT_CHARACTERS:
            (rendered,) = await self._renderer.render_cmpl_async([parsed])
        else:
            (rendered,) = self._renderer.render_cmpl([parsed])
        return rendered
