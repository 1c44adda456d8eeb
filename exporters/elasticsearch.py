# SPDX-License-Identifier: Apache-2.0
"""Elasticsearch and OpenSearch: the bulk API into a data stream, each document created once.

Sources: Elasticsearch reference 8.17, "Bulk API" (newline-delimited body, one status per item, `create` only
for data streams), "Data streams" (`@timestamp` is required), "Create API key" (header), "Rejected execution"
(429); OpenSearch 2.x speaks the same. Our `_id` is the record's uid, so 409 says that it is there already.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import orjson

from agent.log.times import format_time
from exporters import options
from exporters.base import Batching, Context, Document, OptionError, Sent, TryAgain
from exporters.web import Answer, Web, WebOptions, judge, refuse

BATCHING = Batching(events=2000, bytes=5 << 20, seconds=1.0, format="ecs", needs_record=False)
"""Bulk requests of 5 to 15 MB do best, says the reference ("Tune for indexing speed")."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.\-]{0,199}")
"""A data stream's name: lower case, no wildcards, no spaces ("Create data stream")."""
_HAS_TIMESTAMP = b'{"@timestamp":'
_WANTED = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
_THERE = 409
"""`version_conflict_engine_exception` of a `create`: an earlier attempt was taken."""
_OF_THE_SETUP = frozenset({401, 403, 404})
"""Per item: no right to write, or no such data stream. Every document would fail alike."""


@dataclass(frozen=True, slots=True)
class OPTIONS(WebOptions):
    """Keys of `type: elasticsearch`."""

    data_stream: str = "logs-tracehound-default"
    """Data stream, or an alias with a write index. Its template: exporters/data/elasticsearch/."""
    api_key_file: str = ""
    """File with an API key in the encoded form (`id:key` in base64), as Kibana shows it."""
    api_key_env: str = ""
    """Variable of the environment with it."""
    username: str = ""
    """Name for HTTP Basic; for OpenSearch, which has no API keys."""
    password_file: str = ""
    """File with its password."""
    password_env: str = ""
    """Variable of the environment with it."""
    pipeline: str = ""
    """Ingest pipeline that documents go through. Empty: the data stream's own."""

    def __post_init__(self) -> None:
        WebOptions.__post_init__(self)
        if not _NAME.fullmatch(self.data_stream):
            raise OptionError(
                "data_stream", f"{self.data_stream!r} cannot be one", "lower case, no wildcards"
            )
        if self.username and (self.api_key_file or self.api_key_env):
            raise OptionError("username", "stands beside an API key", "give one of both")
        if bool(self.username) != bool(self.password_file or self.password_env):
            raise OptionError("username", "name and password belong together", "give password_file, too")

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


def open(context: Context) -> Elasticsearch:
    """Make the destination; connects at the first batch. Raises OptionError."""
    chosen = OPTIONS.parse(context.options)
    authorization(chosen)
    return Elasticsearch(chosen, f"tracehound/{context.version}")


def authorization(chosen: OPTIONS) -> dict[str, str]:
    """The header, from the files as they are now. Raises OptionError."""
    if chosen.username:
        password = options.secret("password", chosen.password_file, chosen.password_env)
        basic = base64.b64encode(f"{chosen.username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {basic}"}
    key = options.secret("api_key", chosen.api_key_file, chosen.api_key_env)
    return {"Authorization": f"ApiKey {key}"} if key else {}


class Elasticsearch:
    """One data stream of one cluster."""

    def __init__(self, chosen: OPTIONS, agent: str) -> None:
        self._options = chosen
        self._web = Web(chosen, agent)
        pipeline = f"&pipeline={quote(chosen.pipeline)}" if chosen.pipeline else ""
        self._path = f"/{chosen.data_stream}/_bulk?{_WANTED}{pipeline}"

    def send(self, batch: Sequence[Document]) -> Sent:
        """One bulk request; each document has an answer of its own. Raises TryAgain."""
        headers = {"Content-Type": "application/x-ndjson", **authorization(self._options)}
        answer = self._web.post(self._path, b"".join(map(encode, batch)), headers)
        reason = judge(answer)
        return refuse(batch, reason) if reason else read_answer(answer, len(batch))

    def close(self) -> None:
        """Close the connection."""
        self._web.close()


def encode(document: Document) -> bytes:
    """Action and source. A body without `@timestamp` gets it from the record's time."""
    body = document.body
    if not has_timestamp(body):
        body = b'{"@timestamp":"%b",%b' % (format_time(document.time_ns).encode(), body[1:])
    return b'{"create":{"_id":%b}}\n%b\n' % (orjson.dumps(document.uid), body)


def has_timestamp(body: bytes) -> bool:
    """Whether it stands at the top: a variable or label of that name further down must not count, for then
    the document would be refused. Only bodies with the name somewhere have to be parsed."""
    if body.startswith(_HAS_TIMESTAMP):
        return True
    try:
        return b'"@timestamp":' in body and "@timestamp" in orjson.loads(body)
    except (orjson.JSONDecodeError, TypeError):
        return True  # no JSON object: the cluster refuses it, and says why


def read_answer(answer: Answer, events: int) -> Sent:
    """What became of each document. Raises TryAgain when the answer is none of a bulk request."""
    try:
        told = orjson.loads(answer.body)
        if told["errors"] is False:
            return Sent()
        items = [item["create"] for item in told["items"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise TryAgain("the answer is none of a bulk request", needs_operator=True) from None
    if len(items) != events:
        raise TryAgain(f"{len(items)} answers for {events} documents")
    return _sort([(item.get("status", 500), item.get("error")) for item in items])


def _sort(items: list[tuple[int, Any]]) -> Sent:
    refused: list[tuple[int, str]] = []
    again: list[int] = []
    for index, (status, error) in enumerate(items):
        if status < 300 or status == _THERE:
            continue
        if status in _OF_THE_SETUP:
            raise TryAgain(_reason(status, error), needs_operator=True)
        if status == 429 or status >= 500:
            again.append(index)
        else:
            refused.append((index, _reason(status, error)))
    return Sent(refused=refused, again=again)


def _reason(status: int, error: Any) -> str:
    told = error if isinstance(error, dict) else {}
    return f"{status} {told.get('type', '')}: {told.get('reason', '')}"[:500]
