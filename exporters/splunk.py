# SPDX-License-Identifier: Apache-2.0
"""Splunk's HTTP Event Collector: events with their metadata, and the indexer's word that they are written.

Sources, Splunk Enterprise 9.4: "Format events for HTTP Event Collector" (keys of an event, several in a
body), "HTTP Event Collector REST API endpoints", "About HTTP Event Collector Indexer Acknowledgment"
(channel, ackId, /services/collector/ack) and "Troubleshoot HTTP Event Collector" (status codes).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from exporters import options
from exporters.base import Batching, Context, Document, OptionError, Sent, TryAgain
from exporters.web import Answer, Web, WebOptions, judge

BATCHING = Batching(events=20_000, bytes=16 << 20, seconds=1.0, needs_record=False)
"""Large, because with acknowledgements one batch is under way at a time; it travels in requests of
`request_bytes`."""
EVENT = "/services/collector/event"
ACK = "/services/collector/ack"

_OF_THE_TOKEN = frozenset({1, 2, 3, 4, 16, 21, 22})
"""Codes that say that the token is missing, unknown or switched off."""
_OF_THE_SETUP = frozenset({7, 10, 11, 14})
"""Incorrect index, channel missing or invalid, acknowledgement disabled: each event would fail alike."""

_TAKEN = frozenset({0, 24, 25})
"""Success; the last two say besides that a queue fills up."""


@dataclass(frozen=True, slots=True)
class OPTIONS(WebOptions):
    """Keys of `type: splunk`."""

    token_file: str = ""
    """File with the HEC token; read before every request, so a new token counts at once."""
    token_env: str = ""
    """Variable of the environment with the token, instead of a file."""
    index: str = ""
    """Index for the events; it must be among those that the token allows. Empty: the token's default."""
    source: str = "tracehound"
    """`source` of the events."""
    sourcetype: str = "tracehound:{type}"
    """`sourcetype`; `{type}` stands for the record's type, `tracehound:process_exec`."""
    fields: dict[str, str] = field(default_factory=dict)
    """Indexed fields of every event, besides `sequence` and `boot_id`."""
    acknowledge: bool = False
    """Whether to wait until the indexers have written the events; the token must have it switched on."""
    acknowledge_seconds: float = 60.0
    """How long to wait for that before the events are sent once more; less than `send_seconds` (120)."""
    request_bytes: int = 2 << 20
    """Most bytes in one request, before compression. Receivers refuse more than max_content_length of
    limits.conf, which administrators set as low as 1 MiB; 10 MiB is the most that is taken here."""

    def __post_init__(self) -> None:
        WebOptions.__post_init__(self)
        if bool(self.token_file) == bool(self.token_env):
            raise OptionError("token_file", "the token has no source or two", "give token_file or token_env")
        options.check_range("request_bytes", self.request_bytes, 65536, 10 << 20)
        options.check_range("acknowledge_seconds", self.acknowledge_seconds, 1, 3600)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


class Request(NamedTuple):
    """A part of a batch that travels in one request."""

    first: int
    """Index of its first document in the batch."""
    events: Sequence[bytes]
    """The documents as Splunk wants them."""

    @property
    def indexes(self) -> range:
        """Where its documents stand in the batch."""
        return range(self.first, self.first + len(self.events))

    def halves(self) -> tuple[Request, Request]:
        """The same documents in two requests."""
        middle = len(self.events) // 2
        return Request(self.first, self.events[:middle]), Request(self.first + middle, self.events[middle:])


@dataclass(slots=True)
class Outcome:
    """What has become of a batch so far."""

    refused: list[tuple[int, str]] = field(default_factory=list)
    accepted: int = 0
    """Requests that were taken."""
    waiting: dict[int, Request] = field(default_factory=dict)
    """By ackId: taken, and not yet written by the indexers."""
    again: list[int] = field(default_factory=list)
    after_s: float | None = None


def open(context: Context) -> Splunk:
    """Make the destination; connects at the first batch. Raises OptionError."""
    chosen = OPTIONS.parse(context.options)
    options.secret("token", chosen.token_file, chosen.token_env)
    return Splunk(chosen, f"tracehound/{context.version}", channel(Path(context.state_dir)))


def channel(state_dir: Path) -> str:
    """The GUID of this exporter, the same after a restart: Splunk counts channels and forgets them late."""
    place = state_dir / "channel"
    try:
        return str(uuid.UUID(place.read_text().strip()))
    except (OSError, ValueError):
        made = str(uuid.uuid4())
        place.write_text(made + "\n")
        return made


