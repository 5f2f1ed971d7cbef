"""Who may look: the API's keys in a header, or a session that was opened with one of them.

A browser cannot send a key with each request of a page, so it sends it once and gets a cookie: a random word that means
the key, which stays here. Where there are no keys anybody on this machine may look, and nobody's web page through his
browser: see ``is_for_us`` and ``is_from_us``.
"""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections import OrderedDict

from trident.config.models import Config
from trident.gateway.key_check import KeyCheck
from trident.gateway.keys import Keys
from trident.gateway.request import Request

COOKIE = "trident_monitor"
MOST_SESSIONS = 256
SESSION_S = 12 * 3600


class Access:
    """One server's, at ``host``. Raises ValueError when its keys cannot be used."""

    def __init__(self, config: Config, host: str) -> None:
        self._keys = Keys(config.api_keys, config.security.api_key_file)
        self._check = KeyCheck(self._keys, "metrics")
        self._host = host
        self._is_secure = config.security.has_tls
        self._sessions: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    @property
    def asks_for_key(self) -> bool:
        """There are keys."""
        return bool(self._keys)

    def may_enter(self, request: Request) -> bool:
        """With a key, or a session whose key is still good."""
        if self._check.has_key(request):
            return True
        key, opened_s = self._sessions.get(_cookie(request), (b"", 0.0))
        return bool(key) and time.monotonic() - opened_s < SESSION_S and self._keys.accept(key)

    def open(self, key: bytes) -> str | None:
        """The cookie for who has shown this key; None when it is none of ours."""
        if not self._keys.accept(key):
            return None
        word = secrets.token_urlsafe(32)
        self._sessions[word] = (key, time.monotonic())
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        secure = "; Secure" if self._is_secure else ""
        return f"{COOKIE}={word}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_S}{secure}"

    def close(self, request: Request) -> str:
        """Ends the session; the cookie that removes the cookie."""
        self._sessions.pop(_cookie(request), None)
        return f"{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"

    def is_for_us(self, request: Request) -> bool:
        """The name by which we were asked is ours: without keys another name that points here would let a foreign web
        page read everything (DNS rebinding). A number cannot be another's name."""
        if self.asks_for_key:
            return True
        host = (request.values(b"host") or [b""])[0].decode("latin-1")
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        return name in ("localhost", self._host) or _is_address(name)

    @staticmethod
    def is_from_us(request: Request) -> bool:
        """What changes something or makes the model work is asked by our page, or by no browser at all."""
        site = (request.values(b"sec-fetch-site") or [b"none"])[0]
        origin = (request.values(b"origin") or [b""])[0].partition(b"://")[2]
        return site in (b"same-origin", b"none") and origin in (b"", (request.values(b"host") or [b""])[0])


def _cookie(request: Request) -> str:
    for value in request.values(b"cookie"):
        for part in value.decode("latin-1").split(";"):
            name, _, word = part.strip().partition("=")
            if name == COOKIE:
                return word
    return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
