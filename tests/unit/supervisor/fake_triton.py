"""The part of tritonserver's HTTP that takes models out, puts them back and tells their configurations."""

from __future__ import annotations

import asyncio
import json

import supervisor_fakes as fakes


class FakeTriton:
    """The part of tritonserver's HTTP that a shelf uses; explicit mode."""

    def __init__(self, *ready: str, hangs_up_at: str = "") -> None:
        self._hangs_up_at = hangs_up_at
        self.ready = set(ready)
        self.did: list[str] = []
        self.loaded_with: dict[str, str] = {}
        self.told: dict[str, dict[str, object]] = {}
        """More that models' configurations say."""
        self.port = fakes.free_port()

    async def __aenter__(self) -> FakeTriton:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.partition("Content-Length: ")[2].split()[0])
        body = json.loads(await reader.readexactly(length) or b"{}")
        if head.split()[1].endswith(f"/{self._hangs_up_at}"):
            writer.close()
            return
        code, answer = self._answer(head.split()[1], body)
        text = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (code, len(text)) + text)
        await writer.drain()
        writer.close()

    def _answer(self, path: str, body: dict[str, dict[str, str]]) -> tuple[int, object]:
        *_, model, verb = path.split("/")
        if verb == "ready":
            return (200 if model in self.ready else 400), {}
        if verb == "config":
            return 200, {"name": model, "max_batch_size": 7, **self.told.get(model, {})}
        self.did.append(f"{verb} {model}")
        if verb == "unload":
            self.ready.discard(model)
        elif model == "broken":
            return 400, {"error": "it has no version"}
        else:
            self.ready.add(model)
            self.loaded_with[model] = body.get("parameters", {}).get("config", "")
        return 200, {}
