# SPDX-License-Identifier: Apache-2.0
"""What went wrong with Kafka: which errors need an operator, and what librdkafka says only in its log.

Sources: librdkafka's rdkafka.h (names of local errors) and INTRODUCTION.md ("Errors"); Apache Kafka,
"Protocol: Error Codes". librdkafka has one sentence for every bad certificate, and none for a handshake that
hangs.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from exporters import handshake
from exporters.base import OptionError, TryAgain
from exporters.tls import Tls

NEED_OPERATOR = frozenset(
    {
        "_AUTHENTICATION",
        "_SSL",
        "SASL_AUTHENTICATION_FAILED",
        "UNSUPPORTED_SASL_MECHANISM",
        "ILLEGAL_SASL_STATE",
        "TOPIC_AUTHORIZATION_FAILED",
        "CLUSTER_AUTHORIZATION_FAILED",
        "TOPIC_EXCEPTION",
        "UNKNOWN_TOPIC_OR_PART",
        "_UNKNOWN_TOPIC",
        "POLICY_VIOLATION",
        "UNSUPPORTED_COMPRESSION_TYPE",
    }
)
HOPELESS = frozenset({"_AUTHENTICATION", "_SSL"})
"""Told of a connection, not of a message: waiting for the messages would only take longer."""
_WAYS = {
    "_AUTHENTICATION": "the broker refuses us: look at sasl.username, sasl.mechanism and the password's file",
    "TOPIC_AUTHORIZATION_FAILED": "we may not write to the topic: WRITE and DESCRIBE are needed",
    "UNKNOWN_TOPIC_OR_PART": "there is no such topic: make it",
    "_UNKNOWN_TOPIC": "there is no such topic: make it",
}
_LIES = "the broker does not know our password itself (SCRAM): is it the right one? It was sent nothing"
_PLACE = re.compile(r"ssl://\[?([^/\]]+)\]?:(\d+)/")
_ASK_S = 5.0
_HANGS = (
    (
        "in state SSL_HANDSHAKE",
        "TLS: nobody shakes hands at this port; does it speak TLS, and is it the right one?",
    ),
    ("in state APIVERSION_QUERY", "no word from the broker; does the port want TLS (tls: {}), or SASL?"),
    ("closed by peer", "the broker hangs up; does it want SASL (sasl: {...}), or TLS?"),
)


class Trouble:
    """The last thing that was said about a connection which says more than that all brokers are down."""

    def __init__(self, tls: Tls | None) -> None:
        self._tls = tls
        self._log = logging.Logger("librdkafka")
        self._log.addHandler(_Keep(self))
        self.clear()

    def clear(self) -> None:
        """A new batch: nothing is known."""
        self.name = self.said = ""

    def callbacks(self) -> dict[str, Any]:
        """For the configuration of a client."""
        return {"error_cb": self.on_error, "logger": self._log}

    def on_error(self, error: Any) -> None:
        """An error of a connection."""
        name, said = str(error.name()), str(error.str())
        if "SSL routines" in said and handshake.is_lasting(said):
            name = "_SSL"  # also an alert that comes after the handshake
        if not self.said or name in NEED_OPERATOR or name != "_ALL_BROKERS_DOWN":
            self.name, self.said = name, said

    def on_log(self, line: str) -> None:
        """A line of the client's log; what it says of lost connections is told nowhere else."""
        if line.startswith("FAIL") and self.name not in NEED_OPERATOR:
            self.name, self.said = "_TRANSPORT", line.rpartition("]: ")[2]

    @property
    def is_hopeless(self) -> bool:
        """Whether no message will get through on this connection."""
        return self.name in HOPELESS

    def told(self) -> str:
        """As the end of a sentence; empty when nothing is known."""
        return f" ({self.said})" if self.said else ""

    def explain(self, name: str) -> TryAgain:
        """What to raise for an error of that name."""
        if "_SSL" in (name, self.name):
            return handshake.explain(self._of_certificate())
        known = {name, self.name}
        reason = f"{name}{self.told()}"
        if "ServerSignature mismatch" in self.said:
            return TryAgain(_LIES, needs_operator=True)
        for way in [_WAYS[one] for one in (self.name, name) if one in _WAYS][:1]:
            reason = f"{way}: {reason}"
        if name == "_MSG_TIMED_OUT":
            ways = [way for state, way in _HANGS if state in self.said]
            reason = " ".join([*ways[:1], reason])
        return TryAgain(reason, needs_operator=bool(known & NEED_OPERATOR))

    def _of_certificate(self) -> str:
        place = _PLACE.search(self.said)
        if self._tls is None or place is None or "verify failed" not in self.said:
            return self.said
        try:
            return handshake.ask(place[1], int(place[2]), self._tls, _ASK_S) or self.said
        except OptionError:
            return self.said


class _Keep(logging.Handler):
    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self._trouble = trouble

    def emit(self, record: logging.LogRecord) -> None:
        self._trouble.on_log(record.getMessage())
