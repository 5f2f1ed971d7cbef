"""A collector of traces: ``otlp_receiver.py PORT FILE`` writes each span it gets as a line of JSON.

It runs in the engine's environment, which has OpenTelemetry's messages. vLLM and the relay send them in protobuf,
tritonserver in JSON.
"""

from __future__ import annotations

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


def spans(content_type: str, body: bytes) -> list[dict[str, Any]]:
    """In one form: ids in hexadecimal, times in nanoseconds, attributes as a map."""
    is_json = "json" in content_type
    message = json.loads(body) if is_json else MessageToDict(ExportTraceServiceRequest.FromString(body))
    found = []
    for of_resource in message["resourceSpans"]:
        service = _attributes(of_resource["resource"]).get("service.name")
        for span in (span for scope in of_resource["scopeSpans"] for span in scope["spans"]):
            ids = [span.get(name, "") for name in ("traceId", "spanId", "parentSpanId")]
            trace, own, parent = ids if is_json else map(_hexadecimal, ids)
            begin_ns, end_ns = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
            found.append(
                {"service": service, "name": span["name"], "trace": trace, "id": own, "parent": parent}
                | {"begin_ns": begin_ns, "end_ns": end_ns, "attributes": _attributes(span)}
            )
    return found


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in holder.get("attributes", ())}


def _hexadecimal(base64: str) -> str:
    from base64 import b64decode

    return b64decode(base64).hex()


def serve(port: int, file: TextIO) -> None:
    """Until it is killed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for span in spans(self.headers["Content-Type"], body):
                file.write(json.dumps(span) + "\n")
            file.flush()
            # In the form of the question; an empty answer in place of JSON's is a failure to tritonserver.
            is_json = "json" in self.headers["Content-Type"]
            answer = b"{}" if is_json else ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", self.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    with Path(sys.argv[2]).open("a", encoding="utf-8") as spans_file:
        serve(int(sys.argv[1]), spans_file)
