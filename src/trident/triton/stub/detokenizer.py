"""Token ids to text, exactly as vLLM's own front-end does it (vllm/v1/engine/detokenizer.py).

Text is released only up to the last complete character, and with stop strings only up to where one could begin.
"""

from __future__ import annotations

import logging
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from trident.protocol.messages import Accepted

log = logging.getLogger("trident.detokenizer")

_INVALID_PREFIX = "Invalid prefix encountered"


class Detokenizer:
    """The text of one sequence."""

    __slots__ = (
        "_added",
        "_after_special",
        "_count",
        "_hold_back",
        "_include_stop",
        "_min_tokens",
        "_released",
        "_skip_special",
        "_stop",
        "_stream",
        "_text",
        "_tokenizer",
        "_window",
    )

    def __init__(self, tokenizer: Tokenizer, accepted: Accepted, added_tokens: dict[int, str]) -> None:
        self._tokenizer = tokenizer
        self._skip_special = accepted.skip_special_tokens
        self._stream: Any = DecodeStream(ids=accepted.prompt_token_ids, skip_special_tokens=self._skip_special)
        spaced = accepted.skip_special_tokens or accepted.spaces_between_special_tokens
        self._added = {} if spaced else added_tokens
        self._after_special = False
        self._stop = [stop for stop in accepted.stop if stop]
        self._include_stop = accepted.include_stop_str_in_output
        self._min_tokens = accepted.min_tokens
        longest = max(map(len, self._stop), default=1)
        self._window = longest - 1
        self._hold_back = 0 if self._include_stop else self._window
        self._count = 0
        self._text = ""  # what may still matter: unreleased text and the window in which a stop string may begin
        self._released = 0  # how much of it has been taken

    def feed(self, token_ids: list[int], *, stop_token_last: bool = False) -> str | None:
        """Adds tokens and returns the stop string that they completed, if any; later tokens are then ignored.

        ``stop_token_last``: the engine stopped at the last of them (EOS or a stop token), whose text is not part of
        the answer unless ``include_stop_str_in_output``.
        """
        shown = token_ids[:-1] if stop_token_last and not self._include_stop else token_ids
        if not self._stop:
            self._count += len(token_ids)
            self._text += "".join([self._decode(token_id) for token_id in shown])
            return None
        for token_id in shown:
            piece = self._decode(token_id)
            self._count += 1
            self._text += piece
            if piece and self._count > self._min_tokens and (found := self._match(len(piece))) is not None:
                return found
        return None

    def take(self, *, final: bool = False) -> str:
        """The text that has become certain since the last call; with ``final`` all of it."""
        if not self._stop:
            text, self._text = self._text, ""
            return text
        end = len(self._text) if final else max(self._released, len(self._text) - self._hold_back)
        text = self._text[self._released : end]
        keep_from = max(0, min(end, len(self._text) - self._window))
        self._text = self._text[keep_from:]
        self._released = end - keep_from
        return text

    def _match(self, new_characters: int) -> str | None:
        best: tuple[int, int, str] | None = None
        for order, stop in enumerate(self._stop):
            begin = self._text.find(stop, max(0, len(self._text) - new_characters - len(stop) + 1))
            if begin >= 0 and (best is None or (begin + len(stop), order) < best[:2]):
                best = (begin + len(stop), order, stop)
        if best is None:
            return None
        end, _, stop = best
        self._text = self._text[: end if self._include_stop else end - len(stop)]
        return stop

    def _decode(self, token_id: int) -> str:
        text = self._step(token_id)
        if self._added:
            special = self._added.get(token_id)
            if special is not None and self._after_special:
                text = special
            self._after_special = special is not None
        return text or ""

    def _step(self, token_id: int) -> str | None:
        try:
            return self._stream.step(self._tokenizer, token_id)  # type: ignore[no-any-return]
        except (OverflowError, TypeError):
            log.warning("the engine sent a token id that is none: %r", token_id)
            return None
        except Exception as error:
            # tokenizers raises a bare Exception when bytes that are no text break its prefix; vLLM starts afresh
            # there (vllm-project/vllm#17448), and so must we to give the same text.
            if not str(error).startswith(_INVALID_PREFIX):
                raise
            self._stream = DecodeStream(skip_special_tokens=self._skip_special)
            return self._stream.step(self._tokenizer, token_id)  # type: ignore[no-any-return]


def added_tokens(tokenizer: Tokenizer) -> dict[int, str]:
    """Text of the tokens that were added to the vocabulary, by id."""
    return {token_id: token.content for token_id, token in tokenizer.get_added_tokens_decoder().items()}
