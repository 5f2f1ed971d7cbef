from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from chat_server import ChatServer, this_process

from trident.cli.chat import chat as chat_command
from trident.errors import NotRunning, RequestFailed, TridentError

pytestmark = pytest.mark.timeout(60)
# The command by itself: the program around it has tests of its own.
RUN = "import typer; from trident.cli.chat import chat; typer.run(chat)"
ANSWER = "The capital is Paris.\u2028你好🔱"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer.running() as running:
        running.write_state(tmp_path / "run" / "default", this_process())
        yield running


@dataclass
class Done:
    stdout: str
    error: TridentError | None


def chat(stdin: str, *arguments: str) -> Done:
    app = typer.Typer()
    app.command()(chat_command)
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    error = result.exception if isinstance(result.exception, TridentError) else None
    assert error is not None or result.exit_code == 0, result.output
    return Done(result.stdout, error)


def test_script_prints_answers_only(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    done = chat("Capital of France?\n\nAnd now?\n")
    assert done == Done(f"{ANSWER}\n{ANSWER}\n", None)
    assert server.paths == ["/v1/chat/completions"] * 2
    assert server.keys == ["Bearer secret"] * 2


def test_conversation_is_kept_until_cleared(server: ChatServer) -> None:
    chat("one\ntwo\n/clear\nthree\n/exit\nfour\n", "--system", "Be short.")
    said = [[turn["content"] for turn in body["messages"]] for body in server.bodies]
    assert said == [
        ["Be short.", "one"],
        ["Be short.", "one", ANSWER, "two"],
        ["Be short.", "three"],
    ]
    assert [turn["role"] for turn in server.bodies[1]["messages"]] == ["system", "user", "assistant", "user"]


def test_options_are_sent_only_when_given(server: ChatServer) -> None:
    chat("one\n")
    chat("one\n", "--max-tokens", "7", "--temperature", "0")
    assert [body.get("max_tokens") for body in server.bodies] == [None, 7]
    assert [body.get("temperature") for body in server.bodies] == [None, 0]
    assert server.bodies[0]["model"] == "tiny"


def test_url_asks_for_the_models_name(server: ChatServer) -> None:
    assert chat("one\n", "--url", f"127.0.0.1:{server.server_port}/v1/").stdout == f"{ANSWER}\n"
    assert server.bodies[0]["model"] == "the-first"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"error": {"message": "This model's maximum context length is 512"}}, "maximum context length is 512"),
        ({"object": "error", "message": "too long"}, "too long"),
        ({"detail": "not this way"}, "not this way"),
        ("odd", "odd"),
    ],
)
def test_refusal_is_told_in_the_servers_words(server: ChatServer, content: object, message: str) -> None:
    server.refusal = (400, content)
    done = chat("one\n")
    assert isinstance(done.error, RequestFailed)
    assert done.error.what == "The server refused the request (HTTP 400)"
    assert message in done.error.why


def test_error_in_mid_answer(server: ChatServer) -> None:
    server.mid_error = {"error": {"message": "the engine is lost", "code": 500}}
    done = chat("one\ntwo\n")
    assert done.stdout == ANSWER
    assert isinstance(done.error, RequestFailed)
    assert done.error.why == "the engine is lost"


@pytest.mark.parametrize("phase", ["starting", "stopped", "failed"])
def test_server_that_is_not_ready(server: ChatServer, tmp_path: Path, phase: str) -> None:
    server.write_state(tmp_path / "run" / "default", this_process(), phase)
    error = chat("one\n").error
    assert isinstance(error, NotRunning)
    assert len(error.lines()) == 3


def test_server_that_died(server: ChatServer, tmp_path: Path) -> None:
    server.write_state(tmp_path / "run" / "default", None)
    assert isinstance(chat("one\n").error, NotRunning)


@pytest.mark.usefixtures("server")
def test_no_server() -> None:
    error = chat("one\n", "--name", "other").error
    assert isinstance(error, NotRunning)
    assert error.what == "No server called other is running"
    assert "trident serve --name other" in error.next_step


@pytest.mark.usefixtures("server")
def test_nobody_listens() -> None:
    error = chat("one\n", "--url", "http://127.0.0.1:9").error
    assert isinstance(error, NotRunning)
    assert error.what.startswith("No server answers at http://127.0.0.1:9")


class Terminal:
    """A chat in a pseudo-terminal."""

    def __init__(self) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, [sys.executable, "-c", RUN])
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, text: str, timeout_s: float = 20.0) -> None:
        """Until ``text`` has come since the last call."""
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come; there is {self.seen!r}"
            try:
                read = os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError as error:  # how Linux says that the other side is closed
                raise AssertionError(f"the chat ended; there is {self.seen!r}") from error
            self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read)
        self.seen = self.seen.split(text, 1)[1]

    def end(self) -> int:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:  # how Linux says that the other side is closed
                    continue
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("the chat did not end")


@pytest.fixture
def terminal(server: ChatServer) -> Iterator[Terminal]:  # noqa: ARG001 - must be up first
    terminal = Terminal()
    yield terminal
    os.close(terminal.fd)


pty_test = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@pty_test
def test_terminal_ctrl_c_stops_the_answer_and_keeps_the_chat(server: ChatServer, terminal: Terminal) -> None:
    server.endless = True
    terminal.wait_for(">")
    terminal.type("first\r")
    terminal.wait_for("and on and on")
    terminal.type("\x03")
    terminal.wait_for("(stopped)")
    assert server.client_left.wait(10)
    server.endless = False
    server.pieces = ["fine"]
    terminal.wait_for(">")
    terminal.type("second\r")
    terminal.wait_for("fine")
    assert "and on" in server.bodies[1]["messages"][1]["content"]
    terminal.type("/exit\r")
    assert terminal.end() == 0


@pty_test
def test_terminal_ctrl_d_leaves(terminal: Terminal) -> None:
    terminal.wait_for(">")
    terminal.type("\x04")
    assert terminal.end() == 0


@pty_test
def test_terminal_commands(server: ChatServer, terminal: Terminal, tmp_path: Path) -> None:
    server.pieces = ["\x1b]0;owned\x07plain"]
    terminal.wait_for(">")
    terminal.type("/help\r")
    terminal.wait_for("forget the conversation")
    terminal.type("one\r")
    terminal.wait_for("]0;ownedplain")
    terminal.type("/clear\r")
    terminal.wait_for("is forgotten")
    server.refusal = (400, {"error": {"message": "no such thing"}})
    terminal.type("two\r")
    terminal.wait_for("no such thing")
    server.refusal = None
    terminal.type("three\r")
    terminal.wait_for("ownedplain")
    assert [turn["content"] for turn in server.bodies[-1]["messages"]] == ["three"]
    history = tmp_path / "chat_history"
    assert "+three" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600
    terminal.wait_for(">")  # the prompt, where Ctrl-C takes back what was typed
    terminal.type("\x03")
    terminal.type("/exit\r")
    assert terminal.end() == 0
