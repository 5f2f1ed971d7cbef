"""The supervisor's side of ``trident.supervisor.doors``."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from trident.config.models import Config
from trident.errors import EngineStartFailed
from trident.supervisor import die_with_parent
from trident.supervisor.doors import Answer, Doors

MODULE = ("-m", "trident.supervisor.doors")
EXTRA_TIME_S = 10.0
"""For the imports of the process, beyond what a door may take."""


class DoorProbe:
    """One round through all doors. ``prepare`` starts its process early, so that its imports are done by then."""

    def __init__(self, argv: Sequence[str] = (sys.executable, *MODULE)) -> None:
        self._argv = argv
        self._process: asyncio.subprocess.Process | None = None
        self._one_by_one = asyncio.Lock()

    async def prepare(self) -> None:
        """Starts the process, which waits; does nothing when it waits already."""
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())),
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )

    async def run(self, doors: Doors, on_answer: Callable[[Answer], None]) -> None:
        """Raises EngineStartFailed for the first door that does not answer in time. Who comes while another's round is
        under way has his own after it."""
        async with self._one_by_one:
            await self.prepare()
            try:
                await asyncio.wait_for(self._converse(doors, on_answer), doors.timeout_s + EXTRA_TIME_S)
            except asyncio.TimeoutError:
                raise _failed(f"no answer within {doors.timeout_s:g} s") from None
            finally:
                await self.close()

    async def _converse(self, doors: Doors, on_answer: Callable[[Answer], None]) -> None:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(msgspec.json.encode(doors) + b"\n")
        process.stdin.close()
        answered = False
        async for line in process.stdout:
            answer = msgspec.json.decode(line, type=Answer)
            answered = True
            on_answer(answer)
            if answer.why:
                raise _failed(answer.why, answer.name)
        code = await process.wait()
        if code != 0 or not answered:
            raise _failed(f"the process that asks at them ended with exit code {code}")

    async def close(self) -> None:
        """Ends the process if it is still there."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def doors_of(
    config: Config,
    timeout_s: float,
    tasks: Sequence[str],
    kept: Mapping[str, Sequence[str]] | None = None,
    unloaded: Sequence[str] = (),
) -> Doors:
    """The doors of a configured server; ``tasks`` are vLLM's names for what its model does, ``kept`` the same of models
    in repositories."""
    listen, places = config.listen, config.places
    return Doors(
        host=listen.local_host,
        http_port=listen.http_port,
        grpc_port=listen.grpc_port,
        openai_port=listen.openai_port,
        generate_name=config.contracts.generate_name,
        recipe_name=config.contracts.recipe_name,
        timeout_s=timeout_s,
        tasks=tuple(tasks) if config.model is not None else None,
        kept={model: tuple(of_model) for model, of_model in (kept or {}).items()},
        unloaded=tuple(unloaded),
        http_socket=places.http.socket,
        grpc_socket=places.grpc_socket,
        openai_socket=places.openai.socket,
    )


def _failed(why: str, door: str | None = None) -> EngineStartFailed:
    what = f"The front door {door} does not answer" if door else "The front doors do not answer"
    return EngineStartFailed(what, why, "see the logs: trident logs")
