"""TLS by files."""

from __future__ import annotations

import ssl


def context(certificate: str, private_key: str, *, is_http2: bool) -> ssl.SSLContext:
    """For a server: TLS 1.2 or newer with Python's choice of ciphers. Raises ValueError when the files do not fit."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["h2"] if is_http2 else ["http/1.1"])
    try:
        # Without a password of its own OpenSSL would ask the terminal for that of an encrypted key.
        made.load_cert_chain(certificate, private_key, password=lambda: b"")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        raise ValueError(f"{certificate} and {private_key} are no certificate with its key: {reason}") from error
    return made
