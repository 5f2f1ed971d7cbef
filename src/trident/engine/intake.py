"""Turns a ``Submit`` into a request that vLLM has validated and the engine is sure to decode.

EngineCore trusts its front-ends: one wrong type ends its input thread and deafens it for everybody. So a request passes
three gates here: names and types against ``SamplingParams``, vLLM's ``InputProcessor``, and the engine's own decoder.
"""

from __future__ import annotations

import logging
from copy import copy
from typing import Any, NamedTuple

import msgspec
from vllm.config import VllmConfig
from vllm.exceptions import VLLMClientError, VLLMNotFoundError
from vllm.pooling_params import PoolingParams
from vllm.sampling_params import SamplingParams
from vllm.tasks import SupportedTask
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.input_processor import InputProcessor
from vllm.v1.engine.parallel_sampling import ParentRequest
from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder

from trident.engine.chat import Chat
from trident.engine.chat_answer import ChatAnswer
from trident.engine.continuation import Continuation
from trident.engine.embedding import TASK, embedding
from trident.engine.limits import excess
from trident.engine.logprobs import Logprobs
from trident.engine.lora.loader import Loader
from trident.engine.prompts import Prompts
from trident.engine.sampling import Refused, in_words, sampling_params
from trident.protocol.messages import Accepted, Rejected, Submit
from trident.protocol.spec import RequestLimits

log = logging.getLogger("trident.intake")


class Admitted(NamedTuple):
    """What is sent to the engine (a request for each of ``n`` sequences that is not finished, by its index), and of it
    to the stub.

    ``answers`` are there where a chat's parser makes the answer instead of the stub. An embedding has nothing to be
    told before its answer.
    """

    accepted: Accepted | None
    requests: dict[int, EngineCoreRequest]
    answers: dict[int, ChatAnswer]
    n: int


