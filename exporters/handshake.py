# SPDX-License-Identifier: Apache-2.0
"""What went wrong with TLS, and the way out of it: in the same words for every destination.

Client libraries pass on what OpenSSL says, each in a form of its own; what they have in common is the reason
string. Sources: OpenSSL, ssl/ssl_err.c and crypto/x509/x509_txt.c; alerts: RFC 8446 section 6.2.
"""

from __future__ import annotations

import re
import socket

from exporters.base import TryAgain
from exporters.tls import Tls, client_context

_PASSES = re.compile(r"\beof\b|timed out|connection reset|broken pipe", re.IGNORECASE)
"""Reasons that are none of the certificates': the other side went away in the middle."""
_WANTS_OURS = (
    "the server wants a certificate that it knows: give tls.cert_file and tls.key_file, not expired ones"
)
_WAYS = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (
            "alert (certificate|bad certificate|handshake failure|unknown ca|access denied|unsupported cert)",
            _WANTS_OURS,
        ),
        ("has expired", "the server's certificate has expired: renew it there (is the clock here right?)"),
        ("not yet valid", "the server's certificate is not valid yet: are the clocks right?"),
        (
            "mismatch|doesn't match|not valid for",
            "the server's certificate is for another name: use that one (address, or tls.server_name)",
        ),
        (
            "wrong.version.number|http request|packet length|record layer failure|unknown protocol",
            "this port speaks no TLS: is it the right one?",
        ),
        (
            "alert protocol version|unsupported protocol|no protocols",
            "the server speaks no TLS 1.2 or newer: it has to",
        ),
        (
            "verify.failed|self.signed|unable to get",
            "nobody vouches for the server's certificate: name its authority in tls.ca_file",
        ),
    )
)
_TLS = re.compile(r"\bSSL\b|\bTLS\b|_ssl\.c|certificate", re.IGNORECASE)


def is_tls(said: str) -> bool:
    """Whether a message of a client library is about TLS."""
    return bool(_TLS.search(said))


def is_lasting(said: str) -> bool:
    """Whether what is said about TLS will not pass by itself."""
    return not _PASSES.search(said)


def explain(said: str) -> TryAgain:
    """What to raise for what a library said about TLS: cause, way out, and the library's own words."""
    if not is_lasting(said):
        return TryAgain(f"TLS: the connection broke; does the server want a tls.cert_file? ({said})")
    for pattern, words in _WAYS:
        if pattern.search(said):
            return TryAgain(f"TLS: {words} ({said})", needs_operator=True)
    return TryAgain(f"TLS: {said}", needs_operator=True)


def ask(host: str, port: int, tls: Tls, timeout_s: float) -> str:
    """What is wrong with a server's certificate, for libraries that do not tell; empty when nothing is.

    Nothing but a handshake is sent. Raises OptionError when a file is no good.
    """
    context = client_context(tls)
    try:
        with (
            socket.create_connection((host, port), timeout_s) as sock,
            context.wrap_socket(sock, server_hostname=tls.server_name or host),
        ):
            return ""
    except OSError as error:
        return str(error)
