# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry: every record as a log record with an event name, over gRPC or HTTP; heartbeats as metrics,
too.

Sources: OTLP specification 1.5 (which failures pass, RetryInfo, partial success, 4 MiB, /v1/logs), the
opentelemetry-proto package 1.x for the messages.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

from exporters import options
from exporters.base import Batching, Context, Document, ExporterUnavailable, OptionError, Sent, TryAgain
from exporters.otlp_resource import Resources
from exporters.web import WebOptions, refuse

if TYPE_CHECKING:
    from exporters.formats.otel import OtelEvent
    from exporters.otlp_metrics import Heartbeats
    from exporters.otlp_wire import Encoder

BATCHING = Batching(events=1000, bytes=2 << 20, seconds=1.0)
"""Half of the 4 MiB that receivers take by default: attributes come on top of bodies."""
BODIES = ("document", "event", "text")
PROTOCOLS = ("grpc", "http")


@dataclass(frozen=True, slots=True)
class OPTIONS(WebOptions):
    """Keys of `type: otlp`. `url`: `https://collector:4317` for gRPC, `https://collector:4318` for HTTP; with
    `http://` nothing is encrypted."""

    protocol: str = "grpc"
    """`grpc` or `http` (binary protobuf)."""
    bearer_token_file: str = ""
    """File with a token for `Authorization: Bearer`, read before every request."""
    bearer_token_env: str = ""
    """Variable of the environment with it."""
    body: str = "document"
    """Body of a log record: `document` (the text in the exporter's format), `event` (the record as structured
    data, four times as costly), `text` (one line for people)."""
    resource: dict[str, str] = field(default_factory=dict)
    """Attributes of the resource besides those that are known, or in place of them: `{k8s.cluster.name:
    prod}`."""
    metrics: bool = True
    """Whether heartbeats are sent as metrics as well."""
    request_bytes: int = 4 << 20
    """Most bytes of a request before compression; receivers refuse more than 4 MiB by default."""

    def __post_init__(self) -> None:
        WebOptions.__post_init__(self)
        options.check_choice("protocol", self.protocol, PROTOCOLS)
        options.check_choice("body", self.body, BODIES)
        options.check_range("request_bytes", self.request_bytes, 65536, 256 << 20)
        if self.protocol == "grpc" and self.tls.insecure:
            raise OptionError(
                "tls.insecure", "gRPC always checks certificates", "name the CA, or choose protocol: http"
            )
        if self.protocol == "grpc" and urlsplit(self.url).path.strip("/"):
            raise OptionError("url", "has a path, which gRPC does not know", "give https://host:port")

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)

    def authorization(self) -> dict[str, str]:
        """The header, from the file as it is now. Raises OptionError."""
        token = options.secret("bearer_token", self.bearer_token_file, self.bearer_token_env)
        return {"authorization": f"Bearer {token}"} if token else {}


class Rejected(Exception):
    """The receiver refused the content of a request; it says why."""


class Transport(Protocol):
    """How requests travel: exporters.otlp_grpc, exporters.otlp_http."""

    def logs(self, request: bytes) -> tuple[int, str]:
        """Records that were refused in a request that was taken, and why. Raises TryAgain, Rejected."""

    def metrics(self, request: bytes) -> None:
        """Raises TryAgain, Rejected."""

    def close(self) -> None:
        """Let go."""


def open(context: Context) -> Otlp:
    """Make the destination; connects at the first batch. Raises OptionError, ExporterUnavailable."""
    chosen = OPTIONS.parse(context.options)
    chosen.authorization()
    try:
        from exporters.formats.otel import otel
        from exporters.otlp_metrics import Heartbeats
        from exporters.otlp_wire import Encoder

        transport = _transport(chosen, f"tracehound/{context.version}")
    except ImportError:
        raise ExporterUnavailable("pip install 'tracehound[otlp]'") from None
    resources = Resources(context.version, context.host_id, chosen.resource)
    return Otlp(chosen, context.version, transport, Encoder(), Heartbeats(), otel, resources)


def _transport(chosen: OPTIONS, agent: str) -> Transport:
    if chosen.protocol == "grpc":
        from exporters.otlp_grpc import Grpc

        return Grpc(chosen, agent)
    from exporters.otlp_http import Http

    return Http(chosen, agent)


class Otlp:
    """One receiver, a collector as a rule."""

    def __init__(
        self,
        chosen: OPTIONS,
        version: str,
        transport: Transport,
        encoder: Encoder,
        heartbeats: Heartbeats,
        describe: Callable[[dict[str, Any]], OtelEvent],
        resources: Resources,
    ) -> None:
        self._options = chosen
        self._version = version
        self._transport = transport
        self._encoder = encoder
        self._heartbeats = heartbeats
        self._describe = describe
        self._resources = resources

    def send(self, batch: Sequence[Document]) -> Sent:
        """Send the records, then what metrics there are. Raises TryAgain."""
        for document in batch:
            self._heartbeats.note(document)
            self._resources.learn(document)
        request = self._encode(batch)
        if len(request) > self._options.request_bytes:
            raise TryAgain(f"{len(request)} bytes are more than request_bytes", smaller=True)
        try:
            rejected, reason = self._transport.logs(request)
        except Rejected as error:
            return refuse(batch, str(error))
        self._send_metrics(batch[-1].node_name)
        return unnamed(len(batch), rejected, reason) if rejected else Sent()

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close()

    def _encode(self, batch: Sequence[Document]) -> bytes:
        """One request; records of each node and boot below a resource of their own."""
        from exporters.otlp_wire import request

        by_origin: dict[tuple[str, str], list[bytes]] = {}
        now_ns = time.time_ns()
        for document in batch:
            records = by_origin.setdefault((document.node_name, document.boot_id), [])
            records.append(self._record(document, now_ns))
        return b"".join(
            request(self._resources.of(node), self._version, records)
            for (node, _), records in by_origin.items()
        )

    def _record(self, document: Document, now_ns: int) -> bytes:
        event = self._describe(document.record)
        pairs = [*event.attributes.items(), ("log.record.uid", document.uid)]
        severity = (event.severity_number, event.severity_text)
        return self._encoder.record(
            event.name, severity, (document.time_ns, now_ns), self._body(document, event), pairs
        )

    def _body(self, document: Document, event: OtelEvent) -> bytes:
        from exporters.otlp_wire import any_value, text_value

        if self._options.body == "document":
            return text_value(document.body)
        return any_value(document.record if self._options.body == "event" else event.body)

    def _send_metrics(self, node: str) -> None:
        """Metrics never hold up records: what a receiver does not take now goes with the next heartbeat."""
        if not self._options.metrics:
            return
        request = self._heartbeats.request(self._resources.of(node), self._version, time.time_ns())
        if request:
            with contextlib.suppress(TryAgain, Rejected):
                self._transport.metrics(request)
                self._heartbeats.told()


def unnamed(events: int, rejected: int, reason: str) -> Sent:
    """A partial success must not be sent again, and does not say which records were refused (OTLP
    specification, "Partial Success"): all of the batch is kept as dead letters, so that none is lost."""
    told = f"{rejected} of these {events} were refused, not said which: {reason}"
    return Sent(refused=[(index, told) for index in range(events)])