class Splunk:
    """One token on one receiver."""

    def __init__(self, chosen: OPTIONS, agent: str, channel: str) -> None:
        self._options = chosen
        self._web = Web(chosen, agent)
        self._channel = channel
        self._limit = chosen.request_bytes
        self._cookie = ""
        self._frame = lru_cache(4096)(self._make_frame)

    def send(self, batch: Sequence[Document]) -> Sent:
        """Post the batch in requests of bounded size; with `acknowledge`, wait for the indexers."""
        outcome = Outcome()
        for request in self._requests(batch):
            try:
                self._deliver(request, outcome)
            except TryAgain as problem:
                if not outcome.accepted:
                    raise
                outcome.again += range(request.first, len(batch))
                outcome.after_s = problem.after_s
                break
        self._settle(outcome)
        refused = [(index, why) for index, why in outcome.refused if index not in outcome.again]
        return Sent(refused=refused, again=outcome.again, after_s=outcome.after_s)

    def close(self) -> None:
        """Close the connection."""
        self._web.close()

    def _deliver(self, request: Request, outcome: Outcome) -> None:
        """Post one request. One that is refused is halved until the documents to blame are found; what Splunk
        had taken of it before may come twice. Raises TryAgain."""
        try:
            answer = self._post(EVENT, b"".join(request.events))
            reason = _refusal(answer)
        except TryAgain as problem:
            if not problem.smaller:
                raise
            reason = problem.reason
            self._limit = max(65536, self._limit // 2)
        if not reason:
            if self._options.acknowledge:
                outcome.waiting[_ack_id(answer)] = request
            outcome.accepted += 1
        elif len(request.events) == 1:
            outcome.refused.append((request.first, reason))
        else:
            for half in request.halves():
                self._deliver(half, outcome)

    def _requests(self, batch: Sequence[Document]) -> Iterator[Request]:
        """Requests of at most `request_bytes`; a larger single event travels alone."""
        events: list[bytes] = []
        first = size = 0
        for index, document in enumerate(batch):
            event = self._encode(document)
            if events and size + len(event) > self._limit:
                yield Request(first, events)
                events, first, size = [], index, 0
            events.append(event)
            size += len(event)
        if events:
            yield Request(first, events)

    def _encode(self, document: Document) -> bytes:
        """One event: `time` in seconds with nanoseconds, metadata, and the body under `event`."""
        seconds, nanoseconds = divmod(document.time_ns, 1_000_000_000)
        frame = self._frame(document.node_name, document.type, document.boot_id)
        body = document.body
        if not body.startswith(b"{"):
            body = orjson.dumps(body.decode(errors="replace"))
        return b'{"time":%d.%09d,%b%d},"event":%b}' % (seconds, nanoseconds, frame, document.sequence, body)

    def _make_frame(self, node: str, kind: str, boot_id: str) -> bytes:
        """What is equal for all events of a type: cached, it ends where the sequence number goes."""
        chosen = self._options
        known = {
            "host": node,
            "source": chosen.source,
            "sourcetype": chosen.sourcetype.replace("{type}", kind),
        }
        if chosen.index:
            known["index"] = chosen.index
        fields = orjson.dumps({**chosen.fields, "boot_id": boot_id})
        return orjson.dumps(known)[1:-1] + b',"fields":' + fields[:-1] + b',"sequence":'

    def _post(self, path: str, body: bytes) -> Answer:
        token = options.secret("token", self._options.token_file, self._options.token_env)
        headers = {"Authorization": f"Splunk {token}", "Content-Type": "application/json"}
        headers["X-Splunk-Request-Channel"] = self._channel
        if self._cookie:
            headers["Cookie"] = self._cookie
        answer = self._web.post(path, body, headers)
        self._remember(answer.headers.get("Set-Cookie", ""))
        return answer

    def _remember(self, cookie: str) -> None:
        """Acknowledgements are known to the receiver that gave them: load balancers stick by cookie."""
        if cookie:
            self._cookie = cookie.partition(";")[0]

    def _settle(self, outcome: Outcome) -> None:
        """Ask until everything is acknowledged or the time is up; what is not is sent once more."""
        deadline = time.monotonic() + self._options.acknowledge_seconds
        pause = 0.05
        while outcome.waiting and time.monotonic() < deadline:
            for ack_id in self._acknowledged(list(outcome.waiting)):
                outcome.waiting.pop(ack_id, None)
            if outcome.waiting:
                time.sleep(pause)
                pause = min(pause * 1.5, 2.0)
        for request in outcome.waiting.values():
            outcome.again += request.indexes

    def _acknowledged(self, asked: list[int]) -> Iterator[int]:
        """The ids that are `true`; Splunk tells each of them once and forgets it then."""
        answer = self._post(f"{ACK}?channel={self._channel}", orjson.dumps({"acks": asked}))
        reason = judge(answer)
        acks = _parse(answer.body).get("acks")
        if reason or not isinstance(acks, dict):
            raise TryAgain(reason or "the receiver's answer about acknowledgements is none")
        yield from (int(ack_id) for ack_id, written in acks.items() if written is True and ack_id.isdecimal())


def _refusal(answer: Answer) -> str:
    """Empty when the request was taken, else why its content was not. Raises TryAgain for everything else."""
    told = _parse(answer.body)
    code = told.get("code")
    what = f"{told.get('text')} (code {code})" if isinstance(code, int) else ""
    if code in _OF_THE_TOKEN or code in _OF_THE_SETUP:
        raise TryAgain(f"HTTP {answer.status}: {what}", needs_operator=True)
    reason = judge(answer, what)
    if not reason and code not in _TAKEN:
        raise TryAgain(f"HTTP {answer.status}: no answer of an event collector", needs_operator=True)
    return reason


def _ack_id(answer: Answer) -> int:
    number = _parse(answer.body).get("ackId")
    if not isinstance(number, int):
        raise TryAgain(
            "the receiver gives no ackId: switch on acknowledgement for the token or off here",
            needs_operator=True,
        )
    return number


def _parse(body: bytes) -> dict[str, Any]:
    """An answer's object; empty when it is none."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
