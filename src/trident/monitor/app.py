"""The monitor's paths.

/              the page             /metrics       everything, for Prometheus
/api/live      a snapshot at each reading, as server-sent events
/api/history   the last 15 minutes, by columns            /api/server    what changes seldom
/api/requests  what is in flight, with prompts if asked   /api/log       the end of a log
/api/chat      the playground's chats, to the OpenAI door /api/session   POST: a key for a cookie; DELETE: ends it
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec

from trident.config.models import Config
from trident.gateway.request import Request
from trident.monitor import assets, log_tail, playground, requests
from trident.monitor.access import Access
from trident.monitor.http_server import Exchange
from trident.monitor.numbers import COLUMNS
from trident.monitor.sampler import Sampler
from trident.monitor.server_view import ServerView
from trident.protocol.in_flight import Question

METRICS = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
MOST_WATCHERS = 32
MOST_LINES = 500


class App:
    """``scrape`` makes the page of all metrics; ``may_scrape`` lets in who shows our own Prometheus's word."""

    def __init__(
        self,
        config: Config,
        sampler: Sampler,
        access: Access,
        scrape: Callable[[], Awaitable[bytes]],
        may_scrape: Callable[[Request], bool] = lambda _: False,
    ) -> None:
        self._config = config
        self._sampler = sampler
        self._view: ServerView = sampler.view
        self._access = access
        self._scrape = scrape
        self._may_scrape = may_scrape
        self._assets = assets.load()
        self._watchers = 0
        self._gets: dict[str, Callable[[Exchange], Awaitable[None]]] = {
            "/metrics": self._metrics,
            "/api/live": self._live,
            "/api/history": self._history,
            "/api/server": self._server,
            "/api/requests": self._requests,
            "/api/log": self._log,
        }

    async def handle(self, exchange: Exchange) -> None:
        """Answers one request."""
        path = "/index.html" if exchange.path == "/" else exchange.path
        is_get = exchange.method in ("GET", "HEAD")
        if not self._access.is_for_us(exchange.request):
            await exchange.answer(HTTPStatus.MISDIRECTED_REQUEST, TEXT, b"ask by address or as localhost\n")
        elif not is_get and not self._access.is_from_us(exchange.request):
            await exchange.answer(HTTPStatus.FORBIDDEN, TEXT, b"another site's page may not do this\n")
        elif path == "/api/session":
            await self._session(exchange)
        elif is_get and path in assets.OPEN:
            await self._asset(exchange, path)
        elif not (
            self._access.may_enter(exchange.request) or (path == "/metrics" and self._may_scrape(exchange.request))
        ):
            await self._turn_away(exchange, path)
        elif is_get and path in self._gets:
            await self._gets[path](exchange)
        elif is_get and path in self._assets:
            await self._asset(exchange, path)
        elif path == "/api/chat" and exchange.method == "POST":
            await playground.chat(exchange, self._config, self._view.state)
        else:
            await exchange.answer(HTTPStatus.NOT_FOUND, TEXT, b"there is nothing here\n")

    async def _turn_away(self, exchange: Exchange, path: str) -> None:
        if path == "/index.html":
            await self._asset(exchange, "/login.html", HTTPStatus.UNAUTHORIZED)
            return
        text = b"this server wants an API key: send it as authorization: Bearer KEY, or as x-api-key\n"
        await exchange.answer(HTTPStatus.UNAUTHORIZED, TEXT, text, {"WWW-Authenticate": "Bearer"})

    async def _asset(self, exchange: Exchange, path: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        found = self._assets[path]
        await exchange.answer(status, found.kind, found.body)

    async def _session(self, exchange: Exchange) -> None:
        if exchange.method == "DELETE":
            await exchange.answer(HTTPStatus.OK, TEXT, b"", {"Set-Cookie": self._access.close(exchange.request)})
            return
        cookie = self._access.open(exchange.body) if exchange.method == "POST" else None
        if cookie is None:
            await exchange.answer(HTTPStatus.UNAUTHORIZED, TEXT, b"the API key is not one of this server's\n")
        else:
            await exchange.answer(HTTPStatus.OK, TEXT, b"welcome\n", {"Set-Cookie": cookie})

    async def _metrics(self, exchange: Exchange) -> None:
        await exchange.answer(HTTPStatus.OK, METRICS, await self._scrape())

    async def _live(self, exchange: Exchange) -> None:
        if self._watchers >= MOST_WATCHERS:
            await exchange.answer(HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"too many pages are open\n")
            return
        self._watchers += 1
        try:
            await exchange.begin(HTTPStatus.OK, "text/event-stream; charset=utf-8")
            if self._sampler.latest is not None:
                await exchange.send(_event(self._sampler.latest))
            async with contextlib.aclosing(self._sampler.watch()) as snapshots:
                async for made in snapshots:
                    await exchange.send(_event(made))
        finally:
            self._watchers -= 1

    async def _history(self, exchange: Exchange) -> None:
        points = list(self._sampler.history)
        columns = {name: [getattr(point, name) for point in points] for name in COLUMNS}
        known = {name: values for name, values in columns.items() if any(value is not None for value in values)}
        await _json(exchange, known)

    async def _server(self, exchange: Exchange) -> None:
        settings = self._sampler.settings
        own = {
            "refresh_s": settings.refresh_s,
            "show_prompts": settings.show_prompts,
            "has_keys": self._access.asks_for_key,
        }
        await _json(exchange, {**self._view.told(), "monitor": own})

    async def _requests(self, exchange: Exchange) -> None:
        wants_prompts = exchange.query.get("prompts") == "1"
        if wants_prompts and not self._sampler.settings.show_prompts:
            text = b"prompts are hidden; the server would have to be started with --show-prompts\n"
            await exchange.answer(HTTPStatus.FORBIDDEN, TEXT, text)
            return
        await _json(exchange, await requests.asked(self._view.engines, Question(prompts=wants_prompts)))

    async def _log(self, exchange: Exchange) -> None:
        logs = {path.stem: path for path in (self._view.run_dir / "logs").glob("*.log")}
        path = logs.get(exchange.query.get("name", ""))
        if path is None:
            await exchange.answer(HTTPStatus.NOT_FOUND, TEXT, b"there is no such log\n")
            return
        place = exchange.query.get("place", "")
        await _json(exchange, log_tail.read(path, MOST_LINES, int(place) if place.isdigit() else None))


async def _json(exchange: Exchange, value: Any) -> None:
    await exchange.answer(HTTPStatus.OK, JSON, msgspec.json.encode(value), {"Cache-Control": "no-store"})


def _event(value: Any) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
