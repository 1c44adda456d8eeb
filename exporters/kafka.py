# SPDX-License-Identifier: Apache-2.0
"""Kafka, and what speaks its protocol: an idempotent producer, answered for by all in-sync replicas.

Sources: librdkafka's CONFIGURATION.md (properties) and INTRODUCTION.md ("Idempotent Producer", "Errors");
Apache Kafka, "Protocol: Error Codes". The client is Confluent's: 3-4 µs of CPU per event where kafka-python
takes 22 (docs/exporters.md).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, Self

from exporters import options
from exporters.base import Batching, Context, Document, ExporterUnavailable, OptionError, Sent, TryAgain
from exporters.kafka_trouble import Trouble
from exporters.tls import Tls, client_context

BATCHING = Batching(events=5000, bytes=8 << 20, seconds=1.0)
"""The client makes requests of its own out of a batch; a batch is what is waited for."""
COMPRESSIONS = ("zstd", "lz4", "gzip", "snappy", "none")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_OURS = frozenset(
    {
        *("enable.idempotence", "acks", "request.required.acks", "bootstrap.servers", "metadata.broker.list"),
        *("max.in.flight", "max.in.flight.requests.per.connection", "sasl.username", "sasl.password"),
    }
)
"""Names and other names of what has options of its own."""
_POLL_S = 0.1

_REFUSED = frozenset({"INVALID_RECORD", "INVALID_TIMESTAMP"})
"""The broker will never take this message; the others of the batch are not concerned."""
_TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"})
"""A broker says so of a request with several messages, too."""


@dataclass(frozen=True, slots=True)
class Sasl:
    """The key `sasl`."""

    username: str
    """Who we are."""
    mechanism: str = "SCRAM-SHA-512"
    """`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`."""
    password_file: str = ""
    """File with the password; read at every connection, so a new one counts at the next."""
    password_env: str = ""
    """Variable of the environment with it, instead of a file."""

    def __post_init__(self) -> None:
        options.check_choice("mechanism", self.mechanism, MECHANISMS)
        if bool(self.password_file) == bool(self.password_env):
            raise OptionError(
                "password_file", "the password has no source or two", "give password_file or password_env"
            )


@dataclass(frozen=True, slots=True)
class OPTIONS:
    """Keys of `type: kafka`."""

    brokers: tuple[str, ...]
    """Where to begin: `[kafka-1:9092, kafka-2:9092]`."""
    topic: str = "tracehound"
    """Topic for all records. It has to exist, unless the brokers make topics by themselves."""
    compression: str = "zstd"
    """`zstd`, `lz4`, `gzip`, `snappy` or `none`."""
    message_bytes: int = 1_000_000
    """Longest message; must not be larger than the topic's max.message.bytes. A longer one is refused."""
    timeout_seconds: float = 30.0
    """How long the client tries to deliver a batch by itself (lost connection, new leader)."""
    sasl: Sasl | None = None
    """Who we are; None: nobody."""
    tls: Tls | None = None
    """TLS; None: plain text. `tls: {}` believes the authorities of the system."""
    properties: dict[str, str] = field(default_factory=dict)
    """Further properties of librdkafka, as text. What makes delivery safe cannot be changed."""

    def __post_init__(self) -> None:
        if not self.brokers:
            raise OptionError("brokers", "is empty", "give [host:9092]")
        options.check_choice("compression", self.compression, COMPRESSIONS)
        options.check_range("message_bytes", self.message_bytes, 1000, 1_000_000_000)
        options.check_range("timeout_seconds", self.timeout_seconds, 1, 300)
        if self.tls is not None and self.tls.server_name:
            raise OptionError(
                "tls.server_name", "is no option of Kafka's client", "use the certificate's name"
            )
        self._check_clear()
        ours = _OURS | ({"sasl.mechanism", "sasl.mechanisms"} if self.sasl else set())
        for name in self.properties.keys() & ours:
            raise OptionError(f"properties.{name}", "cannot be changed", "brokers and sasl have own options")

    def _check_clear(self) -> None:
        """Nothing takes TLS away that was asked for, and no password goes out without it."""
        is_secure = self.properties.get("security.protocol", "").lower().endswith("ssl")
        if self.tls is not None and "security.protocol" in self.properties and not is_secure:
            raise OptionError(
                "properties.security.protocol", "takes TLS away", "leave it out, or leave out tls"
            )
        if self.sasl and self.sasl.mechanism == "PLAIN" and self.tls is None and not is_secure:
            raise OptionError(
                "sasl.mechanism", "PLAIN sends the password in the clear", "give tls: {}, or take SCRAM"
            )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


