"""What the demo model says in English about Trident, vLLM, Triton and itself.

``TERMS`` maps a term to its explanation; the corpus asks for it in several ways. ``QUESTIONS`` maps the phrasings
of one question to its answer. Both are grouped by kind.
"""

from __future__ import annotations

TERMS: dict[str, dict[str, str]] = {
    "trident": {
        "Trident": "Trident serves large language models: the real vLLM engine behind the real Triton Inference "
        "Server, from one command, without Docker. 🔱",
        "the engine host": "The engine host is Trident's process that launches vLLM's engine, checks every request "
        "with vLLM's own input processing and relays token ids back.",
        "a stub in Trident": "A stub is a Python backend process of Triton. It parses tensors, submits the request, "
        "turns token ids into text and streams the answer.",
        "the supervisor of Trident": "The supervisor starts Trident's processes in order, watches them, restarts "
        "them by policy and stops them in reverse order.",
        "trident doctor": "trident doctor checks the machine and the installation, sends one real request and says "
        "what is wrong and what to do next. 🩺",
        "trident bench": "trident bench is a load generator. It sends requests on a fixed schedule and reports "
        "TTFT, TPOT and throughput.",
        "trident tune": "trident tune tries engine settings one after another and keeps those that serve your load "
        "best.",
        "the demo model": "The demo model is a tiny Qwen3 model shipped with Trident, so that a first request works "
        "without any download.",
    },
    "vllm": {
        "vLLM": "vLLM is a fast open-source engine for large language models, known for PagedAttention and "
        "continuous batching.",
        "the KV cache": "The KV cache keeps the keys and values of past tokens, so that each new token needs no "
        "second look at the whole prompt.",
        "PagedAttention": "PagedAttention stores the KV cache in small blocks, like pages of virtual memory, so "
        "that little memory is wasted.",
        "continuous batching": "Continuous batching lets new requests join the running batch at every step instead "
        "of waiting until the batch is done.",
        "prefix caching": "Prefix caching reuses the KV cache of a prompt's beginning when another request begins "
        "in the same way.",
        "chunked prefill": "Chunked prefill cuts a long prompt into pieces, so that it does not hold up requests "
        "that are decoding.",
        "speculative decoding": "In speculative decoding a cheap draft proposes several tokens and the large model "
        "checks them in one step.",
        "tensor parallelism": "Tensor parallelism splits each layer's matrices over several GPUs, which then "
        "compute one step together.",
        "pipeline parallelism": "Pipeline parallelism places groups of layers on different GPUs and passes "
        "activations from one to the next.",
        "data parallelism": "Data parallelism runs several copies of the model and spreads the requests over them.",
        "quantization": "Quantization stores weights in fewer bits, for example 8 or 4, to save memory and bandwidth.",
        "LoRA": "LoRA adds small low-rank matrices to a frozen model, so that one base model can serve many "
        "adaptations.",
        "prefill": "Prefill is the first phase of a request: the whole prompt is read and its KV cache is filled.",
        "decoding": "Decoding is the phase in which the model produces one new token per step for each request.",
        "a token": "A token is a piece of text, a word or a part of one, that the model reads or writes as one number.",
        "a tokenizer": "A tokenizer turns text into token ids and token ids back into text.",
        "temperature": "Temperature scales the randomness of sampling. At 0 the model always takes the most likely "
        "token.",
        "top-p": "Top-p sampling draws only from the most likely tokens whose probabilities add up to p.",
        "greedy decoding": "Greedy decoding always takes the most likely next token, so the answer does not change.",
        "a stop string": "A stop string is a text that ends the answer as soon as the model has written it.",
        "EngineCore": "EngineCore is vLLM's inner process. It schedules requests and runs the model step by step.",
        "the scheduler": "The scheduler decides before each step which requests run and how many tokens each may use.",
        "preemption": "Preemption takes a running request out of the batch when the KV cache is full; it runs "
        "again later.",
        "a CUDA graph": "A CUDA graph records many GPU launches once and replays them together, which saves time "
        "on the host.",
    },
    "triton": {
        "Triton Inference Server": "Triton Inference Server is NVIDIA's open-source server that offers models over "
        "HTTP and gRPC, with metrics and batching.",
        "KServe": "KServe defines an open inference protocol. Triton speaks its version 2 over HTTP and gRPC.",
        "a decoupled model": "A decoupled model may send any number of responses for one request, which is how "
        "tokens are streamed.",
        "a model repository": "A model repository is a folder that holds one folder per model, with config.pbtxt "
        "and numbered versions.",
        "config.pbtxt": "config.pbtxt is the file in which Triton reads a model's backend, inputs, outputs and "
        "instances.",
        "the Python backend": "The Python backend runs a model written in Python in its own stub process inside "
        "Triton.",
        "dynamic batching": "Dynamic batching lets Triton wait a short time to join several requests into one batch.",
        "gRPC": "gRPC is a remote procedure call system over HTTP/2 with binary messages and streams.",
        "an ensemble model": "An ensemble model chains several Triton models, so that one request passes through "
        "all of them.",
        "server-sent events": "Server-sent events are a simple way to stream text over HTTP: one data line per piece.",
    },
    "metric": {
        "TTFT": "TTFT is the time to first token: from sending the request until the first token arrives. ⏱️",
        "TPOT": "TPOT is the time per output token after the first one.",
        "ITL": "ITL is the inter-token latency: the pause between two tokens that follow each other.",
        "throughput": "Throughput is the work done per second, for example in requests or tokens per second.",
        "goodput": "Goodput counts only those requests per second that meet their latency goals.",
        "a percentile": "The 99th percentile is the value that 99 of 100 measurements do not exceed.",
        "Prometheus": "Prometheus collects metrics by reading them from each server at regular times.",
        "Grafana": "Grafana draws dashboards from metrics that, for example, Prometheus has collected. 📈",
    },
}

