"""vLLM's ``LLM`` in a process of its own, without any server: run by the engine's Python.

    python speed_offline.py SOCKET MODEL ENGINE_ARGUMENTS_JSON

Takes one order after the other at a unix socket, each over a connection of its own: a closed loop, which shows what the
engine makes alone, or a batch for the recipe's stub (``speed_recipe_model.py``).
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from multiprocessing.connection import Listener
from typing import Any

from vllm import LLM, SamplingParams
from vllm.sampling_params import RequestOutputKind

TOP_P, STOP = 0.95, ["<|endoftext|>", "<|im_end|>"]
"""What the recipe sets."""


def loop(llm: LLM, order: dict[str, Any]) -> dict[str, Any]:
    """``streams`` requests at a time until all prompts have been answered, each with its ``tokens``; times in seconds.

    One stream is heard token by token; of more only the ends, as ``LLM.generate`` does, and ``per_token_s`` is how long
    each step took, those among them that begin requests.
    """
    engine = llm.llm_engine
    kind = RequestOutputKind.DELTA if order["streams"] == 1 else RequestOutputKind.FINAL_ONLY
    waiting, begun_s = iter(enumerate(order["prompts"])), time.perf_counter()
    asked_s: dict[str, float] = {}
    first_s: dict[str, float] = {}
    end_s: dict[str, float] = {}
    steps_s: list[float] = []
    made = 0

    def ask() -> None:
        for number, prompt in waiting:
            tokens = order["tokens"][number]
            params = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, output_kind=kind)
            asked_s[str(number)] = time.perf_counter()
            engine.add_request(str(number), prompt, params)
            return

    for _ in range(order["streams"]):
        ask()
    last_s = time.perf_counter()
    while engine.has_unfinished_requests():
        outputs = engine.step()
        now_s = time.perf_counter()
        steps_s.append(now_s - last_s)
        last_s = now_s
        for output in outputs:
            made += len(output.outputs[0].token_ids)
            first_s.setdefault(output.request_id, now_s - asked_s[output.request_id])
            if output.finished:
                end_s[output.request_id] = now_s - asked_s[output.request_id]
                ask()
    return {
        "seconds": time.perf_counter() - begun_s,
        "tokens": made,
        "first_s": sorted(first_s.values()) if order["streams"] == 1 else [],
        "end_s": sorted(end_s.values()),
        "per_token_s": sorted((end_s[one] - first_s[one]) / max(1, order["tokens"][int(one)] - 1) for one in end_s)
        if order["streams"] == 1
        else sorted(steps_s),
    }


def batch(llm: LLM, order: dict[str, Any]) -> list[str]:
    """What the recipe does: a blocking ``LLM.generate``."""
    params = [
        SamplingParams(temperature=temperature, top_p=TOP_P, max_tokens=max_tokens, stop=STOP)
        for max_tokens, temperature in zip(order["max_tokens"], order["temperature"], strict=True)
    ]
    return [answer.outputs[0].text for answer in llm.generate(order["prompts"], params, use_tqdm=False)]


def main() -> None:
    """Until the order to end; the socket is there once the engine is."""
    address, model, arguments = sys.argv[1:]
    llm = LLM(model=model, **json.loads(arguments))
    with Listener(address, "AF_UNIX", backlog=8) as listener:
        while True:
            with listener.accept() as client, contextlib.suppress(EOFError, BrokenPipeError):
                order = client.recv()
                if order["kind"] == "end":
                    return
                client.send(loop(llm, order) if order["kind"] == "loop" else batch(llm, order))


if __name__ == "__main__":
    main()
