"""Refusals in the words of each HTTP door."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from trident.gateway.request import Reason, Refusal

_OPENAI_TYPES = {
    Reason.NO_KEY: ("authentication_error", "invalid_api_key"),
    Reason.FORBIDDEN: ("permission_error", "forbidden"),
    Reason.OVERLOADED: ("rate_limit_error", "overloaded"),
    Reason.UNAVAILABLE: ("server_error", "unavailable"),
}


def over_http(refusal: Refusal, protocol: str) -> bytes:
    """The whole answer, after which the connection ends."""
    status = HTTPStatus(refusal.reason.http_status)
    content = json.dumps(_content(refusal, protocol)).encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        "Connection: close",
    ]
    if refusal.reason is Reason.NO_KEY:
        lines.append("WWW-Authenticate: Bearer")
    if refusal.retry_after_s is not None:
        lines.append(f"Retry-After: {refusal.retry_after_s}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def _content(refusal: Refusal, protocol: str) -> dict[str, Any]:
    if protocol != "openai":
        return {"error": refusal.message}
    kind, code = _OPENAI_TYPES.get(refusal.reason, ("invalid_request_error", refusal.reason.name.lower()))
    return {"error": {"message": refusal.message, "type": kind, "param": None, "code": code}}
