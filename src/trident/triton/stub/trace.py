"""Where a request's trace comes from, so that the engine's span stands under the front door's."""

from __future__ import annotations

import json
from typing import Any

from trident.protocol.tracing import HEADERS
from trident.triton.stub.backend import Request

LONGEST = 512
"""Characters: what W3C asks of everybody who hands a ``tracestate`` on."""


def context(request: Request) -> dict[str, str]:
    """W3C's trace context by header: of tritonserver's own span where it traces, else of the client."""
    given: Any = request.trace().get_context()
    if not given:
        given = request.parameters()
    found = {str(name).lower(): value for name, value in json.loads(given or "{}").items()}
    return {name: found[name] for name in HEADERS if isinstance(found.get(name), str) and len(found[name]) <= LONGEST}
