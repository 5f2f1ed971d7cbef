"""The ``image`` input: base64 in, as vLLM's own server sees it; whatever is no image is refused by name."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import vision_model
from kserve import Stream
from served import Served
from vision_model import IMAGE_TOKENS, bomb, png

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "<image>What is this?\n"
SAMPLING = {"temperature": 0, "max_tokens": 12, "ignore_eos": True}  # random eyes make the model fall silent
TEXT_ALONE, ANSWER = "What is the capital of France?\n", "The capital of France is Paris."


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


RED, BLUE = encoded(png((255, 0, 0))), encoded(png((0, 0, 255), side=90))


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = tmp_path_factory.mktemp("v")
    folder = vision_model.write(made / "seeing")
    served = Served.plan(made / "state")
    # The CPU environment has no torchvision, which vLLM's own code for LLaVA imports; transformers' does without.
    flags = ("--model-impl", "transformers", "--limit-mm-per-prompt", '{"image": 2}')
    started = served.serve(str(folder), *flags)
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


@pytest.fixture(autouse=True)
def still_serving(seeing: Served) -> Any:
    yield
    assert seeing.generate(TEXT_ALONE).json()["text_output"] == ANSWER


def ask(served: Served, text: str, images: list[str], **inputs: Any) -> dict[str, Any]:
    body = {"text_input": text, "image": images, "exclude_input_in_output": True, **SAMPLING, **inputs}
    answer = httpx.post(f"{served.http_url}/v2/models/generate/generate", json=body, timeout=60)
    assert answer.status_code in (200, 400), answer.text
    return answer.json()  # type: ignore[no-any-return]


def at_openai(served: Served, *images: str) -> str:
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{one}"}} for one in images]
    parts.append({"type": "text", "text": "What is this?\n"})
    wanted = {"model": "seeing", "messages": [{"role": "user", "content": parts}], **SAMPLING}
    answer = httpx.post(f"{served.openai_url}/chat/completions", json=wanted, timeout=60)
    return answer.json()["choices"][0]["message"]["content"]  # type: ignore[no-any-return]


def test_image_is_seen_as_at_vllms_own_server(seeing: Served) -> None:
    answers = {image: ask(seeing, QUESTION, [image])["text_output"] for image in (RED, BLUE)}
    assert answers[RED] != answers[BLUE]
    for image, answer in answers.items():
        assert at_openai(seeing, image) == answer


def test_two_images_in_one_prompt(seeing: Served) -> None:
    answer = ask(seeing, "<image><image>What is this?\n", [RED, BLUE])["text_output"]
    assert answer == at_openai(seeing, RED, BLUE)


def test_image_counts_as_the_tokens_that_it_becomes(seeing: Served) -> None:
    with_image = ask(seeing, QUESTION, [RED], return_num_input_tokens=True)["num_input_tokens"]
    without = seeing.generate("What is this?\n", return_num_input_tokens=True).json()["num_input_tokens"]
    assert with_image == without + IMAGE_TOKENS


def test_image_through_a_grpc_stream(seeing: Served) -> None:
    stream = Stream(seeing.grpc_url)
    stream.ask(text_input=QUESTION, image=[RED], stream=True, sampling_parameters=json.dumps(SAMPLING))
    text = "".join(result.as_numpy("text_output")[0].decode() for result in stream.responses())
    stream.close()
    assert text == ask(seeing, QUESTION, [RED])["text_output"]


def test_base64_may_have_line_breaks(seeing: Served) -> None:
    broken = "\n".join(textwrap.wrap(RED, 20))
    assert ask(seeing, QUESTION, [broken]) == ask(seeing, QUESTION, [RED])


def test_requests_with_and_without_images_share_batches(seeing: Served) -> None:
    expected = {image: ask(seeing, QUESTION, [image])["text_output"] for image in (RED, BLUE)}
    calls: list[str | None] = [RED, BLUE, None] * 6

    def call(image: str | None) -> str:
        if image is None:
            return str(seeing.generate(TEXT_ALONE).json()["text_output"])
        return str(ask(seeing, QUESTION, [image])["text_output"])

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(call, calls))
    assert answers == [ANSWER if image is None else expected[image] for image in calls]


@pytest.mark.parametrize(
    ("text", "images", "why"),
    [
        (QUESTION, ["%%%"], "element 1 of 1: it is not base64"),
        (QUESTION, ["hello"], "element 1 of 1: it is not base64"),
        (QUESTION, ["é"], "element 1 of 1: it is not base64"),
        (QUESTION, [""], "element 1 of 1: it is no image file; expected PNG, JPEG"),
        (QUESTION, [encoded(b"not an image at all")], "it is no image file; expected PNG, JPEG"),
        ("<image><image>", [RED, encoded(png((1, 2, 3), side=500)[:60])], "element 2 of 2: "),
        (QUESTION, [encoded(bomb(10_000))], "the images have more than 89478485 pixels together"),
        (QUESTION, [encoded(bomb(60_000))], "the images have more than 89478485 pixels together"),
        ("<image>" * 3, [RED] * 3, "'image' has 3 elements; expected at most 2 (limit_mm_per_prompt of vLLM)"),
        ("What is this?", [RED], "The text should have '<image>' once for each image"),
        (QUESTION, [RED, BLUE], "The text should have '<image>' once for each image"),
    ],
    ids=["signs", "length", "letters", "empty", "text", "cut", "bomb", "large-bomb", "many", "no-place", "one-place"],
)
def test_bad_image_is_named(seeing: Served, text: str, images: list[str], why: str) -> None:
    error = ask(seeing, text, images)["error"]
    assert "input 'image'" in error
    assert why in error
    assert "Traceback" not in error and "PIL" not in error


def test_placeholder_without_an_image_harms_nobody(seeing: Served) -> None:
    assert "text_output" in seeing.generate(QUESTION).json()
