from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from chat_server import ChatServer, this_process

from trident.cli.generate import generate
from trident.errors import NotRunning, RequestFailed, TridentError

pytestmark = pytest.mark.timeout(30)
ANSWER = "The capital is Paris.\u2028你好🔱"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    with ChatServer.running() as running:
        running.write_state(tmp_path / "run" / "default", this_process())
        yield running


def run(*arguments: str, stdin: str | None = None) -> str:
    """What is printed; the command's own error is raised."""
    app = typer.Typer()
    app.command()(generate)
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    if isinstance(result.exception, TridentError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_answer_is_printed(server: ChatServer) -> None:
    assert run("Capital of France?") == f"{ANSWER}\n"
    assert server.paths == ["/v2/models/generate/generate_stream"]
    assert server.bodies[0]["text_input"] == "Capital of France?"
    assert server.bodies[0]["stream"] is True
    assert json.loads(server.bodies[0]["sampling_parameters"]) == {"max_tokens": 256, "temperature": 0.0}


def test_json_prints_events(server: ChatServer) -> None:
    events = [json.loads(line) for line in run("x", "--json").split("\n")[:-1]]
    assert [event["text_output"] for event in events] == server.pieces


def test_prompt_from_stdin(server: ChatServer) -> None:
    run("-", stdin="from a pipe\n")
    assert server.bodies[0]["text_input"] == "from a pipe\n"


def test_prompt_that_is_no_text(server: ChatServer) -> None:
    run("caf\udce9")
    assert server.bodies[0]["text_input"] == "caf?"


def test_url_and_model(server: ChatServer) -> None:
    run("x", "--url", server.url + "/", "--model", "mine", "--max-tokens", "3")
    assert server.paths == ["/v2/models/mine/generate_stream"]


def test_refusal(server: ChatServer) -> None:
    server.refusal = (400, {"error": "Request for unknown model: 'generate' is not found"})
    with pytest.raises(RequestFailed, match="unknown model"):
        run("x")


def test_refusal_in_an_event(server: ChatServer) -> None:
    server.refusal = (400, 'data: {"error":"temperature must be non-negative"}')
    with pytest.raises(RequestFailed) as caught:
        run("x")
    assert caught.value.why == "temperature must be non-negative"


def test_error_as_event(server: ChatServer) -> None:
    server.mid_error = {"error": "temperature must be non-negative"}
    with pytest.raises(RequestFailed, match="temperature must be non-negative"):
        run("x")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("arguments", [["--name", "other"], ["--url", "http://127.0.0.1:9"]])
def test_nobody_there(arguments: list[str]) -> None:
    with pytest.raises(NotRunning) as caught:
        run("x", *arguments)
    assert len(caught.value.lines()) == 3
