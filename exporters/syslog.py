# SPDX-License-Identifier: Apache-2.0
"""Syslog: RFC 5424 messages over TLS (RFC 5425), TCP (RFC 6587), UDP (RFC 5426) and Unix sockets.

Syslog has no answers. Over TCP and TLS a batch counts as delivered when the peer's kernel has acknowledged
every byte of it (the socket's send queue is empty); what a receiver had not read when it died is sent again
when the connection breaks, as far back as `resend_bytes`. Over UDP and datagrams nobody knows.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

from agent.log.times import format_time
from exporters import options
from exporters.alerts import level_of
from exporters.base import Batching, Context, Document, OptionError, Sent, TryAgain
from exporters.stream import Stream, connect, connect_local
from exporters.tls import Tls, client_context

BATCHING = Batching(events=2000, bytes=4 << 20, seconds=1.0, needs_record=False)
TRANSPORTS = ("tls", "tcp", "udp", "unix")
PORTS = {"tls": 6514, "tcp": 514, "udp": 514, "unix": 0}
"""RFC 5425 section 4.1, RFC 6587 (as is done), RFC 5426 section 3.3."""
_FACILITY_NAMES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock"
    " local0 local1 local2 local3 local4 local5 local6 local7"
)
FACILITIES = dict(zip(_FACILITY_NAMES.split(), range(24), strict=True))
"""RFC 5424 section 6.2.1, by the names of syslog(3) where there are any."""
_SEVERITIES = {"critical": 2, "high": 3, "medium": 4, "low": 5, "informational": 6, "": 6}
"""RFC 5424 section 6.2.1, by level of a detection; events are informational."""
_OWN_SEVERITIES = {"loss": 4, "unclean_shutdown": 4, "degraded": 4, "suppressed": 5}
"""Own records that tell of something missing: warnings; held back on purpose: notice."""
_UNPRINTABLE = re.compile(r"[^!-~]")
"""What may not stand in a header's field: PRINTUSASCII is %d33-126 (RFC 5424 section 6)."""
_TO_ESCAPE = str.maketrans({'"': '\\"', "\\": "\\\\", "]": "\\]"})
"""In PARAM-VALUE (RFC 5424 section 6.3.3)."""


@dataclass(frozen=True, slots=True)
class OPTIONS:
    """Keys of `type: syslog`."""

    address: str
    """`host:port`, `host`, `[IPv6]:port`; of a Unix socket its path (`/dev/log`)."""
    transport: str = "tls"
    """`tls`, `tcp`, `udp` or `unix` (datagram or stream, as the socket is)."""
    tls: Tls = field(default_factory=Tls)
    """Certificates; see exporters.tls."""
    framing: str = "counted"
    """Of streams: `counted` (octets, RFC 5425 and 6587 section 3.4.1) or `newline` (3.4.2)."""
    facility: str = "authpriv"
    """Name of the facility."""
    app_name: str = "tracehound"
    """APP-NAME."""
    structured_data: bool = True
    """Whether messages carry node, boot, sequence and type as structured data."""
    enterprise_id: int = 32473
    """Private enterprise number in the SD-ID. 32473 is the one for documentation (RFC 5612)."""
    message_bytes: int = 8192
    """Most bytes of a message; rsyslog takes 8 KiB where it is not told otherwise (maxMessageSize)."""
    oversize: str = "cut"
    """What becomes of a longer one: `cut` (with `cut="<bytes>"` in its structured data) or `refuse`."""
    timeout_seconds: float = 30.0
    """Most seconds to connect, or for the peer to take a batch."""
    resend_bytes: int = 4 << 20
    """Bytes sent last that are sent again when a stream breaks. 0: nothing is sent twice, and what was under
    way may be lost."""

    def __post_init__(self) -> None:
        options.check_choice("transport", self.transport, TRANSPORTS)
        options.check_choice("framing", self.framing, ("counted", "newline"))
        options.check_choice("oversize", self.oversize, ("cut", "refuse"))
        options.check_choice("facility", self.facility, tuple(FACILITIES))
        options.check_range("message_bytes", self.message_bytes, 480, 65000 if self.is_datagram else 1 << 24)
        options.check_range("timeout_seconds", self.timeout_seconds, 0.1, 3600)
        options.check_range("resend_bytes", self.resend_bytes, 0, 256 << 20)
        options.check_range("enterprise_id", self.enterprise_id, 1, 2**32 - 1)
        split_address(self.address, self.transport)

    @property
    def is_datagram(self) -> bool:
        """Whether each message travels alone."""
        return self.transport == "udp"

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


def open(context: Context) -> Syslog:
    """Make the destination; connects at the first batch. Raises OptionError."""
    return Syslog(OPTIONS.parse(context.options))


def split_address(address: str, transport: str) -> tuple[str, int]:
    """Host and port, or path and 0. Raises OptionError."""
    if transport == "unix":
        if not address.startswith("/"):
            raise OptionError("address", f"is no path: {address!r}", "give the socket, /dev/log")
        return address, 0
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:\[\]/]+))(?::(\d{1,5}))?", address)
    port = int(match[3] or PORTS[transport]) if match else 0
    if match is None or not 0 < port < 65536:
        raise OptionError("address", f"is no address: {address!r}", "give host:port")
    return match[1] or match[2], port


