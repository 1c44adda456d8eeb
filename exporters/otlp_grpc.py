# SPDX-License-Identifier: Apache-2.0
"""OTLP over gRPC: two unary calls on one channel, requests as bytes that are encoded already.

Which failures pass by themselves: OTLP specification, "Failures" (table of codes) and "OTLP/gRPC
Throttling". Where it says not to send again, the batch is halved until the records to blame are found and
kept as dead letters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from exporters import handshake
from exporters.base import OptionError, TryAgain
from exporters.otlp import OPTIONS, Rejected
from exporters.tls import read_pem

LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

_Code = grpc.StatusCode
_PASSES = frozenset(
    {
        _Code.CANCELLED,
        _Code.DEADLINE_EXCEEDED,
        _Code.ABORTED,
        _Code.OUT_OF_RANGE,
        _Code.UNAVAILABLE,
        _Code.DATA_LOSS,
    }
)
_NEEDS_OPERATOR = frozenset(
    {
        _Code.UNAUTHENTICATED,
        _Code.PERMISSION_DENIED,
        _Code.UNIMPLEMENTED,
        _Code.NOT_FOUND,
        _Code.FAILED_PRECONDITION,
    }
)
_TLS_WORDS = ("certificate", "SSL", "andshake", "Peer name", "erification")
"""gRPC tells of bad certificates as UNAVAILABLE, in words only."""


class Grpc:
    """One receiver."""

    def __init__(self, chosen: OPTIONS, agent: str) -> None:
        self._options, self._agent = chosen, agent
        self._connect()

    def _connect(self) -> None:
        """Raises OptionError."""
        self._failed = False
        self._channel = _channel(self._options, self._agent)
        self._logs = self._channel.unary_unary(LOGS, None, ExportLogsServiceResponse.FromString)
        self._metrics = self._channel.unary_unary(METRICS, None, None)

    def logs(self, request: bytes) -> tuple[int, str]:
        """Number of refused records and why. Raises TryAgain, Rejected, OptionError."""
        if self._failed:  # the files of `tls` are read again: they may have been renewed
            self._channel.close()
            self._connect()
        partial = self._call(self._logs, request).partial_success
        return partial.rejected_log_records, partial.error_message

    def metrics(self, request: bytes) -> None:
        """Raises TryAgain, Rejected."""
        self._call(self._metrics, request)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: bytes) -> Any:
        headers = {**self._options.headers, **self._options.authorization()}
        metadata = tuple((name.lower(), value) for name, value in headers.items())
        try:
            return method(request, timeout=self._options.timeout_seconds, metadata=metadata)
        except grpc.RpcError as error:
            self._failed = error.code() is _Code.UNAVAILABLE
            raise explain(error) from None


def explain(error: Any) -> TryAgain | Rejected:
    """What a failed call means."""
    code, details = error.code(), error.details() or ""
    reason = f"{code.name}: {details}"[:500]
    after_s = retry_delay_s(dict(error.trailing_metadata() or ()).get("grpc-status-details-bin"))
    if code is _Code.RESOURCE_EXHAUSTED:
        return TryAgain(reason, after_s=after_s, smaller=after_s is None)
    if code in _PASSES:
        is_tls = code is _Code.UNAVAILABLE and any(word in details for word in _TLS_WORDS)
        return handshake.explain(reason) if is_tls else TryAgain(reason, after_s=after_s)
    return TryAgain(reason, needs_operator=True) if code in _NEEDS_OPERATOR else Rejected(reason)


def retry_delay_s(details: object) -> float | None:
    """Seconds of the RetryInfo in a google.rpc.Status; None without one."""
    try:
        status = Status.FromString(details if isinstance(details, bytes) else b"")
        for detail in status.details:
            info = RetryInfo()
            if detail.Unpack(info):
                return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    except DecodeError:
        pass
    return None


def _channel(chosen: OPTIONS, agent: str) -> grpc.Channel:
    parts = urlsplit(chosen.url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    target = f"{host}:{parts.port or 4317}"
    settings: list[tuple[str, Any]] = [
        ("grpc.primary_user_agent", agent),
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.max_reconnect_backoff_ms", 10_000),
    ]
    if chosen.proxy:
        settings.append(("grpc.http_proxy", chosen.proxy))
    else:
        settings.append(("grpc.enable_http_proxy", 0))
    packed = grpc.Compression.Gzip if chosen.compression == "gzip" else grpc.Compression.NoCompression
    if parts.scheme == "http":
        return grpc.insecure_channel(target, settings, packed)
    if chosen.tls.server_name:
        settings.append(("grpc.ssl_target_name_override", chosen.tls.server_name))
    return grpc.secure_channel(target, _credentials(chosen), settings, packed)


def _credentials(chosen: OPTIONS) -> grpc.ChannelCredentials:
    tls = chosen.tls
    chain = read_pem("tls.cert_file", tls.cert_file)
    key = read_pem("tls.key_file", tls.key_file or tls.cert_file)
    if bool(chain) != bool(key):
        raise OptionError("tls.cert_file", "certificate and key belong together")
    return grpc.ssl_channel_credentials(read_pem("tls.ca_file", tls.ca_file), key, chain)
