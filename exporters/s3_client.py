# SPDX-License-Identifier: Apache-2.0
"""A client for S3 that makes each request once and reads no more of an answer than an honest one has.

botocore reads an answer whole, however long it is, and takes half of one for all of it. Its event
`before-send` (botocore's documentation, "Event system") lets us carry the request ourselves, with its own
HTTP session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from exporters import options
from exporters.base import TryAgain
from exporters.tls import Tls, client_context

ANSWER_BYTES = 4 << 20
"""Most bytes of an answer; those to our calls are a few hundred."""


class Chosen(Protocol):
    """What is asked of the options."""

    @property
    def endpoint(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def path_style(self) -> bool | None: ...
    @property
    def access_key_id(self) -> str: ...
    @property
    def secret_key_file(self) -> str: ...
    @property
    def secret_key_env(self) -> str: ...
    @property
    def tls(self) -> Tls: ...
    @property
    def timeout_seconds(self) -> float: ...


def client_of(chosen: Chosen, agent: str) -> Any:
    """A client; when to try again is the runner's to say. Raises OptionError when a file is no good."""
    import botocore.config
    import botocore.session

    client_context(chosen.tls)  # names a file that is no good, which botocore does not
    path_style = bool(chosen.endpoint) if chosen.path_style is None else chosen.path_style
    config = botocore.config.Config(
        user_agent_extra=agent,
        retries={"total_max_attempts": 1, "mode": "standard"},
        s3={"addressing_style": "path" if path_style else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    secret = options.secret("secret_key", chosen.secret_key_file, chosen.secret_key_env)
    client = botocore.session.get_session().create_client(
        "s3",
        region_name=chosen.region,
        endpoint_url=chosen.endpoint or None,
        aws_access_key_id=chosen.access_key_id or None,
        aws_secret_access_key=secret or None,
        config=config,
    )
    session = _session(chosen)
    client.meta.events.register("before-send.s3", _carrier(chosen, session))
    client.close = session.close  # the client's own carries nothing
    return client


def _session(chosen: Chosen) -> Any:
    import botocore.httpsession
    import urllib3
    from botocore.utils import get_environ_proxies

    tls, read_s = chosen.tls, chosen.timeout_seconds
    if tls.insecure:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the operator chose it
    return botocore.httpsession.URLLib3Session(
        verify=False if tls.insecure else (tls.ca_file or True),
        proxies=get_environ_proxies(chosen.endpoint or "https://s3.amazonaws.com"),
        timeout=(min(10.0, read_s), read_s),
        client_cert=(tls.cert_file, tls.key_file or tls.cert_file) if tls.cert_file else None,
    )


def _carrier(chosen: Chosen, session: Any) -> Callable[..., Any]:
    from botocore.awsrequest import AWSResponse

    def carry(request: Any, **_: Any) -> Any:
        request.stream_output = True  # leaves the answer for us to read
        answer = session.send(request)
        body = _read(request, answer, time.monotonic() + chosen.timeout_seconds)
        if chosen.endpoint and 300 <= answer.status_code < 400:  # botocore would ask for a region without end
            reason = f"HTTP {answer.status_code}: the store sends us elsewhere; look at endpoint and region"
            raise TryAgain(reason, needs_operator=True)
        return AWSResponse(answer.url, answer.status_code, answer.headers, _Body(body))

    return carry


class _Body:
    """What botocore reads instead of a connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body


def _read(request: Any, answer: Any, deadline: float) -> bytes:
    """The whole answer and nothing beyond it. Raises botocore's HTTPClientError."""
    import urllib3
    from botocore.exceptions import ConnectionClosedError, ResponseStreamingError

    body = bytearray()
    try:
        for piece in answer.raw.stream(1 << 16):
            body += piece
            if len(body) > ANSWER_BYTES or time.monotonic() > deadline:
                raise ResponseStreamingError(error="the answer is too long or does not end")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ResponseStreamingError(error=error) from None
    finally:
        answer.raw.close()
    wanted = answer.headers.get("Content-Length", "")
    if request.method != "HEAD" and wanted.isdecimal() and int(wanted) != len(body):
        raise ConnectionClosedError(endpoint_url=request.url, request=request, response=answer)
    return bytes(body)