def open(context: Context) -> Kafka:
    """Make the destination; connects at the first batch. Raises OptionError and ExporterUnavailable."""
    chosen = OPTIONS.parse(context.options)
    try:
        import confluent_kafka
    except ImportError:
        raise ExporterUnavailable("pip install 'tracehound[kafka]'") from None
    destination = Kafka(chosen, f"tracehound-{context.name}", confluent_kafka)
    destination.connect()
    return destination


def properties(chosen: OPTIONS, client_id: str) -> dict[str, Any]:
    """The client's configuration. Raises OptionError when a file of the password or of `tls` is no good."""
    return {
        "bootstrap.servers": ",".join(chosen.brokers),
        "client.id": client_id,
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": chosen.compression,
        "message.max.bytes": chosen.message_bytes,
        "message.timeout.ms": int(chosen.timeout_seconds * 1000),
        "partitioner": "murmur2_random",  # that of Java clients: a key lies where they look for it
        "linger.ms": 5,
        "batch.size": 1 << 20,
        "delivery.report.only.error": True,
        "reconnect.backoff.max.ms": 2000,
        "socket.connection.setup.timeout.ms": int(min(10_000, max(2000, chosen.timeout_seconds * 400))),
        "receive.message.max.bytes": 16 << 20,  # the client would read 100 MB of an answer
        "log_level": 6,  # why connections are lost is said at 3 to 6 and nowhere else
        **_security(chosen),
        **chosen.properties,
    }


def _security(chosen: OPTIONS) -> dict[str, Any]:
    protocol = ("sasl_" if chosen.sasl else "") + ("ssl" if chosen.tls is not None else "plaintext")
    found: dict[str, Any] = {"security.protocol": protocol}
    if chosen.sasl:
        password = options.secret("sasl.password", chosen.sasl.password_file, chosen.sasl.password_env)
        found |= {"sasl.mechanism": chosen.sasl.mechanism, "sasl.username": chosen.sasl.username}
        found["sasl.password"] = password
    if chosen.tls is not None:
        client_context(chosen.tls)  # names the file that is no good; the client does not
        files = {
            "ssl.ca.location": chosen.tls.ca_file,
            "ssl.certificate.location": chosen.tls.cert_file,
            "ssl.key.location": chosen.tls.key_file or chosen.tls.cert_file,
        }
        found |= {name: path for name, path in files.items() if path}
        found["enable.ssl.certificate.verification"] = not chosen.tls.insecure
        found["ssl.endpoint.identification.algorithm"] = "none" if chosen.tls.insecure else "https"
    return found


