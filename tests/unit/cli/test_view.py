from __future__ import annotations

import time

import pytest

from trident.cli import ready
from trident.cli.status import lines
from trident.cli.view import LiveView, PlainView
from trident.config.models import Config
from trident.supervisor.processes import Process
from trident.supervisor.server import urls
from trident.supervisor.state import ChildState, DoorState, ServerPhase, ServerState

NOW = time.time()


def child(phase: str, **more: object) -> ChildState:
    known = {
        "log_path": "/l",
        "process": Process(0x7FFFFFFF, 1),
        "since": NOW,
        "is_ready": phase == "ready",
        "restarts": 0,
    }
    return ChildState(name="engine host", phase=phase, **{**known, **more})  # type: ignore[arg-type]


def state(*children: ChildState, phase: ServerPhase = "starting", doors: tuple[DoorState, ...] = ()) -> ServerState:
    return ServerState(
        name="default",
        run_dir="/run",
        process=Process(0x7FFFFFFE, 1),
        started=NOW,
        phase=phase,
        since=NOW,
        children=list(children),
        doors=list(doors),
        urls=urls(Config()),
        model={"name": "demo", "path": "/models/demo"},
        versions={"vllm": "0.32.0 (cpu)"},
    )


def test_plain_view_prints_a_line_for_each_new_phase(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(NOW)
    importing = state(child("importing vLLM"))
    for now in (importing, importing, state(child("ready"), doors=(DoorState(name="a", ok=False),))):
        view.update(now)
    shown = [line.partition("] ")[2] for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        "engine host: importing vLLM",
        "engine host: ready",
        "front doors: 0 of 1 have answered",
    ]


def test_plain_view_does_not_repeat_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    known = state(child("ready"))
    view = PlainView(NOW, known=known)
    view.update(known)
    view.update(state(child("stopping"), phase="stopping"))
    assert capsys.readouterr().out.partition("] ")[2] == "engine host: stopping\n"


def test_live_view_ends_with_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    view = LiveView(NOW)
    view.update(state(child("importing vLLM")))
    view.tick()
    view.update(state(child("ready"), phase="ready"))
    view.close()
    shown = capsys.readouterr().out
    assert "✓" in shown and "engine host" in shown and "ready" in shown


def test_ready_lines_can_be_copied() -> None:
    engine = child("ready", facts={"tasks": ["generate"]})
    shown = ready.lines(state(engine, phase="ready"), Config(), 12.34, is_detached=False)
    assert shown == [
        "",
        "demo is served after 12.3 s",
        "",
        "  KServe HTTP     http://127.0.0.1:8000",
        "  KServe gRPC     127.0.0.1:8001",
        "  Triton metrics  http://127.0.0.1:8002/metrics",
        "  OpenAI          http://127.0.0.1:9000/v1",
        "",
        "Try:",
        "  curl -s http://127.0.0.1:8000/v2/models/generate/generate "
        """-d '{"text_input": "What is the capital of France?", "max_tokens": 32, "temperature": 0}'""",
        "  curl -sN http://127.0.0.1:9000/v1/chat/completions -H 'Content-Type: application/json' "
        """-d '{"model": "demo", "stream": true, "messages": """
        """[{"role": "user", "content": "What is the capital of France?"}]}'""",
        "  trident chat",
        "",
        "Logs: /run/logs   (trident logs -f)",
        "Stop: Ctrl-C (a second one forces)",
    ]


def test_ready_lines_ask_a_model_for_what_it_does() -> None:
    def shown(*tasks: str) -> str:
        engine = child("ready", facts={"tasks": list(tasks)})
        return "\n".join(ready.lines(state(engine, phase="ready"), Config(), 12.34, is_detached=False))

    assert """-d '{"embedding_request": "{\\"input\\": """ in shown("embed") and "/v1/embeddings" in shown("embed")
    assert "chat" not in shown("embed") and "curl" not in shown("classify")


def test_status_lines_name_children_and_doors() -> None:
    parts = {"engine core": Process(0x7FFFFFFD, 1)}
    doors = dict.fromkeys(urls(Config()), True) | {"OpenAI": False}
    shown = lines(state(child("ready", parts=parts, restarts=2), phase="degraded"), doors, NOW + 65)
    assert shown == [
        "default is degraded, started 1 min ago",
        "model     demo (/models/demo)",
        "versions  vllm 0.32.0 (cpu)",
        "directory /run",
        "",
        "CHILD          PID         PHASE     SINCE  RESTARTS  RSS",
        "supervisor     2147483646  degraded  1 min            -",
        "engine host    2147483647  ready     1 min  2         -",
        "  engine core  2147483645                             -",
        "",
        "DOOR            URL                            NOW",
        "KServe HTTP     http://127.0.0.1:8000          answers",
        "KServe gRPC     127.0.0.1:8001                 answers",
        "Triton metrics  http://127.0.0.1:8002/metrics  answers",
        "OpenAI          http://127.0.0.1:9000/v1       does not answer",
    ]
