"""The page of the metrics server: Triton's, vLLM's, the relay's and the supervisor's families. Taken as it is: reading
300 families of text once a second would cost more than all the rest of the monitor."""

from __future__ import annotations

import asyncio
import http.client

from trident.config.places import Place
from trident.monitor.sources.source import SourceFailed
from trident.supervisor import unix_http

TIMEOUT_S = 3.0
"""The metrics server gives each of its own sources two."""


class ServerPage:
    """Of the server whose place ``place`` is."""

    name = "server_page"

    def __init__(self, place: Place) -> None:
        self._place = place

    async def read(self) -> str:
        """Raises SourceFailed, OSError."""
        try:
            return await asyncio.to_thread(_get, self._place)
        except http.client.HTTPException as error:
            raise SourceFailed(f"{type(error).__name__}: {error}") from error


def _get(place: Place) -> str:
    connection = unix_http.connection(place.host, place.port, place.socket, TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise SourceFailed(f"the metrics server said {answer.status}")
        return body.decode("utf-8", "replace")
    finally:
        connection.close()
