from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import supervisor_fakes as fakes

from trident.errors import ConfigurationError
from trident.supervisor import control
from trident.supervisor.control import Answer, Control, Done, Refused, Say, Says, Wanted


async def obey(wanted: Wanted, say: Say) -> None:
    say("I begin")
    if "refuse" in wanted.told:
        raise ConfigurationError("Not so", "it cannot be", "ask otherwise")
    if "fail" in wanted.told:
        raise ZeroDivisionError("a mistake of ours")
    if "last" in wanted.told:
        await asyncio.Event().wait()


async def ask(path: Path, *told: str) -> list[Answer]:
    wanted = Wanted(told=dict.fromkeys(told))
    return await asyncio.to_thread(lambda: list(control.ask(path, wanted)))


def test_each_command_has_one_outcome_and_what_was_said_before_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        obeying, path = Control(obey), tmp_path / "socket"
        await obeying.listen(path)
        assert await ask(path) == [Says("I begin"), Done()]
        for told, what in (("refuse", "Not so"), ("fail", "The command has failed")):
            *_, last = await ask(path, told)
            assert isinstance(last, Refused) and last.error.what == what
        await obeying.close()

    fakes.run(scenario())


def test_close_hangs_up_on_a_command_that_is_carried_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        obeying, path = Control(obey), tmp_path / "socket"
        await obeying.listen(path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"told":{"last":null}}\n')
        assert b"I begin" in await reader.readline()
        await obeying.close()
        assert await reader.read() == b""
        writer.close()

    fakes.run(scenario())


def test_what_is_no_command_is_hung_up_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        obeying, path = Control(obey), tmp_path / "socket"
        await obeying.listen(path)
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(str(path))
            client.sendall(b"hello\n")
            assert await asyncio.to_thread(client.recv, 10) == b""
        assert await ask(path) == [Says("I begin"), Done()]
        await obeying.close()

    fakes.run(scenario())
