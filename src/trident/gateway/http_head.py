"""The head of an HTTP/1 request, read strictly.

Whatever this reads otherwise than the server behind it could smuggle a second request past the key. So everything that
may be read in two ways is refused: two lengths, a folded line, a line end without its carriage return.
"""

from __future__ import annotations

import re

from trident.gateway.http_body import NO_BODY, Body, Chunked, Length
from trident.gateway.request import Reason, Refusal, Request

MOST_HEAD_BYTES = 64 * 1024
MOST_FIELDS = 100

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%s) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])" % _TOKEN)
_FIELD = re.compile(rb"(%s):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)" % _TOKEN)
_DIGITS = re.compile(rb"[0-9]{1,18}")
_FOR_ONE_CONNECTION = {b"connection", b"content-length", b"expect", b"keep-alive", b"te", b"trailer", b"upgrade"} | {
    b"transfer-encoding",
    b"proxy-connection",
    b"authorization",
    b"x-api-key",
}


class Unreadable(Exception):
    """The head is refused; carries the answer."""

    def __init__(self, message: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(message)
        self.refusal = Refusal(reason, message)


class Head:
    """One request's head; ``text`` is all of it with the empty line. Raises Unreadable."""

    def __init__(self, text: bytes) -> None:
        first, *lines = text[:-4].split(b"\r\n")
        found = _REQUEST_LINE.fullmatch(first)
        if found is None:
            raise Unreadable("the first line is no request of HTTP/1.0 or 1.1")
        if len(lines) > MOST_FIELDS:
            raise Unreadable(f"the request has more than {MOST_FIELDS} header fields", Reason.HEAD_TOO_LARGE)
        method, self.target, minor = found.groups()
        if method == b"CONNECT":
            raise Unreadable("this is no proxy")
        self.request = Request(method, self.target.partition(b"?")[0], [_field(line) for line in lines])
        self._is_http_1_1 = minor == b"1"

    def body(self, most_bytes: int) -> Body:
        """What follows the head. Raises Unreadable when two readers could differ about it, or it is too long."""
        codings, lengths = self.request.values(b"transfer-encoding"), self.request.values(b"content-length")
        if codings:
            if lengths or not self._is_http_1_1 or [coding.lower() for coding in codings] != [b"chunked"]:
                raise Unreadable("the length of the body is not clear: transfer-encoding may be chunked, and alone")
            return Chunked(most_bytes)
        if not lengths:
            return NO_BODY
        if len(lengths) > 1 or not _DIGITS.fullmatch(lengths[0]):
            raise Unreadable("the length of the body is not clear: content-length should be one number")
        length_bytes = int(lengths[0])
        if length_bytes > most_bytes:
            raise Unreadable(f"the body has {length_bytes} bytes; the limit is {most_bytes}", Reason.TOO_LARGE)
        return Length(length_bytes) if length_bytes else NO_BODY

    def alone(self) -> bytes:
        """The same question written anew, without a body and as the last of its connection: of somebody who has shown
        no key nothing else gets through."""
        fields = [
            name + b": " + value for name, value in self.request.fields if name.lower() not in _FOR_ONE_CONNECTION
        ]
        line = self.request.method + b" " + self.target + b" HTTP/1.1"
        return b"\r\n".join([line, *fields, b"content-length: 0", b"connection: close", b"", b""])


def _field(line: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise Unreadable("a header field is not written as NAME: VALUE")
    return found[1].lower(), found[2].rstrip(b" \t")
