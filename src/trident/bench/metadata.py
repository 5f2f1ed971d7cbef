"""What a server says of itself: OpenAI's list of models; Triton's index and model metadata, over HTTP and gRPC."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from trident.errors import RequestFailed

TIMEOUT_S = 10.0
T = TypeVar("T")


class Unreachable(Exception):
    """Nobody listens there, or not in time."""


class Listed(msgspec.Struct):
    """OpenAI's list of models."""

    data: list[ListedModel]


class ListedModel(msgspec.Struct):
    id: str
    owned_by: str | None = None


class _Entry(msgspec.Struct):
    name: str
    state: str | None = None


class _Tensor(msgspec.Struct):
    name: str


class _Metadata(msgspec.Struct):
    inputs: list[_Tensor]


class _Policy(msgspec.Struct):
    decoupled: bool = False


class _Config(msgspec.Struct):
    model_transaction_policy: _Policy = msgspec.field(default_factory=_Policy)


class _Server(msgspec.Struct):
    name: str = "?"
    version: str = "?"


class Model(NamedTuple):
    """What can be asked of a Triton model, and who serves it."""

    inputs: list[str]
    is_decoupled: bool
    server: str


async def get(url: str, kind: type[T], *, post: bool = False) -> T:
    """The JSON there. Raises Unreachable, or RequestFailed with the server's words."""
    key = os.environ.get("OPENAI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        # Loading the certificates takes 0.1 s, for nothing without TLS.
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, verify=url.startswith("https")) as client:
            response = await client.request("POST" if post else "GET", url, headers=headers)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    if response.status_code != 200:
        said = response.text[:200] or "it said no more"
        raise RequestFailed(f"{url} answers HTTP {response.status_code}", said, "check --api and --url")
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.MsgspecError as error:
        raise RequestFailed(f"{url} does not speak this protocol", str(error), "check --api and --url") from error


class Http:
    """Triton over HTTP."""

    def __init__(self, url: str) -> None:
        self._base = http_base(url)

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def models(self) -> list[str]:
        """Those that are ready."""
        index = await get(f"{self._base}/v2/repository/index", list[_Entry], post=True)
        return [entry.name for entry in index if entry.state in ("READY", None)]

    async def describe(self, name: str) -> Model:
        """One of them."""
        model = await get(f"{self._base}/v2/models/{name}", _Metadata)
        config = await get(f"{self._base}/v2/models/{name}/config", _Config)
        server = await get(f"{self._base}/v2", _Server)
        inputs = [tensor.name for tensor in model.inputs]
        return Model(inputs, config.model_transaction_policy.decoupled, f"{server.name} {server.version}")


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
        return [entry["name"] for entry in index.get("models", []) if entry.get("state") in ("READY", None)]

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
