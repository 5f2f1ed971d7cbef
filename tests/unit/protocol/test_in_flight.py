from __future__ import annotations

import asyncio
from pathlib import Path

from trident.protocol import in_flight
from trident.protocol.in_flight import InFlight, Question, Told

ONE = InFlight(id="a", door="KServe generate", model="demo", client="me", state="decoding", age_s=1.5, output_tokens=7)


def asked(path: Path, tell: in_flight.Tell, question: Question) -> Told | None:
    async def scenario() -> Told | None:
        server = await in_flight.serve(path, tell)
        try:
            return await in_flight.ask(path, question)
        finally:
            server.close()

    return asyncio.run(scenario())


def test_question_and_answer_cross_the_socket(tmp_path: Path) -> None:
    heard: list[Question] = []

    def tell(question: Question) -> Told:
        heard.append(question)
        return Told([ONE], 3)

    assert asked(tmp_path / "s", tell, Question(prompts=True, most=5)) == Told([ONE], 3)
    assert heard == [Question(prompts=True, most=5)]


def test_a_socket_left_by_a_killed_life_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    assert asked(tmp_path / "s", lambda _: Told([], 0), Question()) == Told([], 0)


def test_a_fault_of_the_teller_is_no_answer_and_no_end(tmp_path: Path) -> None:
    def tell(_: Question) -> Told:
        raise AttributeError("another vLLM")

    assert asked(tmp_path / "s", tell, Question()) == Told([], 0)


def test_nobody_there_is_none(tmp_path: Path) -> None:
    assert asyncio.run(in_flight.ask(tmp_path / "nobody", Question())) is None


def test_who_does_not_answer_in_time_is_none(tmp_path: Path) -> None:
    async def scenario() -> Told | None:
        async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(in_flight.ASK_TIMEOUT_S + 0.2)
            writer.close()

        server = await asyncio.start_unix_server(silent, tmp_path / "s")
        found = await in_flight.ask(tmp_path / "s", Question())
        server.close()
        await asyncio.sleep(0.3)
        return found

    assert asyncio.run(scenario()) is None


def test_a_long_prompt_is_shortened() -> None:
    assert len(in_flight.shortened("x" * 10_000)) == in_flight.LONGEST_PROMPT
    assert in_flight.shortened("short") == "short"