class Syslog:
    """One receiver."""

    def __init__(self, chosen: OPTIONS) -> None:
        self._options = chosen
        _context(chosen)
        self._write = Writer(chosen).write
        self._stream: Stream | None = None
        self._datagrams: socket.socket | None = None
        self._recent: deque[bytes] = deque()
        self._owed = False
        """Whether `_recent` has to be sent once more: the connection broke."""

    def send(self, batch: Sequence[Document]) -> Sent:
        """Send every message of the batch. Raises TryAgain."""
        refused: list[tuple[int, str]] = []
        messages: list[tuple[int, bytes]] = []
        for index, document in enumerate(batch):
            message = self._write(document)
            if message is None:
                refused.append((index, f"longer than message_bytes ({self._options.message_bytes})"))
            else:
                messages.append((index, message))
        self._connect()
        try:
            refused += self._send_datagrams(messages) if self._datagrams else self._send_stream(messages)
        except OSError as error:
            self._drop(broke=True)
            raise TryAgain(f"the connection broke: {error.strerror or error}") from None
        return Sent(refused=refused)

    def close(self) -> None:
        """Close the connection."""
        self._drop(broke=False)

    def _connect(self) -> None:
        """Be connected. What was sent last is owed to a connection that broke, not to one closed in order."""
        if self._stream is not None:
            try:
                if not self._stream.has_ended():
                    return
                self._drop(broke=False)
            except OSError:
                self._drop(broke=True)
        elif self._datagrams is not None:
            return
        host, port = split_address(self._options.address, self._options.transport)
        self._open(host, port)

    def _open(self, host: str, port: int) -> None:
        timeout_s = self._options.timeout_seconds
        if self._options.transport == "unix":
            self._stream, sock = connect_local(host, timeout_s)
            self._datagrams = None if self._stream else sock
        elif self._options.transport == "udp":
            self._datagrams = _udp(host, port)
        else:
            name = self._options.tls.server_name or host
            self._stream = connect(host, port, timeout_s, _context(self._options), name)

    def _send_stream(self, messages: list[tuple[int, bytes]]) -> list[tuple[int, str]]:
        data = b"".join([message for _, message in messages])
        assert self._stream is not None
        if self._owed:
            self._stream.send(b"".join(self._recent))
            self._owed = False
        self._stream.send(data)
        if self._options.resend_bytes:
            self._keep(data)
        return []

    def _keep(self, data: bytes) -> None:
        """Remember what was sent, whole batches, the newest always."""
        self._recent.append(data)
        while len(self._recent) > 1 and sum(map(len, self._recent)) > self._options.resend_bytes:
            self._recent.popleft()

    def _send_datagrams(self, messages: list[tuple[int, bytes]]) -> list[tuple[int, str]]:
        refused = []
        assert self._datagrams is not None
        for index, message in messages:
            try:
                self._datagrams.send(message)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                refused.append((index, "longer than the socket takes; lower message_bytes"))
        return refused

    def _drop(self, broke: bool) -> None:
        self._owed = self._owed or (broke and bool(self._recent))
        for sock in (self._stream, self._datagrams):
            if sock is not None:
                sock.close()
        self._stream = self._datagrams = None


def _context(chosen: OPTIONS) -> ssl.SSLContext | None:
    """Made for each connection, so that renewed certificates count at the next. Raises OptionError."""
    return client_context(chosen.tls) if chosen.transport == "tls" else None


def _udp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.connect(address)
    except OSError as error:
        raise TryAgain(f"{host}:{port}: {error.strerror or error}") from None
    return sock


class Writer:
    """From documents to messages as they go over the wire, framing included."""

    def __init__(self, chosen: OPTIONS) -> None:
        self._options = chosen
        self._head = lru_cache(4096)(self._make_head)
        self._is_counted = chosen.transport in ("tls", "tcp") and chosen.framing == "counted"
        self._is_line = not self._is_counted and chosen.transport != "udp"

    def write(self, document: Document) -> bytes | None:
        """One message, framed; None when it is longer than is allowed."""
        level = level_of(document) if document.type == "detection" else ""
        before, after = self._head(document.node_name, document.boot_id, document.type, level)
        time_text = format_time(document.time_ns)[:26].encode()
        head = b"%b%bZ %b" % (before, time_text, after)
        ending = b'%d"] ' % document.sequence if self._options.structured_data else b" "
        message = head + ending + document.body
        if len(message) > self._options.message_bytes:
            if self._options.oversize == "refuse":
                return None
            message = self._cut(head + ending, document.body)
        if self._is_counted:
            return b"%d %b" % (len(message), message)
        return message.replace(b"\n", b" ") + b"\n" if self._is_line else message

    def _cut(self, head: bytes, body: bytes) -> bytes:
        """The beginning of the body, at a character's end; the head says how long it was."""
        if self._options.structured_data:
            head = b'%b cut="%d"] ' % (head[:-2], len(body))
        room = max(0, self._options.message_bytes - len(head))
        return head + body[:room].decode(errors="ignore").encode()

    def _make_head(self, node: str, boot_id: str, kind: str, level: str) -> tuple[bytes, bytes]:
        """What stands before and behind the time: cached, the rest is equal for all events of a type."""
        chosen = self._options
        severity = _OWN_SEVERITIES.get(kind, _SEVERITIES[level])
        names = f"{_name(node, 255)} {_name(chosen.app_name, 48)} - {_name(kind, 32)} "
        if chosen.structured_data:
            names += f"[tracehound@{chosen.enterprise_id}"
            for name, value in (("node", node), ("boot", boot_id), ("type", kind)):
                names += f' {name}="{value.translate(_TO_ESCAPE)}"'
            names += ' sequence="'
        else:
            names += "-"
        return f"<{FACILITIES[chosen.facility] * 8 + severity}>1 ".encode(), names.encode()


def _name(text: str, most: int) -> str:
    """A field of the header: printable ASCII without spaces, NILVALUE for nothing."""
    return _UNPRINTABLE.sub("_", text)[:most] or "-"
