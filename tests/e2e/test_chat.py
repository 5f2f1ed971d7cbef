"""``trident chat`` and ``trident generate`` against the real server, by pipe and by pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

TIMEOUT_S = 60
QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
LONG_QUESTION = "Tell me a long story."
TRIDENT = [sys.executable, "-c", "from trident.cli.main import main; main()"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3 * TIMEOUT_S)]


def trident(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [*TRIDENT, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, encoding="utf-8", timeout=TIMEOUT_S)


def test_generate(server: Any) -> None:
    done = trident("generate", QUESTION, "--url", server.http_url)
    assert (done.stdout.strip(), done.returncode) == (ANSWER, 0), done.stderr


def test_generate_events(server: Any) -> None:
    done = trident("generate", QUESTION, "--url", server.http_url, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(event["text_output"] for event in events).strip() == ANSWER


def test_generate_with_a_bad_value(server: Any) -> None:
    done = trident("generate", QUESTION, "--url", server.http_url, "--temperature", "-1")
    assert done.returncode == 6
    assert "temperature must be non-negative" in re.sub(r"\s+", " ", done.stderr)
    assert trident("generate", QUESTION, "--url", server.http_url).stdout.strip() == ANSWER


def test_chat_by_pipe(server: Any) -> None:
    questions = f"{QUESTION}\n/clear\nWhat is the capital of Japan?\n/clear\n法国的首都是哪里？\n"
    done = trident("chat", "--url", server.openai_url, "--temperature", "0", stdin=questions)
    assert done.stdout.splitlines() == [ANSWER, "The capital of Japan is Tokyo.", "法国的首都是巴黎。"], done.stderr


class Terminal:
    """A chat in a pseudo-terminal."""

    def __init__(self, url: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1")
            os.execv(sys.executable, [*TRIDENT, "chat", "--url", url, "--temperature", "0"])
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, pattern: str) -> None:
        """Until ``pattern`` has come since the last call."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{pattern!r} did not come; there is {self.seen!r}"
            read = os.read(self.fd, 65536).decode("utf-8", "replace")
            self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read)
        self.seen = self.seen[found.end() :]


@pytest.fixture
def terminal(server: Any) -> Iterator[Terminal]:
    terminal = Terminal(server.openai_url)
    yield terminal
    if os.waitpid(terminal.pid, os.WNOHANG) == (0, 0):
        os.kill(terminal.pid, signal.SIGKILL)
        os.waitpid(terminal.pid, 0)
    os.close(terminal.fd)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_ctrl_c_in_an_answer_keeps_the_chat(terminal: Terminal) -> None:
    terminal.wait_for(">")
    terminal.type(LONG_QUESTION + "\r")
    terminal.wait_for("Once upon")
    terminal.type("\x03")
    terminal.wait_for(r"\(stopped\)")
    terminal.wait_for(">")
    terminal.type("/clear\r")
    terminal.wait_for("is forgotten")
    terminal.wait_for(">")
    terminal.type(QUESTION + "\r")
    terminal.wait_for(re.escape(ANSWER))
