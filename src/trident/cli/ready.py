"""What is printed when a server is ready: where it is and what to type next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trident.config.models import Config
    from trident.supervisor.state import ServerState

NO_PROMETHEUS = "Without Prometheus there is no history and no alert (Debian: apt-get install prometheus)"
QUESTION = "What is the capital of France?"


def lines(state: ServerState, config: Config, seconds: float, *, is_detached: bool) -> list[str]:
    """URLs, commands that can be copied, and how to stop."""
    name = "" if config.name == "default" else f" --name {config.name}"
    models = ", ".join(state.openai_doors) or ", ".join(config.triton.model_repository)
    return [
        "",
        f"{models} is served after {seconds:.1f} s",
        "",
        *(f"  {door:<15} {url}" for door, url in state.urls.items()),
        *([f"  {NO_PROMETHEUS}"] if "Monitor" in state.urls and "Prometheus" not in state.urls else []),
        "",
        *_commands(state, config, name),
        f"Logs: {state.run_dir}/logs   (trident logs{name} -f)",
        f"Stop: trident stop{name}" if is_detached else "Stop: Ctrl-C (a second one forces)",
    ]


def _commands(state: ServerState, config: Config, name: str) -> list[str]:
    """Those that the first model answers: text, else an embedding, else none."""
    if not state.openai_doors:
        return []
    model, url = next(iter(state.openai_doors.items()))
    contract = config.contracts.generate_name if config.model is not None else model
    generate = f"{state.urls['KServe HTTP']}/v2/models/{contract}/generate"
    key = " -H 'Authorization: Bearer YOUR_KEY'" if config.has_keys else ""
    openai = f"-H 'Content-Type: application/json'{key} -d"
    if "generate" in state.tasks:
        wanted = json.dumps({"text_input": QUESTION, "max_tokens": 32, "temperature": 0})
        messages = [{"role": "user", "content": QUESTION}]
        chat = json.dumps({"model": model, "stream": True, "messages": messages})
        return [
            "Try:",
            f"  curl -s {generate}{key} -d '{wanted}'",
            f"  curl -sN {url}/chat/completions {openai} '{chat}'",
            f"  trident chat{name}",
            "",
        ]
    if "embed" in state.tasks:
        wanted = json.dumps({"embedding_request": json.dumps({"input": QUESTION})})
        embedding = json.dumps({"model": model, "input": QUESTION})
        return [
            "Try:",
            f"  curl -s {generate}{key} -d '{wanted}'",
            f"  curl -s {url}/embeddings {openai} '{embedding}'",
            "",
        ]
    return []
