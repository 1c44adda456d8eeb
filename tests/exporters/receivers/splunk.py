# SPDX-License-Identifier: Apache-2.0
"""An HTTP Event Collector by Splunk's published rules; no Splunk can be installed in a test.

Rules and where they stand (Splunk Enterprise 9.4):
- events follow one another in a body without separators; `event` is required and not blank; known keys are
  time, host, source, sourcetype, index, fields, event; `fields` is flat ("Format events for HTTP Event
  Collector");
- `Authorization: Splunk <token>`; codes and texts ("Troubleshoot HTTP Event Collector");
- with acknowledgement a channel (GUID) is required, answers carry `ackId`, POST {"acks":[…]} tells states, an
  id that was told true is forgotten ("About HTTP Event Collector Indexer Acknowledgment").
The texts of the answers were compared with the OpenTelemetry Collector's splunkhec receiver.
"""

from __future__ import annotations

import json
import uuid
from urllib.parse import parse_qs, urlsplit

from tests.exporters.receivers.web import Reply, Request

KEYS = {"time", "host", "source", "sourcetype", "index", "fields", "event"}


def say(status: int, code: int, text: str, **more: object) -> Reply:
    body = json.dumps({"text": text, "code": code, **more}).encode()
    return Reply(status, body, {"Content-Type": "application/json"})


BUSY = say(503, 9, "Server is busy")


class Collector:
    """One token; `indexed` is what a search would find."""

    def __init__(
        self, token: str = "s3cret", acknowledges: bool = False, indexes: tuple[str, ...] = ()
    ) -> None:
        self.token = token
        self.acknowledges = acknowledges
        self.indexes = indexes
        self.content_limit = 10 << 20
        self.indexed: list[dict[str, object]] = []
        self.silent_acks = 0
        """That many more questions about acknowledgements are answered with false."""
        self._acks: dict[str, set[int]] = {}
        self._next_ack = 0

    def __call__(self, request: Request) -> Reply:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return say(401, 2, "Token is required")
        if scheme != "Splunk":
            return say(401, 3, "Invalid authorization")
        if token != self.token:
            return say(403, 4, "Invalid token")
        place = urlsplit(request.path)
        channel = (
            request.headers.get("X-Splunk-Request-Channel") or parse_qs(place.query).get("channel", [""])[0]
        )
        if self.acknowledges and not channel:
            return say(400, 10, "Data channel is missing")
        if self.acknowledges:
            uuid.UUID(channel)
        if place.path == "/services/collector/ack":
            return self._tell(request, channel)
        return self._take(request, channel) if place.path == "/services/collector/event" else Reply(404)

    def _take(self, request: Request, channel: str) -> Reply:
        if len(request.body) > self.content_limit:
            return Reply(413, b'{"text":"Content-Length too large","code":27}')
        events, problem = read_events(request.body, self.indexes)
        if problem:
            return problem
        self.indexed += events
        if not self.acknowledges:
            return say(200, 0, "Success")
        self._next_ack += 1
        self._acks.setdefault(channel, set()).add(self._next_ack)
        return say(200, 0, "Success", ackId=self._next_ack)

    def _tell(self, request: Request, channel: str) -> Reply:
        if not self.acknowledges:
            return say(400, 14, "ACK is disabled")
        asked = json.loads(request.body)["acks"]
        if self.silent_acks:
            self.silent_acks -= 1
            return Reply(200, json.dumps({"acks": {str(number): False for number in asked}}).encode())
        known = self._acks.get(channel, set())
        told = {str(number): number in known for number in asked}
        known.difference_update(asked)
        return Reply(200, json.dumps({"acks": told}).encode())


def read_events(body: bytes, indexes: tuple[str, ...]) -> tuple[list[dict[str, object]], Reply | None]:
    """The events of a body, or what is wrong with it. An array is refused: Splunk wants them one by one."""
    decoder, text, at, events = json.JSONDecoder(), body.decode(), 0, []
    if not text:
        return [], say(400, 5, "No data")
    while at < len(text):
        number = len(events)
        try:
            event, at = decoder.raw_decode(text, at)
        except ValueError:
            return [], say(400, 6, "Invalid data format", **{"invalid-event-number": number})
        if not isinstance(event, dict) or set(event) - KEYS:
            return [], say(400, 6, "Invalid data format", **{"invalid-event-number": number})
        if "event" not in event:
            return [], say(400, 12, "Event field is required", **{"invalid-event-number": number})
        if event["event"] in ("", None):
            return [], say(400, 13, "Event field cannot be blank", **{"invalid-event-number": number})
        if any(isinstance(value, dict) for value in event.get("fields", {}).values()):
            return [], say(400, 15, "Error in handling indexed fields", **{"invalid-event-number": number})
        if indexes and event.get("index", indexes[0]) not in indexes:
            return [], say(400, 7, "Incorrect index", **{"invalid-event-number": number})
        events.append(event)
    return events, None
