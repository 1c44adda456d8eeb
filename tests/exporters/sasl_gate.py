# SPDX-License-Identifier: Apache-2.0
"""SASL before a real broker that has none: nobody gets through to it who has not shown who he is.

The messages: Apache Kafka, "Protocol: Authentication using SASL", SaslHandshake v1 and SaslAuthenticate v0
to v1 (JSON schemas in its sources); SCRAM itself is a library's (RFC 5802), PLAIN is RFC 4616.
"""

from __future__ import annotations

import socket
import ssl
import struct
from itertools import count
from typing import Any

from tests.exporters.relay import Relay, part

API_VERSIONS, HANDSHAKE, AUTHENTICATE = 18, 17, 36
UNSUPPORTED_MECHANISM, UNSUPPORTED_VERSION, AUTHENTICATION_FAILED = 33, 35, 58
_OURS = struct.pack(">hhh", HANDSHAKE, 0, 1) + struct.pack(">hhh", AUTHENTICATE, 0, 1)
_ASKED = struct.pack(">ihhih", 10, API_VERSIONS, 0, 1, -1)
"""A request of version 0 without a client's name."""
_OLDER = struct.pack(">hihhh", UNSUPPORTED_VERSION, 1, API_VERSIONS, 0, 0)
"""The refusal that makes clients ask for version 0 (KIP-511)."""


class SaslGate(Relay):
    """One user, `agent`; `password` may change. `lies`: it does not know the password itself."""

    def __init__(self, target: int, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
        self.password = "secret"
        self.lies = False
        self.tried: list[str] = []
        """Mechanisms, in the order in which they were asked for."""
        self.let_in = 0
        super().__init__(target, port, tls)

    def greet(self, near: socket.socket) -> None:
        """The talk that comes first. Raises OSError for who is not let in."""
        near.settimeout(20)
        verify: Any = None
        while verify is None or not verify.done:
            key, version, correlation, rest = self._request(near)
            said = b""
            if key == API_VERSIONS:
                said = self._api_versions() if version == 0 else _OLDER
            elif key == HANDSHAKE and verify is None:
                wanted = rest[2:].decode()
                self.tried.append(wanted)
                known = wanted in self.mechanisms
                names = b"".join(_text(name) for name in self.mechanisms)
                code = 0 if known else UNSUPPORTED_MECHANISM
                said = struct.pack(">hi", code, len(self.mechanisms)) + names
                verify = (_Plain if wanted == "PLAIN" else _Scram)(wanted, self) if known else None
            elif key == AUTHENTICATE and verify is not None:
                said = self._verdict(verify, rest[4:], version)
            else:
                part(near)
                raise ConnectionAbortedError(f"request {key} before authentication")
            near.sendall(struct.pack(">ii", len(said) + 4, correlation) + said)
            if verify is not None and verify.failed:
                part(near)
                raise ConnectionAbortedError("not let in")
        near.settimeout(None)
        self.let_in += 1

    def _verdict(self, verify: Any, token: bytes, version: int) -> bytes:
        answer = verify.answer(token)
        code, why = (
            (AUTHENTICATION_FAILED, _text("no such user or password")) if verify.failed else (0, b"\xff\xff")
        )
        lifetime = struct.pack(">q", 0) if version == 1 else b""
        return struct.pack(">h", code) + why + struct.pack(">i", len(answer)) + answer + lifetime

    def _api_versions(self) -> bytes:
        """What the broker behind can do, and what we can instead of it."""
        with socket.create_connection(("127.0.0.1", self._target)) as far:
            far.sendall(_ASKED)
            answer = _exactly(far, int.from_bytes(_exactly(far, 4), "big"))
        rows = [answer[at : at + 6] for at in range(10, len(answer), 6)]
        theirs = [row for row in rows if row[:2] not in (_OURS[:2], _OURS[6:8])]
        return struct.pack(">hi", 0, len(theirs) + 2) + b"".join(theirs) + _OURS

    def _request(self, near: socket.socket) -> tuple[int, int, int, bytes]:
        size = int.from_bytes(_exactly(near, 4), "big")
        if not 8 < size < 10_000:
            raise ConnectionAbortedError("no request of Kafka's protocol")
        data = _exactly(near, size)
        key, version, correlation, client = struct.unpack(">hhih", data[:10])
        return key, version, correlation, data[10 + max(client, 0) :]


class _Plain:
    def __init__(self, _: str, gate: SaslGate) -> None:
        self._gate, self.done, self.failed = gate, False, False

    def answer(self, token: bytes) -> bytes:
        self.done = token.split(b"\0") == [b"", b"agent", self._gate.password.encode()]
        self.failed = not self.done
        return b""


class _Scram:
    def __init__(self, mechanism: str, gate: SaslGate) -> None:
        import scramp

        self._lies, self._steps, self.done, self.failed = gate.lies, count(), False, False
        made = scramp.ScramMechanism(mechanism)
        known = made.make_auth_info(gate.password, iteration_count=4096)
        self._server, self._error = made.make_server(lambda name: known), scramp.ScramException

    def answer(self, token: bytes) -> bytes:
        try:
            if next(self._steps) == 0:
                self._server.set_client_first(token.decode())
                return str(self._server.get_server_first()).encode()
            self._server.set_client_final(token.decode())
        except self._error:
            self.failed = True
            return b""
        self.done = True
        return b"v=" + b"A" * 43 + b"=" if self._lies else str(self._server.get_server_final()).encode()


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _exactly(near: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = near.recv(size - len(found))
        if not piece:
            raise ConnectionAbortedError("closed")
        found += piece
    return found
