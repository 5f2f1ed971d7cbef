"""What a server says of itself: OpenAI's list of models; Triton's index and model metadata, over HTTP and gRPC."""

from __future__ import annotations

import os
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from trident.errors import RequestFailed

TIMEOUT_S = 10.0


class Unreachable(Exception):
    """Nobody listens there, or not in time."""


class Model(NamedTuple):
    """What can be asked of a Triton model, and who serves it."""

    inputs: list[str]
    is_decoupled: bool
    server: str


async def get(url: str, *, post: bool = False) -> Any:
    """The JSON there. Raises Unreachable, or RequestFailed with the server's words."""
    key = os.environ.get("OPENAI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        # Loading the certificates takes 0.1 s, for nothing without TLS.
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, verify=url.startswith("https")) as client:
            response = await client.request("POST" if post else "GET", url, headers=headers)
            content = response.json() if response.status_code == 200 else response.text
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    except ValueError as error:
        raise RequestFailed(f"{url} does not speak this protocol", str(error), "check --api and --url") from error
    if response.status_code != 200:
        raise RequestFailed(
            f"{url} answers HTTP {response.status_code}", content[:200] or "it said no more", "check --api and --url"
        )
    return content


class Http:
    """Triton over HTTP."""

    def __init__(self, url: str) -> None:
        self._base = http_base(url)

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def models(self) -> list[str]:
        """Those that are ready."""
        return _ready(await get(f"{self._base}/v2/repository/index", post=True))

    async def describe(self, name: str) -> Model:
        """One of them."""
        inputs = (await get(f"{self._base}/v2/models/{name}"))["inputs"]
        config = await get(f"{self._base}/v2/models/{name}/config")
        server = await get(f"{self._base}/v2")
        decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled"))
        return Model([tensor["name"] for tensor in inputs], decoupled, f"{server.get('name')} {server.get('version')}")


class Grpc:
    """Triton over gRPC."""

    def __init__(self, url: str) -> None:
        from tritonclient.grpc.aio import InferenceServerClient

        self._client = InferenceServerClient(grpc_address(url))

    async def __aenter__(self) -> Grpc:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def models(self) -> list[str]:
        """Those that are ready."""
        index = await self._asked(self._client.get_model_repository_index)
        return _ready(index.get("models", []))

    async def describe(self, name: str) -> Model:
        """One of them."""
        inputs = (await self._asked(self._client.get_model_metadata, name))["inputs"]
        config = (await self._asked(self._client.get_model_config, name))["config"]
        server = await self._asked(self._client.get_server_metadata)
        decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled"))
        return Model([tensor["name"] for tensor in inputs], decoupled, f"{server.get('name')} {server.get('version')}")

    async def _asked(self, ask: Any, *arguments: str) -> Any:
        from tritonclient.utils import InferenceServerException

        try:
            return await ask(*arguments, as_json=True, client_timeout=TIMEOUT_S)
        except InferenceServerException as error:
            if error.status() in ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED"):
                raise Unreachable(error.message()) from error
            raise RequestFailed("Triton refused", error.message(), "check --model") from error


def http_base(url: str) -> str:
    """What a user types after ``--url``, without the end of a path of KServe."""
    return url.rstrip("/").removesuffix("/v2")


def grpc_address(url: str) -> str:
    """``host:port`` of what may be a URL."""
    return urlsplit(url).netloc if "://" in url else url.rstrip("/")


def _ready(index: list[dict[str, Any]]) -> list[str]:
    return [entry["name"] for entry in index if entry.get("state") in ("READY", None)]
