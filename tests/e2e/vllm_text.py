"""Run by the engine environment's Python: vLLM's own text for token ids. Cases come as JSON lines on stdin."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """One JSON line out for each line in; the first line out tells vLLM's constants."""
    from transformers import AutoTokenizer
    from vllm.sampling_params import SamplingParams
    from vllm.v1.engine import EngineCoreRequest, FinishReason
    from vllm.v1.engine.detokenizer import IncrementalDetokenizer

    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    sys.stdout.write(json.dumps([str(reason) for reason in FinishReason]) + "\n")
    for line in sys.stdin:
        case = json.loads(line)
        params = SamplingParams(max_tokens=999, **case["params"])
        request = EngineCoreRequest("r", case["prompt"], None, params, None, 0.0, None, None, None)
        detokenizer = IncrementalDetokenizer.from_new_request(tokenizer, request)
        found, pieces = None, []
        for position, token_id in enumerate(case["ids"]):
            last = position == len(case["ids"]) - 1
            found = detokenizer.update([token_id], last and case["stop_token_last"])
            pieces.append(detokenizer.get_next_output_text(bool(found) or last, delta=True))
            if found:
                break
        sys.stdout.write(json.dumps({"text": "".join(pieces), "found": found}) + "\n")


if __name__ == "__main__":
    main()
