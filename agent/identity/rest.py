# SPDX-License-Identifier: Apache-2.0
"""Requests to the API server of Kubernetes (docs/adr/: why not its own client)."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
import urllib3

from agent.identity.access import Access, NoAccess

LONGEST_ANSWER = 16 << 20
"""Bytes of an answer, of which three times as many are taken for a moment; a page of 500 pods has about 5 MB.
Lists of larger objects are asked for in smaller pages."""
LONGEST_LINE = 8 << 20
"""Bytes of one event of a watch; an object has at most 1.5 MiB (etcd's limit for a request)."""
LONGEST_REST_S = 120.0
"""Most seconds for which we leave a server alone because it says so."""
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
WHOLE = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
"""Media types of answers: objects, and their metadata alone (whole ones where the server knows no such)."""


class Pace(NamedTuple):
    """How long things may take, in seconds."""

    connect: float = 5.0
    answer: float = 15.0
    """Until an answer, or the head of a watch, is there."""
    quiet: float = 150.0
    """Without a word on a watch, before it is begun anew. Bookmarks come about every minute (KEP-956), but
    are no promise: an API server of 1.20 sent none of kinds of which nothing had changed since its start."""
    watch: float = 300.0
    """A watch, before the server ends it; spread by a fifth."""
    first: float = 0.5
    """Before the first try again; doubles up to `longest`, spread by half."""
    longest: float = 30.0


class ApiError(Exception):
    """The server answered, and not what was asked for."""

    def __init__(self, status: int, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status, or the `code` of a Status object in a watch."""
        self.after_s = after_s
        """Seconds for which the server wants to be left alone; 0 where it says nothing."""


class Unreachable(Exception):
    """No answer, or none that can be read."""


class Quiet(Unreachable):
    """Nothing was said on a watch for `Pace.quiet`: nothing has changed, or the connection is dead."""


class TooLong(Unreachable):
    """An answer of more than LONGEST_ANSWER bytes."""


class Api:
    """One API server. Methods may be called from several threads."""

    def __init__(self, access: Access, pace: Pace = Pace()) -> None:  # noqa: B008  # a frozen value
        """Raises NoAccess."""
        self._access, self.pace = access, pace
        try:
            self._pool = urllib3.connection_from_url(
                access.server,
                maxsize=8,
                retries=False,
                timeout=urllib3.Timeout(connect=pace.connect, read=pace.answer),
                socket_options=_keepalive(),
                **_tls(access),
            )
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise NoAccess(f"{access.server!r} is no address of an API server: {error}") from None

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """An object or a page of a list. Raises ApiError, Unreachable, NoAccess."""
        return self._whole(self._request("GET", path, query))

    def send(
        self, method: str, path: str, body: object, query: Mapping[str, str], kind: str = "application/json"
    ) -> dict[str, Any]:
        """Writes an object. Raises as `get`."""
        return self._whole(self._request(method, path, query, json.dumps(body).encode(), kind))

    def watch(
        self,
        path: str,
        query: Mapping[str, str],
        answered: Callable[[], None] = lambda: None,
        accept: str = WHOLE,
    ) -> Iterator[dict[str, Any]]:
        """Events of a watch until the server ends it; `answered` is called once the server agrees to it.
        Raises as `get`, and Quiet."""
        response = self._request("GET", path, {**query, "watch": "1"}, accept=accept)
        try:
            if response.status != 200:
                self._whole(response)
            answered()
            if (connection := response.connection) is not None and getattr(connection, "sock", None):
                connection.sock.settimeout(self.pace.quiet)  # type: ignore[attr-defined]
            for line in _lines(response):
                yield _read(line)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise Quiet(_reason(error)) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(_reason(error)) from None
        finally:
            response.close()

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        kind: str = "",
        accept: str = WHOLE,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept, "User-Agent": "tracehound"}
        if kind:
            headers["Content-Type"] = kind
        if bearer := self._access.bearer():
            headers["Authorization"] = f"Bearer {bearer}"
        named = f"{path}?{urlencode(query)}" if query else path
        try:
            return self._pool.request(
                method, named, body=body, headers=headers, preload_content=False, redirect=False
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unreachable(_reason(error)) from None

    def _whole(self, response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        try:
            data = response.read(LONGEST_ANSWER)
            if len(data) == LONGEST_ANSWER:
                raise TooLong(f"the answer has more than {LONGEST_ANSWER} bytes")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(_reason(error)) from None
        finally:
            response.drain_conn() if response.status < 300 else response.close()
            response.release_conn()
        if not 200 <= response.status < 300:
            raise ApiError(response.status, _message(response.status, data), _after_s(response))
        return _read(data)


def explain(error: Exception) -> str:
    """What went wrong, with the way out where we know one."""
    if isinstance(error, ApiError) and error.status == 403:
        return f"{error}: the role of the agent's service account lacks this; see docs/containers.md"
    if isinstance(error, ApiError) and error.status == 404:
        return f"{error}: no CRDs? `crds.install` of the chart; or identity.policies: false"
    if isinstance(error, ApiError) and error.status == 401:
        return f"the API server does not accept our token: {error}"
    if isinstance(error, NoAccess | ApiError | Unreachable):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line)
        if len(rest) > LONGEST_LINE:
            raise Unreachable(f"an event has more than {LONGEST_LINE} bytes")


def _read(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except ValueError:
        raise Unreachable("the API server sent what is no JSON") from None
    if not isinstance(found, dict):
        raise Unreachable("the API server sent no object")
    return found


def _message(status: int, data: bytes) -> str:
    """Of a Status object, else the beginning of what came."""
    try:
        text = str(orjson.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        text = data[:200].decode(errors="replace")
    return f"HTTP {status}: {' '.join(text.split())[:300]}"


def _after_s(response: urllib3.BaseHTTPResponse) -> float:
    """Of `Retry-After`, which priority and fairness sets in seconds (Kubernetes documentation, "API Priority
    and Fairness"); other forms of it (RFC 9110) are not sent."""
    found = response.headers.get("Retry-After", "")
    return min(float(found), LONGEST_REST_S) if found.isascii() and found.isdecimal() else 0.0


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error
    return f"the API server cannot be reached: {' '.join(str(inner).split())[:300]}"


def _keepalive() -> list[tuple[int, int, int]]:
    """A peer that is gone is noticed within about 40 seconds (tcp(7))."""
    return [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    ]


def _tls(access: Access) -> dict[str, Any]:
    if not access.server.startswith("https:"):
        return {}
    return {
        "ca_certs": access.ca_file,
        "cert_file": access.certificate,
        "key_file": access.key,
        "cert_reqs": "CERT_REQUIRED" if access.verifies else "CERT_NONE",
    }
