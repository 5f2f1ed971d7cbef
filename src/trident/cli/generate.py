"""``trident generate``: one answer through Triton's ``generate_stream``, as it comes."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

from trident.cli import running
from trident.errors import RequestFailed


def generate(
    prompt: Annotated[str, typer.Argument(help="The prompt, sent as it is, without a chat template; - reads stdin.")],
    name: Annotated[str | None, typer.Option(help="Name of the server.")] = None,
    url: Annotated[str | None, typer.Option(help="Another server's KServe HTTP, as http://HOST:8000.")] = None,
    model: Annotated[str | None, typer.Option(help="Triton's name for the model.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 256,
    temperature: Annotated[float, typer.Option(help="0 always takes the likeliest token.")] = 0.0,
    events: Annotated[bool, typer.Option("--json", help="Print Triton's events, one JSON object a line.")] = False,
) -> None:
    """Generate one answer and print it while it is made."""
    server = None if url else running.find(name)
    kserve_url = server.kserve_url if server else running.base_url(url or "")
    model = model or (server.generate_name if server else "generate")
    body = {
        "text_input": sys.stdin.buffer.read().decode("utf-8", "replace") if prompt == "-" else prompt,
        "stream": True,
        "sampling_parameters": json.dumps({"max_tokens": max_tokens, "temperature": temperature}),
    }
    asked = f"{kserve_url}/v2/models/{model}/generate_stream"
    api_key = os.environ.get("OPENAI_API_KEY") if url else None
    unix_socket = server.kserve_socket if server else None
    with running.streamed(asked, body, api_key=api_key, unix_socket=unix_socket) as answer:
        for event in answer:
            content = _content(event)
            typer.echo(event if events else content.get("text_output", ""), nl=events)
    if not events:
        typer.echo()


def _content(event: str) -> dict[str, Any]:
    try:
        content = json.loads(event)
    except json.JSONDecodeError as error:
        raise RequestFailed(
            "The answer is not Triton's", f"an event is not JSON: {event[:100]}", "check --url"
        ) from error
    if not isinstance(content, dict):
        raise RequestFailed("The answer is not Triton's", f"an event is {event[:100]}", "check --url")
    if "error" in content:
        raise running.refused(None, content)
    return content
