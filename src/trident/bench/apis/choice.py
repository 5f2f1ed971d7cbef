"""From an API's name to the code that speaks it. Those of gRPC are imported when they are wanted: they take 0.3 s."""

from __future__ import annotations

from collections.abc import Callable

from trident.bench.apis import Api
from trident.bench.apis.kserve_http import KserveHttp
from trident.bench.apis.openai import OpenAiChat, OpenAiCompletions
from trident.bench.apis.triton import TritonGenerate, TritonGenerateStream
from trident.bench.channels import Channel
from trident.bench.channels.http import HttpChannel
from trident.bench.plan import Target, Workload

_OVER_HTTP: dict[str, Callable[[Target, Workload], Api]] = {
    "openai-chat": OpenAiChat,
    "openai-completions": OpenAiCompletions,
    "triton-generate": TritonGenerate,
    "triton-generate-stream": TritonGenerateStream,
    "kserve-http": KserveHttp,
}


def api_and_channel(target: Target, workload: Workload) -> tuple[Api, Channel]:
    """For one event loop."""
    if target.api in _OVER_HTTP:
        return _OVER_HTTP[target.api](target, workload), HttpChannel(target.url)
    from trident.bench.apis.kserve_grpc import KserveGrpc, KserveGrpcStream
    from trident.bench.channels.grpc import GrpcStreamChannel, GrpcUnaryChannel

    if target.api == "kserve-grpc":
        return KserveGrpc(target, workload), GrpcUnaryChannel(target.url)
    return KserveGrpcStream(target, workload), GrpcStreamChannel(target.url)
