"""``trident chat``: a conversation in the terminal through the OpenAI door; plain lines when stdin is no terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from trident.cli import running
from trident.config.paths import state_dir
from trident.errors import RequestFailed, TridentError

HELP = """\
/clear   forget the conversation
/exit    leave (or Ctrl-D)
/help    these lines
Ctrl-C   stop the answer, keep the chat"""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a model must not steer the user's terminal


@dataclass
class Conversation:
    """What has been said, and where. ``options`` are further fields of each request."""

    url: str
    model: str
    api_key: str | None
    system: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    turns: list[dict[str, str]] = field(default_factory=list)
    unix_socket: str | None = None

    def answer(self, question: str) -> Generator[str, None, None]:
        """The pieces of the answer. A turn that was stopped stays as far as it came, one that failed is forgotten.

        Closing the iterator stops the generation. Raises NotRunning or RequestFailed.
        """
        said: list[str] = []
        self.turns.append({"role": "user", "content": question})
        try:
            for piece in self._pieces():
                said.append(piece)
                yield piece
        except TridentError:
            self.turns.pop()
            raise
        except (KeyboardInterrupt, GeneratorExit):
            self._remember(said)
            raise
        self._remember(said)

    def _remember(self, said: list[str]) -> None:
        self.turns.append({"role": "assistant", "content": "".join(said)})

    def _pieces(self) -> Iterator[str]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        body = {"model": self.model, "messages": [*system, *self.turns], "stream": True, **self.options}
        asked = f"{self.url}/v1/chat/completions"
        with running.streamed(asked, body, api_key=self.api_key, unix_socket=self.unix_socket) as events:
            for event in events:
                if event == "[DONE]":
                    return
                yield from _texts(event)


def chat(
    name: Annotated[str | None, typer.Option(help="Name of the server.")] = None,
    url: Annotated[str | None, typer.Option(help="Another server's OpenAI API, as http://HOST:9000/v1.")] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told before the conversation.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer, in tokens.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 always takes the likeliest token.")] = None,
) -> None:
    """Chat with the running server. Ctrl-C stops an answer, /exit leaves."""
    conversation = _begin(name, url)
    conversation.system = system
    given = {"max_tokens": max_tokens, "temperature": temperature}
    conversation.options = {option: value for option, value in given.items() if value is not None}
    if sys.stdin.isatty() and sys.stdout.isatty():
        # A script's background job inherits SIGINT ignored, and Ctrl-C would stop no answer.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _talk(conversation)
    else:
        _script(conversation, (line.decode("utf-8", "replace") for line in sys.stdin.buffer))


def _begin(name: str | None, url: str | None) -> Conversation:
    api_key = os.environ.get("OPENAI_API_KEY")
    if url is None:
        server = running.find(name)
        return Conversation(server.openai_url, server.model, api_key, unix_socket=server.openai_socket)
    base = running.base_url(url)
    models = running.get_json(f"{base}/v1/models", api_key=api_key)
    try:
        return Conversation(base, models["data"][0]["id"], api_key)
    except (KeyError, IndexError, TypeError) as error:
        raise RequestFailed(f"{base} serves no model", f"/v1/models says {models}", "check --url") from error


def _script(conversation: Conversation, lines: Iterable[str]) -> None:
    """Each line is a question; the answers, and nothing else, go to stdout. The first failure ends it."""
    for line in lines:
        question = line.strip()
        if question == "/exit":
            return
        if question == "/clear":
            conversation.turns.clear()
        elif question:
            for piece in conversation.answer(question):
                typer.echo(piece, nl=False)
            typer.echo()


def _talk(conversation: Conversation) -> None:
    read = _prompt(state_dir() / "chat_history")
    typer.secho(f"{conversation.model} at {conversation.url}. /help shows what you can type.", dim=True)
    while True:
        try:
            question = read()
            if question == "/exit":
                return
            _obey_or_ask(conversation, question)
        except KeyboardInterrupt:
            continue  # on the prompt it forgets the line, as shells do; just after an answer it does nothing
        except EOFError:
            return


def _obey_or_ask(conversation: Conversation, question: str) -> None:
    if question == "/clear":
        conversation.turns.clear()
        typer.secho("The conversation is forgotten.", dim=True)
    elif re.fullmatch(r"/\w*", question):
        typer.secho(HELP, dim=True)
    elif question:
        _show_answer(conversation, question)


def _show_answer(conversation: Conversation, question: str) -> None:
    pieces = conversation.answer(question)
    try:
        for piece in pieces:
            typer.echo(CONTROLS.sub("", piece), nl=False)
        typer.echo()
    except KeyboardInterrupt:
        pieces.close()
        typer.secho("\n(stopped)", dim=True)
    except TridentError as error:
        typer.echo()
        typer.secho(str(error), err=True, fg="red")


def _prompt(history: Path) -> Callable[[], str]:
    """Reads one line, with the lines of earlier chats behind the arrow keys; the file is the user's alone."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    history.parent.mkdir(parents=True, exist_ok=True)
    history.touch(mode=0o600)
    session: PromptSession[str] = PromptSession("> ", history=FileHistory(str(history)))
    return lambda: session.prompt().strip()


def _texts(event: str) -> Iterator[str]:
    """The text of one chunk; vLLM reports what goes wrong in mid-stream as an event too."""
    try:
        chunk = json.loads(event)
        if "error" in chunk:
            raise running.refused(None, chunk)
        for choice in chunk["choices"]:
            if text := choice["delta"].get("content"):
                yield text
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestFailed("The answer is not OpenAI's", f"an event is {event[:100]}", "check --url") from error