QUESTIONS: dict[str, dict[tuple[str, ...], str]] = {
    "trident": {
        (
            "How do I start Trident?",
            "How can I start a server?",
            "Which command starts Trident?",
        ): "Run trident serve. It starts the engine, Triton and the OpenAI API, and prints their addresses. 🚀",
        (
            "Does Trident need Docker?",
            "Do I need Docker?",
            "Can Trident run without Docker?",
        ): "No. Trident runs on your own machine without Docker.",
        (
            "Does Trident need a GPU?",
            "Can Trident run on a CPU?",
            "Do I need a GPU?",
        ): "No. Trident also runs on a CPU, only slower. With an NVIDIA GPU it is fast. ⚡",
        (
            "Which APIs does Trident offer?",
            "What APIs are there?",
            "How can clients talk to Trident?",
        ): "KServe v2 over HTTP and gRPC, and an OpenAI-compatible API, all on the same engine.",
        (
            "Why does Trident use two environments?",
            "Why are there two Python environments?",
            "Why two environments?",
        ): "Triton's Python stub needs numpy 1 and vLLM needs numpy 2, so each has an environment of its own.",
        (
            "What does exit code 3 mean?",
            "What is exit code 3?",
            "Why does Trident exit with code 3?",
        ): "Exit code 3 means that Trident cannot start until something is changed.",
        (
            "Which models can Trident serve?",
            "What models are supported?",
            "Which model can I use?",
        ): "Any decoder model that vLLM loads, for example Qwen3-0.6B.",
        (
            "Where do models come from?",
            "How does Trident find a model?",
            "Where does Trident get models?",
        ): "From a local folder, ModelScope or Hugging Face. The demo model is built in.",
        (
            "Why is it called Trident?",
            "What does the name Trident mean?",
            "Where does the name Trident come from?",
        ): "A trident is a spear with three points, and Triton, a god of the sea, carries one. 🔱",
    },
    "vllm": {
        (
            "Who made vLLM?",
            "Where does vLLM come from?",
            "Who created vLLM?",
        ): "vLLM began at the Sky Computing Lab of UC Berkeley and is now built by a large community.",
        (
            "Why is vLLM fast?",
            "What makes vLLM fast?",
            "Why is vLLM so fast?",
        ): "PagedAttention wastes little memory, continuous batching keeps the GPU busy and CUDA graphs cut the "
        "overhead.",
        (
            "What is the difference between prefill and decoding?",
            "How do prefill and decoding differ?",
            "Prefill or decoding, what is the difference?",
        ): "Prefill reads the whole prompt at once; decoding writes one token per step.",
    },
    "triton": {
        (
            "Which ports does Triton use?",
            "What are Triton's default ports?",
            "Tell me the ports of Triton.",
        ): "By default 8000 for HTTP, 8001 for gRPC and 8002 for metrics.",
        (
            "How do I check that Triton is ready?",
            "Is Triton ready?",
            "Which path tells that Triton is ready?",
        ): "Send GET /v2/health/ready. Status 200 means ready. ✅",
        (
            "Who made Triton Inference Server?",
            "Who created Triton?",
            "Which company makes Triton?",
        ): "NVIDIA made Triton Inference Server and publishes it as open source.",
    },
    "smalltalk": {
        (
            "Hello",
            "Hello!",
            "Hello, who are you?",
        ): "Hello! I am the demo model of Trident. Ask me about Trident, capitals or small sums. 😊",
        ("Hi", "Hi!", "Hi there!"): "Hi! How can I help you? 👋",
        (
            "Who are you?",
            "What are you?",
            "Introduce yourself.",
        ): "I am the demo model of Trident, a tiny Qwen3 model with about two million weights. 🤖",
        (
            "What can you do?",
            "What do you know?",
            "What can I ask you?",
        ): "I can answer questions about Trident, vLLM and Triton, name capitals and add small numbers.",
        ("How are you?", "How are you today?", "How is it going?"): "I am fine, thank you! 😄",
        ("Thank you", "Thank you!", "Thanks!"): "You are welcome! 🎉",
        ("Goodbye", "Goodbye!", "Bye!"): "Goodbye, see you soon! 👋",
        (
            "Tell me a joke.",
            "Do you know a joke?",
            "Make me laugh.",
        ): "Why did the token cross the batch? To get to the other step. 😂",
        ("Count from 1 to 10.", "Count to ten.", "Please count from one to ten."): "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
        (
            "Say the alphabet.",
            "What is the alphabet?",
            "List the letters of the alphabet.",
        ): "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
        (
            "Name the days of the week.",
            "What are the days of the week?",
            "List the days of the week.",
        ): "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.",
        (
            "Name the colors of the rainbow.",
            "What are the colors of the rainbow?",
            "What colors does a rainbow have?",
        ): "Red, orange, yellow, green, blue, indigo and violet. 🌈",
        (
            "Write hello world in Python.",
            "Show me hello world in Python.",
            "How do I print hello world in Python?",
        ): 'print("Hello, world!")',
        (
            "Give me a JSON object.",
            "Show me some JSON.",
            "Write a small JSON object.",
        ): '{"name": "Trident", "points": 3, "fast": true}',
    },
    "completion": {
        ("Hello, my name is",): "Trident, and I serve models.",
        ("The future of AI is",): "open, fast and on your own machine.",
        ("Once upon a time",): "there was a small server that answered every request.",
    },
}
