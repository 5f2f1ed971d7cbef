"""HTTP/1 through the gateway: heads are read and judged, bodies and answers pass as they are.

One request at a time: the next head is read when the answer to the last one is complete, so that a refusal never falls
into the midst of another answer.
"""

from __future__ import annotations

from trident.gateway import answers
from trident.gateway.connection import Connection
from trident.gateway.door import Door
from trident.gateway.http_body import NO_BODY, Body, Malformed, TooLarge, of_answer
from trident.gateway.http_head import MOST_HEAD_BYTES, Head, Unreadable
from trident.gateway.request import Reason, Refusal

MOST_WAITING_BYTES = 64 * 1024
"""Of what a client sends before it has its answer."""
MOST_ANSWER_HEAD_BYTES = 256 * 1024

BEHIND_IS_AWAY = Refusal(Reason.UNAVAILABLE, "the server behind this door is not there now; try again soon", 1)


class HttpConnection(Connection):
    """One client of a KServe, OpenAI or metrics door."""

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._waiting = b""  # of the client's bytes, those after what has been passed on
        self._body: Body = NO_BODY  # the request's, as far as it has still to come
        self._method: bytes | None = None  # of the request that waits for its answer
        self._answer: Body | None = None  # what follows the answer's head
        self._answer_head = b""
        self._has_begun = False  # the client has some of the answer
        self._is_last = False
        self._is_tunnel = False

    def opened(self) -> None:
        """See Connection."""
        self.set_deadline(self.door.patience.head_s, self._head_overdue)

    def from_client(self, data: bytes) -> None:
        """See Connection."""
        if self._is_tunnel:
            self.to_upstream(data)
            return
        if not self._waiting and self._method is None and self._body.is_complete:
            self.set_deadline(self.door.patience.head_s, self._head_overdue)  # the first byte of a head
        self._waiting += data
        try:
            self._read_on()
        except Unreadable as error:
            self._refuse(error.refusal)
        except Malformed as error:
            self._refuse(Refusal(Reason.MALFORMED, str(error)))
        except TooLarge as error:
            self._refuse(Refusal(Reason.TOO_LARGE, str(error)))

    def from_upstream(self, data: bytes) -> None:
        """See Connection."""
        self._has_begun = True
        at, end = 0, len(data)
        while at < end and not self._is_tunnel:
            if self._method is None:
                return self.close()  # nobody asked: a server that hangs up with a word
            at = self._read_answer_head(data, at) if self._answer is None else self._answer.feed(data, at)
            if self._answer is not None and self._answer.is_complete:
                self._answered()
                if self.is_over:
                    return None
        return None

    def upstream_lost(self, *, was_reached: bool) -> None:
        """See Connection."""
        if self._method is not None and not self._has_begun:
            self.door.complain(f"the server behind {'hung up' if was_reached else 'cannot be reached'}")
            self._refuse(BEHIND_IS_AWAY)
        else:
            self.close()

    def _read_on(self) -> None:
        while self._waiting and not self.is_over:
            if not self._body.is_complete:
                self._pass_body()
            elif self._method is not None:  # the next request waits until this one has its answer
                if len(self._waiting) > MOST_WAITING_BYTES:
                    self.pause_client()
                return
            elif not self._read_head():
                return

    def _pass_body(self) -> None:
        taken = self._body.feed(self._waiting)
        self.to_upstream(self._waiting[:taken])
        self._waiting = self._waiting[taken:]
        if not self._body.is_complete:
            self.set_deadline(self.door.patience.body_s, self._body_overdue)
        elif self._method is not None:
            self.set_deadline(None)  # an answer may take as long as the engine lets it
        else:
            self.set_deadline(self.door.patience.idle_s, self.close)

    def _read_head(self) -> bool:
        end = self._waiting.find(b"\r\n\r\n") + 4
        if end > MOST_HEAD_BYTES or (end < 4 and len(self._waiting) > MOST_HEAD_BYTES):
            raise Unreadable(f"the head of the request has more than {MOST_HEAD_BYTES} bytes", Reason.HEAD_TOO_LARGE)
        if end < 4:
            return False
        head = Head(self._waiting[:end])
        text, self._waiting = self._waiting[:end], self._waiting[end:]
        request, check = head.request, self.door.key_check
        if check.has_key(request):
            body = head.body(self.door.most_body_bytes)
            if (refusal := self.door.inspect(request)) is not None:
                self._refuse(refusal)
                return True
            self._body = body
        elif check.is_open(request) and head.body(0) is NO_BODY:
            text, self._waiting, self._is_last = head.alone(), b"", True
        elif (refusal := check.inspect(request)) is not None:
            self._refuse(refusal)
            return True
        self._method, self._answer, self._answer_head, self._has_begun = request.method, None, b"", False
        self.set_deadline(None if self._body.is_complete else self.door.patience.body_s, self._body_overdue)
        self.to_upstream(text)
        return True

    def _read_answer_head(self, data: bytes, at: int) -> int:
        searched = max(0, len(self._answer_head) - 3)
        self._answer_head += data[at:]
        end = self._answer_head.find(b"\r\n\r\n", searched) + 4
        if end < 4:
            if len(self._answer_head) > MOST_ANSWER_HEAD_BYTES:
                self.close()
            return len(data)
        head, rest_bytes = self._answer_head[:end], len(self._answer_head) - end
        self._answer_head = b""
        assert self._method is not None
        try:
            self._answer = of_answer(head, self._method)
            if head[9:12] == b"101":
                self._become_tunnel()
        except ValueError:
            self.door.complain("the server behind does not speak HTTP/1")
            self.close()
        return len(data) - rest_bytes

    def _become_tunnel(self) -> None:
        """Both sides have agreed on another protocol; the key was good."""
        self._is_tunnel = True
        self.set_deadline(None)
        if self._waiting:
            self.to_upstream(self._waiting)
            self._waiting = b""

    def _answered(self) -> None:
        """The client has the whole answer, maybe before the server has wanted the whole body."""
        self._method, self._answer = None, None
        if self._is_last:
            return self.close()
        if self._body.is_complete:
            self.set_deadline(self.door.patience.idle_s, self.close)
        if self._waiting:
            self.resume_client()
            waiting, self._waiting = self._waiting, b""
            self.from_client(waiting)
        return None

    def _refuse(self, refusal: Refusal) -> None:
        self.door.complain(f"{refusal.reason.http_status} for {self.peer}: {refusal.message}")
        if self._method is not None and self._has_begun:
            return self.close()  # in the midst of an answer there is no place for another
        self.to_client(answers.over_http(refusal, self.door.protocol))
        return self.close_lingering()

    def _head_overdue(self) -> None:
        if self._waiting:
            self._refuse(Refusal(Reason.TOO_SLOW, f"the head did not come within {self.door.patience.head_s:g} s"))
        else:
            self.close()

    def _body_overdue(self) -> None:
        self._refuse(Refusal(Reason.TOO_SLOW, f"nothing of the body came for {self.door.patience.body_s:g} s"))
