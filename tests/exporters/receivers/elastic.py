# SPDX-License-Identifier: Apache-2.0
"""A bulk API by Elasticsearch's published rules; no Elasticsearch can be installed in a test.

Rules and where they stand (Elasticsearch reference 8.17):
- the body is action and source line by line and ends with a newline; Content-Type is application/json or
  application/x-ndjson ("Bulk API");
- a data stream takes `create` only, a document needs `@timestamp` ("Use a data stream");
- an `_id` that is there gives 409 `version_conflict_engine_exception`; it has at most 512 bytes ("_id");
- a full queue gives 429 `es_rejected_execution_exception` per item ("Rejected requests");
- a body over http.max_content_length gives 413 ("Networking"); duplicate keys are refused (`Duplicate field`,
  strict since 6.0); `filter_path` reduces the answer ("Common options").
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from tests.exporters.receivers.web import Reply, Request


def error(status: int, kind: str, reason: str) -> Reply:
    told = {"error": {"type": kind, "reason": reason}, "status": status}
    return Reply(status, json.dumps(told).encode(), {"Content-Type": "application/json"})


class Cluster:
    """One data stream; `stored` is what a search would find, by `_id`."""

    def __init__(self, stream: str = "logs-tracehound-default", authorization: str = "") -> None:
        self.stream = stream
        self.authorization = authorization
        self.content_limit = 100 << 20
        self.stored: dict[str, dict[str, object]] = {}
        self.rejected: set[str] = set()
        """Ids for which the queue is full, once each."""

    def __call__(self, request: Request) -> Reply:
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            return error(401, "security_exception", "unable to authenticate")
        place = urlsplit(request.path)
        if place.path != f"/{self.stream}/_bulk":
            return error(404, "index_not_found_exception", f"no such index {place.path}")
        if request.headers.get("Content-Type") not in ("application/json", "application/x-ndjson"):
            return error(406, "media_type_header_exception", "Invalid media-type")
        if len(request.body) > self.content_limit:
            return Reply(413)
        if not request.body.endswith(b"\n"):
            return error(
                400, "illegal_argument_exception", "The bulk request must be terminated by a newline"
            )
        lines = request.body.split(b"\n")[:-1]
        items = [{"create": self._create(*pair)} for pair in zip(lines[::2], lines[1::2], strict=True)]
        whole = {"took": 1, "errors": any("error" in item["create"] for item in items), "items": items}
        wanted = parse_qs(place.query).get("filter_path", [""])[0]
        return Reply(200, json.dumps(reduce_answer(whole, wanted)).encode())

    def _create(self, action_line: bytes, source_line: bytes) -> dict[str, object]:
        (action,) = json.loads(action_line).items()
        uid = action[1]["_id"]
        if action[0] != "create" or len(uid.encode()) > 512:
            return failed(400, "illegal_argument_exception", "only write ops with an op_type of create")
        if uid in self.rejected:
            self.rejected.remove(uid)
            return failed(
                429, "es_rejected_execution_exception", "rejected execution of coordinating operation"
            )
        try:
            source = json.loads(source_line, object_pairs_hook=without_duplicates)
        except ValueError as problem:
            return failed(400, "document_parsing_exception", str(problem))
        if "@timestamp" not in source:
            return failed(400, "document_parsing_exception", "data stream timestamp field is missing")
        if uid in self.stored:
            return failed(409, "version_conflict_engine_exception", "document already exists")
        self.stored[uid] = source
        return {"_index": f".ds-{self.stream}-000001", "_id": uid, "result": "created", "status": 201}


def failed(status: int, kind: str, reason: str) -> dict[str, object]:
    return {"status": status, "error": {"type": kind, "reason": reason}}


def without_duplicates(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"Duplicate field '{key}'")
        found[key] = value
    return found


def reduce_answer(whole: dict[str, object], wanted: str) -> dict[str, object]:
    """What `filter_path` leaves: the exporter asks for `errors` and each item's status and error."""
    if not wanted:
        return whole
    assert wanted == "errors,items.*.status,items.*.error.type,items.*.error.reason"
    items = [
        {"create": {key: value for key, value in item["create"].items() if key in ("status", "error")}}
        for item in whole["items"]  # type: ignore[attr-defined]
    ]
    return {"errors": whole["errors"], "items": items}
