from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
import supervisor_fakes as fakes

from trident.config.models import Config
from trident.errors import EngineStartFailed
from trident.supervisor import doors
from trident.supervisor.door_probe import DoorProbe, doors_of
from trident.supervisor.doors import Answer, Doors

ANSWERS = {
    "/v2/models/generate/generate": '{"text_output": "Paris"}',
    "/v2/models/generate/generate_stream": 'data: {"text_output": "Pa"}\n\ndata: {"text_output": "ris"}\n\n',
    "/v2/models/qwen3_vllm/infer": '{"outputs": [{"name": "generated_text", "data": ["Paris"]}]}',
    "/v1/models": '{"data": [{"id": "demo"}]}',
    "/v1/completions": '{"choices": [{"text": "Paris"}]}',
}
DOORS = doors_of(Config(), 5, ["generate"])


class Handler(BaseHTTPRequestHandler):
    answers: dict[str, str] = ANSWERS

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = self.answers[self.path].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    monkeypatch.setattr(Handler, "answers", dict(ANSWERS))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    port = server.server_port
    yield Doors(
        host="127.0.0.1",
        http_port=port,
        grpc_port=fakes.free_port(),
        openai_port=port,
        generate_name="generate",
        recipe_name="qwen3_vllm",
        timeout_s=5,
    )
    server.shutdown()
    server.server_close()


OVER_HTTP = [doors.kserve_generate, doors.kserve_generate_stream, doors.kserve_infer, doors.openai_completions]


@pytest.mark.parametrize("door", OVER_HTTP)
def test_door_that_generates_is_open(asked: Doors, door: object) -> None:
    door(asked)  # type: ignore[operator]


@pytest.mark.parametrize("door", OVER_HTTP)
def test_door_without_text_is_named(asked: Doors, door: object) -> None:
    for path, body in ANSWERS.items():
        Handler.answers[path] = body.replace("Paris", "").replace("Pa", "").replace("ris", "")
    with pytest.raises(doors.WrongAnswer, match="no text came"):
        door(asked)  # type: ignore[operator]


def test_models_of_repositories_have_one_door_each(asked: Doors) -> None:
    kept = {"llama": ("generate",), "bge": ("embed",), "judge": ("classify",)}
    alone = msgspec.structs.replace(asked, tasks=None, kept=kept)
    assert list(doors.asked_doors(alone)) == ["KServe HTTP generate_stream of llama", "KServe HTTP generate of bge"]
    Handler.answers["/v2/models/llama/generate_stream"] = Handler.answers["/v2/models/generate/generate_stream"]
    doors.asked_doors(alone)["KServe HTTP generate_stream of llama"](alone)


def test_unloaded_models_are_left_alone(asked: Doors) -> None:
    some = msgspec.structs.replace(asked, kept={"llama": ("generate",)}, unloaded=("generate", "llama"))
    assert list(doors.asked_doors(some)) == ["KServe HTTP infer", "OpenAI completions"]


def test_error_in_a_stream_is_quoted(asked: Doors) -> None:
    Handler.answers["/v2/models/generate/generate_stream"] = 'data: {"error": "no engine"}\n\n'
    with pytest.raises(doors.WrongAnswer, match="no engine"):
        doors.kserve_generate_stream(asked)


def test_doors_of_an_embedding_model_are_asked_for_embeddings(asked: Doors) -> None:
    Handler.answers["/v2/models/generate/generate"] = '{"text_output": "[0.5, 1.0]"}'
    Handler.answers["/v1/embeddings"] = '{"data": [{"embedding": [0.5, 1.0]}]}'
    for door in (doors.kserve_embedding, doors.openai_embeddings):
        door(asked)
    Handler.answers["/v2/models/generate/generate"] = '{"text_output": ""}'
    with pytest.raises(doors.WrongAnswer, match="no embedding came"):
        doors.kserve_embedding(asked)


@pytest.mark.parametrize(
    ("tasks", "asked"),
    [
        (["generate", "render"], doors.GENERATION),
        (["token_embed", "embed"], doors.EMBEDDING),
        (["classify"], doors.OTHER),
    ],
)
def test_doors_follow_what_the_model_does(tasks: list[str], asked: dict[str, doors.Door]) -> None:
    assert doors.doors_for(tasks) is asked


def probe_that_says(*answers: Answer) -> DoorProbe:
    lines = [json.dumps({"name": answer.name, "seconds": answer.seconds, "why": answer.why}) for answer in answers]
    code = "import sys; sys.stdin.readline(); print(sys.argv[1])"
    return DoorProbe([sys.executable, "-c", code, "\n".join(lines)])


def test_probe_passes_answers_on() -> None:
    good = [Answer(name=name, seconds=0.1, why="") for name in ("a", "b")]
    seen: list[Answer] = []

    async def scenario() -> None:
        await probe_that_says(*good).run(DOORS, seen.append)

    fakes.run(scenario())
    assert seen == good


def test_probe_names_the_door_that_fails() -> None:
    async def scenario() -> None:
        bad = Answer(name="KServe gRPC stream", seconds=0.1, why="no answer within 5 s")
        with pytest.raises(EngineStartFailed) as caught:
            await probe_that_says(bad).run(DOORS, lambda _: None)
        assert caught.value.what == "The front door KServe gRPC stream does not answer"
        assert caught.value.why == "no answer within 5 s"

    fakes.run(scenario())


def test_probe_process_that_fails_is_explained() -> None:
    async def scenario() -> None:
        with pytest.raises(EngineStartFailed, match="ended with exit code 7"):
            await DoorProbe([sys.executable, "-c", "raise SystemExit(7)"]).run(DOORS, lambda _: None)

    fakes.run(scenario())


def test_two_who_ask_at_once_ask_one_after_the_other() -> None:
    async def scenario() -> None:
        probe = probe_that_says(Answer(name="KServe HTTP", seconds=0.1, why=""))
        heard: list[Answer] = []
        await asyncio.gather(probe.run(DOORS, heard.append), probe.run(DOORS, heard.append))
        assert [answer.name for answer in heard] == ["KServe HTTP"] * 2

    fakes.run(scenario())
