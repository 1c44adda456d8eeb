# SPDX-License-Identifier: Apache-2.0
"""One HTTP client for all destinations that speak HTTP: keep-alive, gzip, TLS, and no wait without an end.

An answer is judged in one place (`judge`): what passes by itself, what needs an operator, what is too large.
Meaning of status codes and Retry-After: RFC 9110 sections 10.2.3 and 15, RFC 6585 section 4 (429).
"""

from __future__ import annotations

import email.utils
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

import urllib3

from exporters.base import OptionError, Sent, TryAgain
from exporters.handshake import explain
from exporters.options import check_range, check_url
from exporters.tls import Tls, client_context

GZIP_FROM = 1024
"""Bytes from which a body is worth compressing."""
ANSWER_BYTES = 16 << 20
"""Most bytes of an answer that are read; the largest honest one is that of a bulk request."""
_GZIP = 16 + zlib.MAX_WBITS
"""zlib's `wbits` for the gzip container."""


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What the destinations that speak HTTP have in common; theirs inherit it."""

    url: str
    """`https://host:port`, with a path where the receiver stands behind a proxy."""
    tls: Tls = field(default_factory=Tls)
    """Certificates; see exporters.tls."""
    timeout_seconds: float = 30.0
    """Most seconds for a whole exchange, answer included."""
    compression: str = "gzip"
    """`gzip` or `none`. Events repeat themselves: gzip costs a few microseconds each and leaves 5-15 %."""
    proxy: str = ""
    """`http://host:port` of a proxy; the environment's *_PROXY variables are not read."""
    headers: dict[str, str] = field(default_factory=dict)
    """Further headers of every request. Secrets have keys of their own."""

    def __post_init__(self) -> None:
        check_url("url", self.url)
        check_range("timeout_seconds", self.timeout_seconds, 0.1, 3600)
        if self.proxy:
            check_url("proxy", self.proxy)
        if self.compression not in ("gzip", "none"):
            raise OptionError("compression", f"is {self.compression!r}", "choose gzip or none")


class Answer(NamedTuple):
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes


class Web:
    """Requests to one server over one kept connection."""

    def __init__(self, options: WebOptions, agent: str) -> None:
        self._options = options
        parts = urlsplit(options.url)
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._headers = {"User-Agent": agent, **options.headers}
        self._manager: urllib3.PoolManager | None = _manager(options)

    def post(self, path: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> Answer:
        """Send one request and read the whole answer, whatever its status.

        Raises TryAgain, OptionError when a file of `tls` is no good any more.
        """
        sent = {**self._headers, **headers}
        if self._options.compression == "gzip" and len(body) >= GZIP_FROM:
            body, sent["Content-Encoding"] = gzip(body), "gzip"
        deadline = time.monotonic() + self._options.timeout_seconds
        self._manager = manager = self._manager or _manager(self._options)
        try:
            response = manager.request(
                method, self._base + path, body=body, headers=sent, preload_content=False, redirect=False
            )
            return Answer(response.status, response.headers, _read(response, deadline))
        except urllib3.exceptions.HTTPError as error:
            self.close()  # the next attempt reads the files of `tls` again: they may have been renewed
            raise _explain(error) from None

    def close(self) -> None:
        """Close the connection."""
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.clear()


def gzip(body: bytes) -> bytes:
    """Level 1: on events twice as quick as level 6 for a third more bytes."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return packer.compress(body) + packer.flush()


def judge(answer: Answer, what: str = "") -> str:
    """Empty when the batch was taken, a reason when its content was refused. Raises TryAgain for the rest."""
    status = answer.status
    if 200 <= status < 300:
        return ""
    reason = f"HTTP {status}: {what or excerpt(answer.body)}".rstrip(": ")
    if status == 413:
        raise TryAgain(reason, smaller=True)
    if status in (408, 425, 429) or (status >= 500 and status not in (501, 505)):
        raise TryAgain(reason, after_s=retry_after(answer))
    if status in (400, 422):
        return reason
    raise TryAgain(reason, needs_operator=True)


def refuse(batch: Sequence[object], reason: str) -> Sent:
    """One refused document is a dead letter; of several the bad one is found by halving the batch."""
    if len(batch) == 1:
        return Sent(refused=[(0, reason)])
    raise TryAgain(reason, smaller=True)


def retry_after(answer: Answer) -> float | None:
    """Seconds of the header Retry-After, a number or a date (RFC 9110 section 10.2.3); None without one."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def excerpt(body: bytes, limit: int = 200) -> str:
    """The beginning of an answer, printable and on one line, for messages."""
    text = " ".join(body[: 4 * limit].decode(errors="replace").split())
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:limit]


def _manager(options: WebOptions) -> urllib3.PoolManager:
    tls = options.tls
    timeout = urllib3.Timeout(connect=min(10.0, options.timeout_seconds), read=options.timeout_seconds)
    context = client_context(tls)
    common = {"num_pools": 1, "maxsize": 1, "timeout": timeout, "retries": False, "ssl_context": context}
    if tls.server_name:
        common |= {"server_hostname": tls.server_name, "assert_hostname": tls.server_name}
    if tls.insecure:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the operator chose it
        common |= {"assert_hostname": False, "cert_reqs": "CERT_NONE"}
    if options.proxy:
        return urllib3.ProxyManager(options.proxy, **common)  # type: ignore[arg-type]
    return urllib3.PoolManager(**common)  # type: ignore[arg-type]


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """The whole body: a server that sends a byte now and then does not hold us longer than one that hangs."""
    chunks, size = [], 0
    while chunk := response.read1(65536):
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_BYTES or time.monotonic() > deadline:
            response.close()
            raise TryAgain("the answer does not end" if size <= ANSWER_BYTES else "the answer is too long")
    response.release_conn()
    return b"".join(chunks)


def _explain(error: urllib3.exceptions.HTTPError) -> TryAgain:
    """What went wrong below HTTP, in words for an operator."""
    if isinstance(error, urllib3.exceptions.SSLError):
        return explain(str(error))
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return TryAgain(str(error).rpartition(": ")[2] or str(error))
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return TryAgain("no answer in time")
    return TryAgain(f"the connection broke: {error}")
