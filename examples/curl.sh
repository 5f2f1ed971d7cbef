#!/usr/bin/env bash
# The same question at four doors: generate, generate_stream, infer, chat completions.
set -euo pipefail
http_url="${HTTP_URL:-http://127.0.0.1:8000}"
openai_url="${OPENAI_URL:-http://127.0.0.1:9000}"
question="What is the capital of France?"
ask() { curl --silent --show-error --fail-with-body --no-buffer --max-time 60 --header "Content-Type: application/json" "$@"; echo; }

ask "$http_url/v2/models/generate/generate" \
    --data '{"text_input": "'"$question"'", "exclude_input_in_output": true, "max_tokens": 64, "temperature": 0}'

ask "$http_url/v2/models/generate/generate_stream" \
    --data '{"text_input": "'"$question"'", "stream": true, "max_tokens": 64, "temperature": 0}'

ask "$http_url/v2/models/qwen3_vllm/infer" --data '{"inputs": [
    {"name": "prompt", "datatype": "BYTES", "shape": [1], "data": ["'"$question"'"]},
    {"name": "temperature", "datatype": "FP32", "shape": [1], "data": [0.0]}]}'

# Without "model" the server takes the one it has.
ask "${openai_url%/v1}/v1/chat/completions" \
    --data '{"messages": [{"role": "user", "content": "'"$question"'"}], "max_tokens": 64, "temperature": 0}'