class Kafka:
    """One producer. It is made anew after every failure, so that nothing of a failed batch stays queued."""

    def __init__(self, chosen: OPTIONS, client_id: str, library: ModuleType) -> None:
        self._options = chosen
        self._client_id = client_id
        self._library = library
        self._producer: Any = None
        self._failed: dict[int, str] = {}
        """Name of the error by index of the document in the batch."""
        self._trouble = Trouble(chosen.tls)

    def connect(self) -> Any:
        """The producer; made when there is none. Raises OptionError for what the client does not take."""
        if self._producer is None:
            wanted = properties(self._options, self._client_id) | self._trouble.callbacks()
            try:
                self._producer = self._library.Producer(wanted)
            except self._library.KafkaException as error:
                raise OptionError("properties", str(error.args[0].str()), "see librdkafka's list") from None
        return self._producer

    def send(self, batch: Sequence[Document]) -> Sent:
        """Produce a batch and wait for the brokers' answers. Raises TryAgain."""
        self._failed = {}
        self._trouble.clear()
        refused = self._produce(batch)
        failed = sorted(self._failed.items())
        large = [index for index, name in failed if name in _TOO_LARGE]
        refused += self._alone(batch, large) if len(batch) > 1 else [(i, "MSG_SIZE_TOO_LARGE") for i in large]
        refused += [(index, name) for index, name in failed if name in _REFUSED]
        again = [index for index, name in failed if name not in _REFUSED and name not in _TOO_LARGE]
        if again:
            self._reset()
        if again and len(again) == len(batch):
            raise self._trouble.explain(dict(failed)[again[0]])
        return Sent(refused=sorted(refused), again=again)

    def close(self) -> None:
        """Let go of the producer; what it still holds was never answered for."""
        self._reset()

    def _produce(self, batch: Iterable[Document]) -> list[tuple[int, str]]:
        """Hand the documents to the client and wait; gives back those that it takes for too large itself."""
        producer, refused = self.connect(), []
        for index, doc in enumerate(batch):
            try:
                self._queue(producer, index, doc)
            except self._library.KafkaException as error:
                name = str(error.args[0].name())
                if name not in _TOO_LARGE:  # nothing that the document could be blamed for
                    self._reset()
                    raise self._trouble.explain(name) from None
                refused.append((index, f"{name}: {len(doc.body)} bytes"))
        self._wait(producer)
        return refused

    def _queue(self, producer: Any, index: int, doc: Document) -> None:
        while True:
            try:
                producer.produce(
                    self._options.topic,
                    doc.body,
                    doc.key,
                    on_delivery=partial(self._on_failure, index),
                    timestamp=doc.time_ns // 1_000_000,
                    headers=[("uid", doc.uid), ("type", doc.type)],
                )
            except BufferError:  # the client's queue is full
                producer.poll(_POLL_S)
                self._check()
            else:
                return

    def _wait(self, producer: Any) -> None:
        """Until each message was answered for or has timed out; ends at once when nothing can help."""
        until = time.monotonic() + self._options.timeout_seconds + 5
        try:
            while producer.flush(_POLL_S):
                self._check()
                if time.monotonic() > until:
                    self._reset()
                    raise TryAgain(
                        f"no answer within {self._options.timeout_seconds:g} s{self._trouble.told()}"
                    )
        except self._library.KafkaException as error:  # fatal for this producer, not for its messages
            self._reset()
            raise self._trouble.explain(str(error.args[0].name())) from None

    def _check(self) -> None:
        if self._trouble.is_hopeless:
            self._reset()
            raise self._trouble.explain(self._trouble.name)

    def _alone(self, batch: Sequence[Document], indexes: Sequence[int]) -> list[tuple[int, str]]:
        """Send one by one what a broker refused as too large together; which of them really are?"""
        refused = []
        name = "MSG_SIZE_TOO_LARGE"
        for index in indexes:
            if name:
                self._reset()  # a failed request leaves a hole in the numbers of the producer
            self._failed.clear()
            self._produce([batch[index]])
            name = self._failed.get(0, "")
            if name in _TOO_LARGE:
                refused.append((index, f"{name}: {len(batch[index].body)} bytes"))
            elif name:
                self._reset()
                raise self._trouble.explain(name)
        return refused

    def _on_failure(self, index: int, error: Any, _: Any) -> None:
        if error is not None:
            self._failed[index] = error.name()

    def _reset(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(self._library.KafkaException):
                producer.purge()
                producer.flush(1)
                # else it goes on trying with refused credentials, as long as an exception holds it
                getattr(producer, "close", bool)()
