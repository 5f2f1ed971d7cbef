"""Each example, run as a user runs it, gives the right answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT_S = 120

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TIMEOUT_S + 60)]


def run(server: Any, *command: str) -> str:
    urls = {"HTTP_URL": server.http_url, "GRPC_URL": server.grpc_url, "OPENAI_URL": server.openai_url}
    done = subprocess.run(
        command,
        env={**os.environ, **urls, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def python(server: Any, example: str, *arguments: str) -> str:
    return run(server, sys.executable, str(EXAMPLES / example), *arguments)


@pytest.mark.parametrize("example", ["triton_http.py", "triton_grpc.py", "triton_grpc_infer.py", "openai_chat.py"])
def test_example_answers(server: Any, example: str) -> None:
    assert python(server, example).strip() == "The capital of France is Paris."


@pytest.mark.parametrize("example", ["triton_http.py", "triton_grpc.py", "triton_grpc_infer.py", "openai_chat.py"])
def test_example_answers_in_chinese(server: Any, example: str) -> None:
    assert python(server, example, "法国的首都是哪里？").strip() == "法国的首都是巴黎。"


def test_recipe_client_with_several_prompts(server: Any) -> None:
    answers = python(server, "triton_http.py", "What is the capital of France?", "What is the capital of Japan?")
    assert answers.splitlines() == ["The capital of France is Paris.", "The capital of Japan is Tokyo."]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_at_four_doors(server: Any) -> None:
    said = run(server, "bash", str(EXAMPLES / "curl.sh"))
    assert said.count("capital of France is Paris.") >= 3  # the stream may come in one piece or in several
    assert 'data: {"model_name":"generate"' in said


def test_every_example_is_listed_and_short() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for example in EXAMPLES.iterdir():
        if example.suffix in (".py", ".sh"):
            assert f"`{example.name}`" in readme
            assert len(example.read_text(encoding="utf-8").splitlines()) < 40
