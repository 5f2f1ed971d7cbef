"""Images that clients send as base64, decoded as vLLM's OpenAI server decodes them, and bounded before that."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from PIL import Image
from vllm.config import ModelConfig
from vllm.multimodal.image import open_image
from vllm.multimodal.media import ImageMediaIO
from vllm.renderers import BaseRenderer

from trident.engine.sampling import Refused

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 89_478_485
"""Of all images of one request. Pillow's own limit for one: a small file that unpacks into more is taken for a bomb."""


class Images:
    """What the served model takes. ``decode`` blocks and may be called on any thread."""

    def __init__(self, model: ModelConfig, renderer: BaseRenderer) -> None:
        self._name = model.served_model_name
        self._most = 0
        self._placeholder = ""
        if model.supports_multimodal_inputs and model.multimodal_config is not None:
            processor = renderer.get_mm_processor()
            self._most = processor.info.allowed_mm_limits.get("image", 0)
            self._placeholder = processor.dummy_inputs.get_dummy_text({"image": 1}) if self._most else ""
            self._reader = ImageMediaIO(**model.multimodal_config.media_io_kwargs.get("image", {}))

    def decode(self, texts: list[str]) -> list[Any]:
        """For vLLM's ``multi_modal_data``. Raises Refused, with the element's number."""
        if len(texts) > self._most:
            if self._most == 0:
                raise Refused("invalid", f"input 'image': model {self._name} takes no images; leave it out")
            raise Refused(
                "invalid",
                f"input 'image' has {len(texts)} elements; expected at most {self._most} (limit_mm_per_prompt of vLLM)",
            )
        decoded, bytes_left, pixels_left = [], MOST_BYTES, MOST_PIXELS
        for number, text in enumerate(texts, 1):
            try:
                data = _from_base64(text, bytes_left)
                pixels_left -= _pixels(data, pixels_left)
                bytes_left -= len(data)
                decoded.append(self._reader.load_bytes(data))
            except Refused:
                raise
            except Exception as error:
                why = str(error) or type(error).__name__
                raise Refused("invalid", f"input 'image', element {number} of {len(texts)}: {why}") from error
        return decoded

    def misplaced(self, error: Exception) -> Refused:
        """For vLLM's complaint that a prompt and its images do not belong together."""
        return Refused(
            "invalid",
            f"input 'image': the prompt does not go with its images: {error} The text should have "
            f"{self._placeholder!r} once for each image",
        )


def _from_base64(text: str, most_bytes: int) -> bytes:
    packed = "".join(text.split())  # the base64 command breaks its lines
    if len(packed) // 4 * 3 > most_bytes:
        raise ValueError(f"the images have more than {MOST_BYTES // 2**20} MiB together")
    try:
        return base64.b64decode(packed, validate=True)
    except ValueError as error:
        raise ValueError(f"it is not base64 of an image file: {error}") from error


def _pixels(data: bytes, most: int) -> int:
    """Read from the header, before anything is unpacked."""
    try:
        with open_image(BytesIO(data)) as image:
            pixels = int(image.width) * int(image.height)
    except Image.DecompressionBombError:
        pixels = most + 1
    except Image.UnidentifiedImageError as error:
        raise ValueError("it is no image file; expected PNG, JPEG, WebP, GIF, BMP or TIFF") from error
    if pixels > most:
        raise ValueError(f"the images have more than {MOST_PIXELS} pixels together")
    return pixels