class Intake:
    """The three gates for one engine."""

    def __init__(
        self,
        config: VllmConfig,
        inputs: InputProcessor,
        chat: Chat,
        supported_tasks: tuple[SupportedTask, ...],
        loras: Loader,
        continuation: Continuation,
        limits: RequestLimits | None = None,
    ) -> None:
        self.continuation = continuation
        self.tasks = supported_tasks
        self._model_name = config.model_config.served_model_name
        self._inputs = inputs
        self._prompts = Prompts(config, inputs.renderer)
        self._chat = chat
        self._loras = loras
        self._limits = limits
        self._encode = MsgpackEncoder().encode
        self._decode = MsgpackDecoder(EngineCoreRequest).decode

    async def admit(self, submit: Submit) -> Admitted | Rejected:
        """The engine's requests or the reason why there are none.

        Never raises: whatever a client sends ends in one of the two.
        """
        try:
            if self._limits is not None and (why := excess(submit, self._limits)) is not None:
                raise Refused("invalid", why)
            if submit.embed is not None:
                return await self._admit_embedding(submit, submit.embed)
            return await self._admit(submit)
        except Refused as refused:
            return Rejected(submit.id, refused.code, str(refused))
        except VLLMNotFoundError as error:
            return Rejected(submit.id, "not_found", str(error))
        except (VLLMClientError, ValueError, TypeError, OverflowError) as error:
            return Rejected(submit.id, "invalid", in_words(error, submit))
        except Exception as error:
            log.exception("request %s failed before it reached the engine", submit.request_id)
            return Rejected(submit.id, "internal", f"{type(error).__name__}: {error}")

    def logprobs(self, request: EngineCoreRequest) -> Logprobs:
        """What turns the engine's logprobs of this sequence into the protocol's."""
        return Logprobs(self._inputs.tokenizer, request)

    async def _admit(self, submit: Submit) -> Admitted:
        self._check_task("generate")
        chat = await self._chat.render(submit) if submit.chat is not None else None
        params = chat.params if chat is not None else sampling_params(submit)
        prompt = chat.prompt if chat is not None else await self._prompts.of_generation(submit)
        request = await self._processed(submit, prompt, params)
        if chat is not None:
            request.reasoning_ended = chat.reasoning_ended
            request.reasoning_parser_kwargs = chat.reasoning_parser_kwargs
        self._check_decodable(request)
        resolved = request.sampling_params
        assert resolved is not None and request.prompt_token_ids is not None
        sequences = _sequences(request)
        seed = sequences[-1].sampling_params.seed if sequences[-1].sampling_params is not None else None
        if seed is not None and seed >= 2**64:  # a sequence's seed is the request's plus its index
            raise Refused("invalid", f"seed must be at most 2**64 - n with n = {resolved.n}, got {resolved.seed}")
        answers = self._chat.answers(chat, sequences) if chat is not None else []
        requests, answers_by_index = dict(enumerate(sequences)), dict(enumerate(answers))
        if submit.resume_from:
            self._go_on(submit, requests, answers_by_index)
        accepted = Accepted(
            id=submit.id,
            prompt_token_ids=request.prompt_token_ids,
            n=resolved.n,
            stop=[resolved.stop] if isinstance(resolved.stop, str) else list(resolved.stop or ()),
            include_stop_str_in_output=resolved.include_stop_str_in_output,
            min_tokens=resolved.min_tokens,
            detokenize=resolved.detokenize and not answers,
            skip_special_tokens=resolved.skip_special_tokens,
            spaces_between_special_tokens=resolved.spaces_between_special_tokens,
        )
        return Admitted(accepted, requests, answers_by_index, len(sequences))

    def _go_on(self, submit: Submit, requests: dict[int, EngineCoreRequest], answers: dict[int, ChatAnswer]) -> None:
        """Leaves out what has been finished, and makes the rest go on."""
        if len(submit.resume_from) != len(requests):
            raise Refused("internal", f"{len(submit.resume_from)} sequences cannot go on as {len(requests)}")
        for index, delivered in enumerate(submit.resume_from):
            if delivered is None:
                del requests[index]
                answers.pop(index, None)
                continue
            request = requests[index]
            if problem := self.continuation.problem(len(request.prompt_token_ids or ()), delivered.token_ids):
                raise Refused("unsupported", f"this request cannot go on: {problem}; send it again")
            if delivered.token_ids:
                if index in answers:
                    answers[index].replay(delivered)
                self.continuation.apply(request, delivered.token_ids)

    async def _admit_embedding(self, submit: Submit, embed: dict[str, Any]) -> Admitted:
        self._check_task(TASK)
        prompt, params = embedding(embed)
        request = await self._processed(submit, await self._prompts.rendered(prompt), params)
        self._check_decodable(request)
        return Admitted(None, {0: request}, {}, 1)

    def _check_task(self, task: str) -> None:
        if task not in self.tasks:
            tasks = ", ".join(sorted(self.tasks))
            raise Refused("unsupported", f"Model {self._model_name} does not support {task!r} request; it does {tasks}")

    async def _processed(
        self, submit: Submit, prompt: Any, params: SamplingParams | PoolingParams
    ) -> EngineCoreRequest:
        request = self._inputs.process_inputs(
            submit.request_id or "trident",
            prompt,
            params,
            supported_tasks=self.tasks,
            lora_request=await self._loras.adapter(submit.lora_name) if submit.lora_name is not None else None,
            trace_headers=submit.trace or None,
            priority=submit.priority,
            data_parallel_rank=submit.replica,
        )
        self._inputs.assign_request_id(request)
        return request

    def _check_decodable(self, request: EngineCoreRequest) -> None:
        try:
            self._decode(self._encode(request))
        except (msgspec.MsgspecError, OverflowError, RecursionError) as error:
            raise Refused("invalid", f"the engine cannot read a sampling parameter: {error}") from error


def _sequences(request: EngineCoreRequest) -> list[EngineCoreRequest]:
    params = request.sampling_params
    assert params is not None
    if params.n == 1:
        return [request]
    parent = ParentRequest(request)
    children = []
    for index in range(params.n):
        child = copy(request)
        child.request_id, child.sampling_params = parent.get_child_info(index)
        children.append(child)
    return children
