"""Which server a client command talks to, and how it is told that the server does not like the request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from trident.cli import sse
from trident.config import Config, load
from trident.config.paths import run_dir
from trident.errors import NotRunning, RequestFailed
from trident.supervisor import run_directory, state

# A request may wait in the engine's queue for long; Ctrl-C ends it sooner.
TIMEOUT = httpx.Timeout(600.0, connect=5.0)
BEHIND = "http://localhost"
"""The URL of a server that is asked over its unix socket."""


@dataclass(frozen=True)
class Running:
    """A server of this machine. ``openai_url`` has no ``/v1``. Behind a gateway its user asks the servers themselves,
    over their unix sockets, and needs neither key nor certificate."""

    name: str
    kserve_url: str
    openai_url: str
    model: str
    generate_name: str
    kserve_socket: str | None = None
    openai_socket: str | None = None


def find(name: str | None) -> Running:
    """The running server called ``name``, by default the configured one's. Raises NotRunning."""
    name = name or load().name
    directory = run_dir(name)
    found = state.load(directory)
    start = "start one: trident serve" if name == "default" else f"start it: trident serve --name {name}"
    if found is None:
        raise NotRunning(f"No server called {name} is running", f"there is no state in {directory}", start)
    if found.error is not None:
        raise NotRunning(f"The server {name} has failed", found.error.what, f"{start}, after: trident logs")
    if not found.is_running() or found.phase in ("draining", "stopping", "stopped", "failed"):
        raise NotRunning(f"No server called {name} is running", "it has stopped", start)
    if found.phase == "starting":
        raise NotRunning(f"The server {name} is not ready yet", "it is still starting", "watch it: trident status")
    config = run_directory.config_of(directory)
    if not found.openai_doors:
        raise NotRunning(f"The server {name} has no model to talk to", "none of its models is vLLM's", start)
    model, openai_url = next(iter(found.openai_doors.items()))
    places = config.places
    return Running(
        name,
        kserve_url=found.urls["KServe HTTP"] if places.http.socket is None else BEHIND,
        openai_url=base_url(openai_url) if places.openai.socket is None else BEHIND,
        model=model,
        generate_name=config.contracts.generate_name if config.model is not None else model,
        kserve_socket=places.http.socket,
        openai_socket=places.openai.socket if config.model is not None else _socket_of(config, model),
    )


def _socket_of(config: Config, model: str) -> str | None:
    """Engines of a repository have run directories of their own within the server's."""
    place = config.model_copy(update={"name": f"{config.name}/engines/{model}"}).places.openai
    return place.socket


def base_url(url: str) -> str:
    """What a user types after ``--url``: with or without scheme, slash and ``/v1``."""
    url = url if "://" in url else f"http://{url}"
    return url.rstrip("/").removesuffix("/v1")


@contextmanager
def streamed(
    url: str, body: dict[str, Any], *, api_key: str | None = None, unix_socket: str | None = None
) -> Iterator[Iterator[str]]:
    """The data of the answer's events. Leaving the block closes the connection, which ends the generation.

    Raises NotRunning when nobody listens there, RequestFailed with the server's own words when it refuses.
    """
    # An argument of the command line may hold bytes that are no text; JSON must not.
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    headers = {"Content-Type": "application/json", **_authorization(api_key)}
    transport = httpx.HTTPTransport(uds=unix_socket) if unix_socket else None
    with (
        _translated(url),
        httpx.Client(transport=transport, timeout=TIMEOUT, trust_env=_is_far(url)) as client,
        client.stream("POST", url, content=content, headers=headers) as response,
    ):
        if response.status_code != 200:
            raise refused(response.status_code, response.read())
        yield sse.events(response.iter_bytes())


def get_json(url: str, *, api_key: str | None = None) -> Any:
    """Raises as ``streamed`` does."""
    with _translated(url):
        response = httpx.get(url, headers=_authorization(api_key), timeout=TIMEOUT, trust_env=_is_far(url))
        if response.status_code != 200:
            raise refused(response.status_code, response.content)
        return response.json()


def _authorization(api_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def _is_far(url: str) -> bool:
    """A proxy of the environment is for other machines; httpx would send 127.0.0.1 through it too."""
    return httpx.URL(url).host not in ("127.0.0.1", "localhost", "::1")


def refused(status: int | None, body: bytes | str | dict[str, Any]) -> RequestFailed:
    """The server's own message in Trident's form; OpenAI's, Triton's and FastAPI's ways of saying it are known."""
    status_text = f" (HTTP {status})" if status else ""
    next_step = "change the request; if it is none of its fault: trident logs"
    if status in (401, 403):
        next_step = "set OPENAI_API_KEY to a key that the server accepts"
    return RequestFailed(f"The server refused the request{status_text}", _message(body) or "it said no more", next_step)


def _message(body: bytes | str | dict[str, Any]) -> str:
    if not isinstance(body, dict):
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        text = text.removeprefix("data:")  # Triton's generate_stream refuses in an event too
        try:
            content = json.loads(text)
        except json.JSONDecodeError:
            return text.strip()[:500]
        if not isinstance(content, dict):
            return text.strip()[:500]
        body = content
    said = body.get("error") or body.get("message") or body.get("detail") or body
    if isinstance(said, dict):
        said = said.get("message") or said
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NotRunning(f"No server answers at {url}", str(error), "check the address, or: trident status") from error
    except httpx.TimeoutException as error:
        raise RequestFailed(
            "The server did not answer in time", f"{type(error).__name__} at {url}", "look at it: trident status"
        ) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise RequestFailed(f"{url} is no address", str(error), "give one like http://127.0.0.1:9000") from error
    except httpx.TransportError as error:
        raise RequestFailed(
            "The connection ended in the middle of the answer", str(error), "look at the server: trident status"
        ) from error
    except json.JSONDecodeError as error:
        raise RequestFailed(f"{url} does not speak this protocol", str(error), "check the address") from error
