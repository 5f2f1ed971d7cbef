"""Run by the engine's Python: loads one model after the other with vLLM alone and asks each the same, which spares the
import and all that Trident starts. The last line is JSON: the answers by folder.

    python ask_vllm.py QUESTION FOLDER…
"""

from __future__ import annotations

import json
import os
import sys

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCH_COMPILE_DISABLE": "1",
    # The engine in this very process, with no more memory than a small model's cache needs.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}

from vllm import LLM, SamplingParams


def answer(folder: str, question: str) -> str:
    """Greedy, to its end."""
    model = LLM(model=folder, max_model_len=256, max_num_seqs=4, enforce_eager=True, distributed_executor_backend="uni")
    (output,) = model.generate([question], SamplingParams(temperature=0, max_tokens=16), use_tqdm=False)
    return str(output.outputs[0].text)


if __name__ == "__main__":
    answers = {folder: answer(folder, sys.argv[1]) for folder in sys.argv[2:]}
    sys.stdout.write("\n" + json.dumps(answers) + "\n")
