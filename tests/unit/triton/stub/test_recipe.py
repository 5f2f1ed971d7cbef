from __future__ import annotations

from typing import Any

from triton_fakes import Engine, Request, TritonError, piece, strings

from trident.protocol.spec import StubSpec
from trident.triton.stub.engine import EngineUnavailable
from trident.triton.stub.recipe import TritonPythonModel

DEFAULTS = {"max_tokens": 512, "temperature": 0.7, "top_p": 0.95, "stop": ["<|im_end|>"]}


def ask(request: Request, engine: Engine | None = None) -> Engine:
    engine = engine or Engine()
    model = TritonPythonModel()
    model.engine = engine  # type: ignore[assignment]
    model.spec = StubSpec(relays=[], sockets_dir="", start_timeout_s=1, response_share=1, defaults=DEFAULTS)
    model.execute([request])
    return engine


def error(request: Request) -> Any:
    (response,) = request.sender.responses
    assert request.sender.final and response.error is not None
    return response.error


def test_defaults_are_the_recipes_and_optional_inputs_win() -> None:
    engine = ask(Request({"prompt": strings("a")}))
    assert engine.submitted[0]["sampling"] == DEFAULTS
    engine = ask(Request({"prompt": strings("a"), "max_tokens": [5], "temperature": [0.0]}))
    assert engine.submitted[0]["sampling"] == {**DEFAULTS, "max_tokens": 5, "temperature": 0.0}


def test_several_prompts_are_answered_in_their_order() -> None:
    request = Request({"prompt": strings("a", "b", "c")}, id="r")
    engine = ask(request)
    assert [item["request_id"] for item in engine.submitted] == ["r-0", "r-1", "r-2"]
    for position in (2, 0, 1):
        assert request.sender.responses == []
        engine.answers[position].finish([piece(f"answer {position}")], ["stop"])
    (response,) = request.sender.responses
    assert response.tensors["generated_text"] == [b"answer 0", b"answer 1", b"answer 2"]


def test_first_failure_ends_all_prompts_once() -> None:
    request = Request({"prompt": strings("a", "b")}, id="r")
    engine = ask(request)
    engine.answers[1].fail("invalid", "too long")
    engine.answers[0].fail("invalid", "late")
    assert error(request).message == "[request id: r] prompt 2 of 2: too long"
    assert engine.aborted == [1, 2]


def test_prompts_before_one_that_cannot_be_submitted_are_taken_back() -> None:
    request = Request({"prompt": strings("a", "b")}, id="r")
    engine = ask(request, Engine(EngineUnavailable("gone"), at=2))
    assert error(request).code == TritonError.UNAVAILABLE
    assert engine.aborted == [1]


def test_missing_prompt_is_refused() -> None:
    request = Request({})
    ask(request)
    assert "'prompt' is missing" in error(request).message


def test_failure_while_prompts_are_still_submitted_is_told_once() -> None:
    class Failing(Engine):
        """The first prompt's failure arrives while the second is being submitted."""

        def submit(self, answer: Any, **request: Any) -> int:
            if self.answers:
                self.answers[0].fail("unavailable", "the engine was lost")
            if len(self.answers) == 2:
                raise EngineUnavailable("gone")
            return super().submit(answer, **request)

    request = Request({"prompt": strings("a", "b", "c")}, id="r")
    engine = ask(request, Failing())
    assert error(request).message == "[request id: r] prompt 1 of 3: the engine was lost"
    assert engine.aborted == [1, 2]


def test_more_prompts_than_the_others_can_wait_for_are_refused() -> None:
    request = Request({"prompt": strings(*["a"] * 1025)}, id="r")
    assert ask(request).submitted == []
    assert error(request).message == "[request id: r] input 'prompt' has 1025 elements; expected 1 to 1024"
